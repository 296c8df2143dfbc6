//! Sending and receiving: send(2), recv(2).
//!
//! Bytes go from the program's memory into the inbox of the peer, and from the own inbox into the
//! program's memory. Both wake the other end when it can go on.

use super::address::{Address, Family, destination, unspecified};
use super::inbox::{Peer, Received, Rights};
use super::socket::{IN, Kind, OUT, Socket, Stage};
use crate::errno::Errno;
use crate::fs::special::{Attempt, Special};
use crate::memory::UserBuf;
use alloc::sync::Arc;

/// What becomes of what is received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// It is taken.
    Bytes,
    /// It stays (`MSG_PEEK`).
    Look,
}

impl Socket {
    /// Attempts to send to the peer: of a stream as much as fits, of a message all.
    pub fn send(
        &self,
        from: &mut UserBuf<'_>,
        sender: Peer,
        rights: &mut Rights,
    ) -> Result<Attempt, Errno> {
        self.check_error()?;
        if self.link.lock().shut {
            return Err(Errno::EPIPE);
        }
        let Some(peer) = self.peer() else {
            return Err(match (&self.link.lock().stage, self.kind()) {
                (Stage::Connected { .. }, Kind::Datagram) => Errno::ECONNREFUSED,
                (Stage::Connected { .. }, _) => Errno::EPIPE,
                (_, Kind::Datagram) => match self.family() {
                    Family::Unix => Errno::ENOTCONN,
                    _ => Errno::EDESTADDRREQ,
                },
                (_, Kind::Stream) if self.family() != Family::Unix => Errno::EPIPE,
                _ => Errno::ENOTCONN,
            });
        };
        self.send_to(&peer, from, sender, rights)
    }

    /// The same to another socket.
    pub fn send_to(
        &self,
        to: &Arc<Socket>,
        from: &mut UserBuf<'_>,
        sender: Peer,
        rights: &mut Rights,
    ) -> Result<Attempt, Errno> {
        let own_name = match self.kind() {
            Kind::Stream => Address::Unnamed,
            _ => self.return_address()?,
        };
        let attempt = {
            let mut inbox = to.inbox().lock();
            if inbox.shut {
                return Err(match self.kind() {
                    Kind::Datagram if self.family() != Family::Unix => return self.lost(from),
                    _ => Errno::EPIPE,
                });
            }
            match self.kind() {
                Kind::Stream if from.remaining() == 0 => return Ok(Attempt::Done(0)),
                Kind::Stream => inbox.push_bytes(from, sender, rights),
                _ => {
                    let most = match self.kind() {
                        Kind::Datagram => to.most_messages(),
                        _ => usize::MAX,
                    };
                    inbox.push_message(from, sender, own_name, rights, most)
                }
            }?
        };
        match attempt {
            Attempt::Done(_) => to.polls().wake(IN),
            // A datagram of the internet is lost if there is no room for it (udp(7)).
            Attempt::Blocked if self.kind() == Kind::Datagram && self.family() != Family::Unix => {
                return self.lost(from);
            }
            _ => {}
        }
        Ok(attempt)
    }

    /// Where an answer to a datagram goes to.
    fn return_address(&self) -> Result<Address, Errno> {
        self.bind_if_needed(unspecified(self.family()))?;
        Ok(match self.name() {
            // Of all addresses, the one that the receiver sees.
            Address::Inet(ip, port) => Address::Inet(destination(ip)?, port),
            name => name,
        })
    }

    fn lost(&self, from: &UserBuf<'_>) -> Result<Attempt, Errno> {
        Ok(Attempt::Done(from.remaining()))
    }

    /// Attempts to receive. At the end it receives nothing.
    pub fn receive(&self, to: &mut UserBuf<'_>, take: Take) -> Result<Attempt<Received>, Errno> {
        if self.kind() != Kind::Datagram && !self.is_connected() {
            return Err(match self.family() {
                Family::Unix if self.kind() == Kind::Stream => Errno::EINVAL,
                _ => Errno::ENOTCONN,
            });
        }
        let (attempt, room) = {
            let mut inbox = self.inbox().lock();
            let attempt = match (take, self.kind()) {
                (Take::Look, kind) => inbox.peek(to, kind == Kind::Stream),
                (Take::Bytes, Kind::Stream) => inbox.pop_bytes(to),
                (Take::Bytes, _) => inbox.pop_message(to),
            };
            let end = inbox.ended || inbox.shut;
            let attempt = match attempt {
                Attempt::Blocked if end => None,
                attempt => Some(attempt),
            };
            (attempt, inbox.room())
        };
        let Some(attempt) = attempt else {
            self.check_error()?;
            return Ok(Attempt::Done(Received {
                count: 0,
                length: 0,
                sender: Peer::default(),
                from: Address::Unnamed,
                rights: Rights::new(),
            }));
        };
        match attempt {
            Attempt::Blocked => self.check_error()?,
            Attempt::Done(_) if take == Take::Bytes && room > 0 => {
                // Those that wait to send here, and the peer.
                self.polls().wake(OUT & !IN);
                if let Some(peer) = self.peer() {
                    peer.polls().wake(OUT);
                }
            }
            _ => {}
        }
        Ok(attempt)
    }
}
