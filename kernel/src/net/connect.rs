//! Names and peers: bind(2), listen(2), connect(2), accept(2), shutdown(2), socketpair(2).

use super::address::{Address, Family, destination};
use super::inbox::Peer;
use super::names;
use super::socket::{Backlog, IN, Kind, Socket, Stage};
use crate::errno::Errno;
use crate::fs::special::{Attempt, Special};
use crate::memory::fallible;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::net::IpAddr;

/// The most connections that wait to be accepted (`net.core.somaxconn`).
const MOST_BACKLOG: usize = 4096;

/// Which directions are shut down (shutdown(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shut {
    /// Nothing is received any more.
    pub read: bool,
    /// Nothing is sent any more.
    pub write: bool,
}

/// Two sockets that are each other's peers (socketpair(2)).
pub fn pair(kind: Kind, owner: Peer) -> Result<(Arc<Socket>, Arc<Socket>), Errno> {
    let connected = |peer: Weak<Socket>| Stage::Connected {
        peer,
        name: Address::Unnamed,
        owner,
    };
    let first = Socket::new(Family::Unix, kind, owner)?;
    let second = Socket::with(Family::Unix, kind, owner, connected(Arc::downgrade(&first)))?;
    first.link.lock().stage = connected(Arc::downgrade(&second));
    Ok((first, second))
}

impl Socket {
    /// Gives it a name (bind(2)). A path is in the tree already, and refers to it.
    pub fn bind(&self, address: Address) -> Result<(), Errno> {
        if let Address::Inet(ip, _) = address
            && !ip.is_unspecified()
            && !ip.is_loopback()
        {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if !self.is_unnamed() {
            return Err(Errno::EINVAL);
        }
        let (binding, name) = match address {
            Address::Path(_) => (None, address),
            // Linux chooses a name of five digits (unix(7), "Autobind feature").
            Address::Unnamed => self.bind_anywhere()?,
            address => {
                let (binding, name) = names::take(self.kind(), address, self.me())?;
                (Some(binding), name)
            }
        };
        let mut link = self.link.lock();
        if link.name != Address::Unnamed {
            drop(link);
            return Err(Errno::EINVAL);
        }
        link.name = name;
        link.binding = binding;
        Ok(())
    }

    fn bind_anywhere(&self) -> Result<(Option<names::Binding>, Address), Errno> {
        for _ in 0..64 {
            let mut name = [0; 5];
            let mut number = crate::arch::random();
            for digit in &mut name {
                *digit = b"0123456789abcdef"[(number & 15) as usize];
                number >>= 4;
            }
            let address = Address::Abstract(fallible::bytes(&name)?);
            match names::take(self.kind(), address, self.me()) {
                Err(Errno::EADDRINUSE) => {}
                result => return result.map(|(binding, name)| (Some(binding), name)),
            }
        }
        Err(Errno::ENOSPC)
    }

    /// Whether it has no name yet.
    pub fn is_unnamed(&self) -> bool {
        self.link.lock().name == Address::Unnamed
    }

    /// Gives it a port, if it is of the internet and has none.
    pub(super) fn bind_if_needed(&self, ip: IpAddr) -> Result<(), Errno> {
        match self.family() {
            Family::Unix => Ok(()),
            _ if !self.is_unnamed() => Ok(()),
            _ => self.bind(Address::Inet(ip, 0)),
        }
    }

    /// Takes connections from now on (listen(2)).
    pub fn listen(&self, backlog: usize) -> Result<(), Errno> {
        if self.kind() == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.family() == Family::Unix && self.is_unnamed() {
            return Err(Errno::EINVAL);
        }
        self.bind_if_needed(super::address::unspecified(self.family()))?;
        let most = backlog.min(MOST_BACKLOG);
        let mut link = self.link.lock();
        match &mut link.stage {
            Stage::Connected { .. } => return Err(Errno::EINVAL),
            Stage::Listening(backlog) => backlog.most = most,
            stage => {
                *stage = Stage::Listening(Backlog {
                    queue: VecDeque::new(),
                    most,
                });
            }
        }
        Ok(())
    }

    /// The socket that an address of the family names, for a connection or a message. A path was
    /// looked up already.
    pub fn find(&self, address: &Address) -> Result<Arc<Socket>, Errno> {
        match address {
            Address::Inet(ip, port) => {
                let address = Address::Inet(destination(*ip)?, *port);
                names::find(self.kind(), &address).ok_or(Errno::ECONNREFUSED)
            }
            address => names::find(self.kind(), address).ok_or(Errno::ECONNREFUSED),
        }
    }

    /// Attempts to connect to a socket (connect(2)). It is blocked while the backlog is full, and is
    /// made again when the poll queue of `target` is woken.
    pub fn connect(
        &self,
        target: &Arc<Socket>,
        address: &Address,
        owner: Peer,
    ) -> Result<Attempt<()>, Errno> {
        if target.kind() != self.kind() {
            return Err(Errno::EPROTOTYPE);
        }
        let mut name = address.clone();
        if let Address::Inet(ip, port) = *address {
            let ip = destination(ip)?;
            self.bind_if_needed(ip)?;
            name = Address::Inet(ip, port);
        }
        if self.kind() == Kind::Datagram {
            let old = core::mem::replace(
                &mut self.link.lock().stage,
                Stage::Connected {
                    peer: Arc::downgrade(target),
                    name,
                    owner: target.owner(),
                },
            );
            drop(old);
            return Ok(Attempt::Done(()));
        }
        match self.link.lock().stage {
            Stage::Fresh => {}
            Stage::Listening(_) => return Err(Errno::EINVAL),
            Stage::Connected { .. } => return Err(Errno::EISCONN),
        }
        let own_name = match (self.name(), &name) {
            // Of all addresses it is the one that the other end sees.
            (Address::Inet(ip, port), Address::Inet(to, _)) if ip.is_unspecified() => {
                Address::Inet(*to, port)
            }
            (own, _) => own,
        };
        // Made before any lock is taken; dropped again if the backlog is full.
        let other = Socket::with(
            target.family(),
            self.kind(),
            target.owner(),
            Stage::Connected {
                peer: self.me().clone(),
                name: own_name.clone(),
                owner,
            },
        )?;
        other.link.lock().name = match &name {
            Address::Inet(..) => name.clone(),
            _ => target.name(),
        };
        let weak = Arc::downgrade(&other);
        {
            let mut link = target.link.lock();
            let Stage::Listening(backlog) = &mut link.stage else {
                drop(link);
                return Err(Errno::ECONNREFUSED);
            };
            if target.inbox().lock().shut {
                drop(link);
                return Err(Errno::ECONNREFUSED);
            }
            if backlog.queue.len() > backlog.most {
                drop(link);
                return Ok(Attempt::Blocked);
            }
            if backlog.queue.try_reserve(1).is_err() {
                drop(link);
                return Err(Errno::ENOMEM);
            }
            {
                let mut own = self.link.lock();
                own.stage = Stage::Connected {
                    peer: weak,
                    name,
                    owner: target.owner(),
                };
                if self.family() != Family::Unix {
                    own.name = own_name;
                }
            }
            backlog.queue.push_back(other);
        }
        target.polls().wake(IN);
        self.polls().wake(0);
        Ok(Attempt::Done(()))
    }

    /// Ends a connection to nothing in particular: messages say where they go to (connect(2) with
    /// `AF_UNSPEC`).
    pub fn disconnect(&self) {
        if self.kind() == Kind::Datagram {
            let old = core::mem::replace(&mut self.link.lock().stage, Stage::Fresh);
            drop(old);
        }
    }

    /// Attempts to take a connection (accept(2)).
    pub fn accept(&self) -> Result<Attempt<Arc<Socket>>, Errno> {
        let taken = {
            let mut link = self.link.lock();
            let Stage::Listening(backlog) = &mut link.stage else {
                return Err(match self.kind() {
                    Kind::Datagram => Errno::EOPNOTSUPP,
                    _ => Errno::EINVAL,
                });
            };
            backlog.queue.pop_front()
        };
        match taken {
            Some(socket) => {
                // For those that wait to connect.
                self.polls().wake(super::socket::OUT);
                Ok(Attempt::Done(socket))
            }
            None if self.inbox().lock().shut => Err(Errno::EINVAL),
            None => Ok(Attempt::Blocked),
        }
    }

    /// Shuts directions down (shutdown(2)).
    pub fn shut_down(&self, how: Shut) -> Result<(), Errno> {
        let listening = self.is_listening();
        if !listening && !self.is_connected() {
            return Err(Errno::ENOTCONN);
        }
        if how.read {
            self.inbox().lock().shut = true;
        }
        if how.write {
            self.link.lock().shut = true;
        }
        if how.write
            && self.kind() != Kind::Datagram
            && let Some(peer) = self.peer()
        {
            peer.end();
        }
        self.polls().wake(0);
        if let Some(peer) = self.peer() {
            // It can send no more, if this end does not read.
            peer.polls().wake(0);
        }
        Ok(())
    }
}
