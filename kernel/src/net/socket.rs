//! A socket: its inbox, its peer, what it is ready for.

use super::address::{Address, Family};
use super::inbox::{Inbox, Peer, Rights};
use super::names::Binding;
use super::options::Options;
use crate::arch::Access;
use crate::errno::Errno;
use crate::fs::metadata::{FileType, next_number};
use crate::fs::poll_queue::PollQueue;
use crate::fs::special::{Attempt, Special};
use crate::memory::UserBuf;
use crate::memory::fallible;
use crate::wait::Caller;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, Ordering};
use executor::Label;
use linux_raw_sys::general as abi;
use spin::Mutex;

/// Reading.
pub(super) const IN: u32 = abi::POLLIN | abi::POLLRDNORM;
/// Writing.
pub(super) const OUT: u32 = abi::POLLOUT | abi::POLLWRNORM | abi::POLLWRBAND;
/// How many datagrams wait at most at a socket of the family `AF_UNIX`
/// (`net.unix.max_dgram_qlen`), and at another.
const MOST_LOCAL: usize = 11;
const MOST_INET: usize = 256;

/// How a socket communicates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A connection of bytes (`SOCK_STREAM`).
    Stream,
    /// Messages without a connection (`SOCK_DGRAM`).
    Datagram,
    /// A connection of messages (`SOCK_SEQPACKET`).
    SeqPacket,
}

/// A socket. See the head of [`net`](super).
pub struct Socket {
    number: u64,
    family: Family,
    kind: Kind,
    /// The process that made it, as a peer sees it.
    owner: Peer,
    inbox: Mutex<Inbox>,
    pub(super) link: Mutex<Link>,
    /// What the next call fails with, or 0 (`SO_ERROR`).
    error: AtomicU32,
    options: Options,
    polls: PollQueue,
    me: Weak<Socket>,
}

/// What a socket is linked to.
pub(super) struct Link {
    pub(super) name: Address,
    pub(super) binding: Option<Binding>,
    pub(super) stage: Stage,
    /// Nothing is sent any more (`SHUT_WR`).
    pub(super) shut: bool,
}

/// How far a socket has come.
pub(super) enum Stage {
    /// It has no peer.
    Fresh,
    /// It takes connections.
    Listening(Backlog),
    /// It has a peer, or had one that is closed.
    Connected {
        peer: Weak<Socket>,
        name: Address,
        owner: Peer,
    },
}

/// Connections that were not accepted yet.
pub(super) struct Backlog {
    pub(super) queue: VecDeque<Arc<Socket>>,
    pub(super) most: usize,
}

impl Socket {
    /// A socket without name and peer.
    pub fn new(family: Family, kind: Kind, owner: Peer) -> Result<Arc<Socket>, Errno> {
        Socket::with(family, kind, owner, Stage::Fresh)
    }

    pub(super) fn with(
        family: Family,
        kind: Kind,
        owner: Peer,
        stage: Stage,
    ) -> Result<Arc<Socket>, Errno> {
        let inbox = Inbox::new()?;
        Ok(fallible::arc_cyclic(|me| Socket {
            number: next_number(),
            family,
            kind,
            owner,
            inbox: Mutex::new(inbox),
            link: Mutex::new(Link {
                name: Address::Unnamed,
                binding: None,
                stage,
                shut: false,
            }),
            error: AtomicU32::new(0),
            options: Options::new(),
            polls: PollQueue::new(&Label("socket")),
            me: me.clone(),
        })?)
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How it communicates.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What setsockopt(2) has set.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The process that made it.
    pub(super) fn owner(&self) -> Peer {
        self.owner
    }

    pub(super) fn me(&self) -> &Weak<Socket> {
        &self.me
    }

    pub(super) fn inbox(&self) -> &Mutex<Inbox> {
        &self.inbox
    }

    /// How many datagrams may wait here.
    pub(super) fn most_messages(&self) -> usize {
        match self.family {
            Family::Unix => MOST_LOCAL,
            _ => MOST_INET,
        }
    }

    /// Its name (getsockname(2)).
    pub fn name(&self) -> Address {
        self.link.lock().name.clone()
    }

    /// Its peer's name (getpeername(2)).
    pub fn peer_name(&self) -> Result<Address, Errno> {
        match &self.link.lock().stage {
            Stage::Connected { name, .. } => Ok(name.clone()),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// The process at the other end (`SO_PEERCRED`).
    pub fn peer_owner(&self) -> Option<Peer> {
        match &self.link.lock().stage {
            Stage::Connected { owner, .. } => Some(*owner),
            Stage::Listening(_) => Some(self.owner),
            Stage::Fresh => None,
        }
    }

    /// Whether it takes connections (`SO_ACCEPTCONN`).
    pub fn is_listening(&self) -> bool {
        matches!(self.link.lock().stage, Stage::Listening(_))
    }

    /// Whether it has, or had, a peer.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.link.lock().stage, Stage::Connected { .. })
    }

    /// Its peer, if that is open.
    pub(super) fn peer(&self) -> Option<Arc<Socket>> {
        let peer = match &self.link.lock().stage {
            Stage::Connected { peer, .. } => peer.clone(),
            _ => return None,
        };
        peer.upgrade()
    }

    /// The next call fails with this.
    pub(super) fn fail(&self, error: Errno) {
        // Relaxed here and below: the number stands for itself.
        self.error.store(error.number(), Ordering::Relaxed);
    }

    /// What the next call would have failed with, once (`SO_ERROR`).
    pub fn take_error(&self) -> u32 {
        self.error.swap(0, Ordering::Relaxed)
    }

    /// The same, as the result of a call.
    pub(super) fn check_error(&self) -> Result<(), Errno> {
        match self.take_error() {
            0 => Ok(()),
            number => Err(Errno::from_number(number)),
        }
    }

    /// Nothing comes any more from the other end.
    pub(super) fn end(&self) {
        self.inbox.lock().ended = true;
        self.polls.wake(0);
    }

    /// The last descriptor is closed, or it never had one. What was not received is lost, of which
    /// the sender is told (unix(7), tcp(7)).
    pub fn close(&self) {
        let (unread, contents) = {
            let mut inbox = self.inbox.lock();
            inbox.ended = true;
            inbox.shut = true;
            (!inbox.is_empty(), inbox.take_all())
        };
        drop(contents);
        let (stage, binding) = {
            let mut link = self.link.lock();
            link.shut = true;
            let stage = core::mem::replace(&mut link.stage, Stage::Fresh);
            (stage, link.binding.take())
        };
        drop(binding);
        match stage {
            Stage::Connected { peer, .. } if self.kind != Kind::Datagram => {
                if let Some(peer) = peer.upgrade() {
                    if unread {
                        peer.fail(Errno::ECONNRESET);
                    }
                    if self.family == Family::Unix {
                        peer.link.lock().shut = true;
                    }
                    peer.end();
                }
            }
            Stage::Listening(backlog) => {
                for socket in &backlog.queue {
                    if let Some(peer) = socket.peer() {
                        peer.fail(Errno::ECONNRESET);
                    }
                    socket.close();
                }
            }
            _ => {}
        }
        // Those that wait to connect, or to send.
        self.polls.wake(0);
    }

    /// Whether bytes, or a datagram, could be sent now.
    fn is_writable(&self) -> bool {
        match (self.kind, self.peer()) {
            // Without a peer each message says where it goes to.
            (Kind::Datagram, None) => true,
            (Kind::Datagram, Some(peer)) => {
                let inbox = peer.inbox.lock();
                inbox.messages() < peer.most_messages()
            }
            (_, Some(peer)) => {
                let inbox = peer.inbox.lock();
                // Linux's measure: not more than a quarter is used.
                inbox.len() <= inbox.room() / 3
            }
            // A call would fail at once.
            (_, None) => true,
        }
    }
}

impl Special for Socket {
    fn read(&self, to: &mut UserBuf<'_>, _caller: &dyn Caller) -> Result<Attempt, Errno> {
        let received = self.receive(to, super::transfer::Take::Bytes)?;
        Ok(match received {
            Attempt::Done(received) => Attempt::Done(received.count),
            Attempt::NotReady => Attempt::NotReady,
            Attempt::Blocked => Attempt::Blocked,
        })
    }

    fn write(&self, from: &mut UserBuf<'_>, caller: &dyn Caller) -> Result<Attempt, Errno> {
        let _ = caller;
        self.send(from, self.owner, &mut Rights::new())
    }

    fn writes_all(&self) -> bool {
        self.kind == Kind::Stream
    }

    fn ready(&self) -> u32 {
        let (stage, shut) = {
            let link = self.link.lock();
            let stage = match &link.stage {
                Stage::Listening(backlog) => Some(!backlog.queue.is_empty()),
                Stage::Connected { .. } => None,
                Stage::Fresh if self.kind == Kind::Datagram => None,
                // As unix(7) and tcp(7) have it on Linux.
                Stage::Fresh => return OUT | abi::POLLHUP,
            };
            (stage, link.shut)
        };
        match stage {
            Some(true) => return IN,
            Some(false) => return 0,
            None => {}
        }
        let mut ready = 0;
        {
            let inbox = self.inbox.lock();
            let end = inbox.ended || inbox.shut;
            if end || !inbox.is_empty() {
                ready |= IN;
            }
            if end {
                ready |= abi::POLLRDHUP;
            }
            if end && shut {
                ready |= abi::POLLHUP;
            }
        }
        if self.error.load(Ordering::Relaxed) != 0 {
            ready |= abi::POLLERR;
        }
        if self.is_writable() {
            ready |= OUT;
        }
        ready
    }

    fn polls(&self) -> &PollQueue {
        &self.polls
    }

    fn patience(&self, access: Access) -> Option<u64> {
        let patience = match access {
            Access::Write => self.options.receive_patience(),
            _ => self.options.send_patience(),
        };
        Some(patience.load(Ordering::Relaxed)).filter(|&patience| patience != 0)
    }

    fn readable(&self) -> Result<u64, Errno> {
        let link = self.link.lock();
        if let Stage::Listening(_) = link.stage {
            return Err(Errno::EINVAL);
        }
        drop(link);
        let inbox = self.inbox.lock();
        Ok(match self.kind {
            Kind::Datagram => inbox.first_length() as u64,
            _ => inbox.len() as u64,
        })
    }

    fn writes_into(&self) -> Option<Arc<dyn Special>> {
        match self.kind {
            Kind::Datagram => self.peer().map(|peer| peer as Arc<dyn Special>),
            _ => None,
        }
    }

    fn closed(&self) {
        self.close();
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn file_type(&self) -> FileType {
        FileType::Socket
    }

    fn name(&self) -> &'static str {
        "socket"
    }
}
