//! What was sent to a socket and not received: bytes in frames, as in a pipe, and for each message
//! its length, its sender and the descriptors that came with it.
//!
//! A stream's message grows while the same sender adds bytes without descriptors, so that it is as
//! cheap as a pipe's buffer. Datagrams are kept apart, and are copied out as a whole or not at all.

use super::address::Address;
use crate::errno::Errno;
use crate::fs::file::OpenFile;
use crate::fs::pipe_buffer::PipeBuffer;
use crate::fs::special::Attempt;
use crate::memory::{Sink, UserBuf};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A process as the other end sees it (`struct ucred`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peer {
    /// The number of the process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The descriptors that come with a message.
pub type Rights = Vec<Arc<OpenFile>>;

/// What is known of a message besides its bytes.
pub struct Message {
    /// How many bytes are left of it.
    pub length: usize,
    /// The process that sent it.
    pub sender: Peer,
    /// The socket that sent it.
    pub from: Address,
    /// What came with it.
    pub rights: Rights,
}

/// What was received.
pub struct Received {
    /// How many bytes.
    pub count: usize,
    /// How many bytes the message had.
    pub length: usize,
    /// The process that sent them.
    pub sender: Peer,
    /// The socket that sent them.
    pub from: Address,
    /// What came with them.
    pub rights: Rights,
}

/// See the module's head.
pub struct Inbox {
    bytes: PipeBuffer,
    messages: VecDeque<Message>,
    /// Nothing comes any more: the other end is closed or shut down.
    pub ended: bool,
    /// Nothing is wanted any more: this end is shut down for reading.
    pub shut: bool,
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Result<Inbox, Errno> {
        Ok(Inbox {
            bytes: PipeBuffer::new()?,
            messages: VecDeque::new(),
            ended: false,
            shut: false,
        })
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// How many bytes fit.
    pub fn room(&self) -> usize {
        self.bytes.room()
    }

    /// The length of the first message.
    pub fn first_length(&self) -> usize {
        self.messages.front().map_or(0, |message| message.length)
    }

    /// Adds bytes to a stream: as many as fit, at least one. What comes with them is taken out of
    /// `rights`.
    pub fn push_bytes(
        &mut self,
        from: &mut UserBuf<'_>,
        sender: Peer,
        rights: &mut Rights,
    ) -> Result<Attempt, Errno> {
        let wanted = from.remaining().min(self.bytes.room());
        if wanted == 0 {
            return Ok(Attempt::Blocked);
        }
        self.messages.try_reserve(1).map_err(|_| Errno::ENOBUFS)?;
        let room = self.bytes.grow_for(wanted).min(wanted);
        if room == 0 {
            return Err(Errno::ENOBUFS);
        }
        let taken = self.bytes.take(from, room);
        if taken == 0 {
            return Ok(Attempt::NotReady);
        }
        self.bytes.commit(taken);
        match self.messages.back_mut() {
            Some(last) if rights.is_empty() && last.rights.is_empty() && last.sender == sender => {
                last.length += taken;
            }
            _ => self.messages.push_back(Message {
                length: taken,
                sender,
                from: Address::Unnamed,
                rights: core::mem::take(rights),
            }),
        }
        Ok(Attempt::Done(taken))
    }

    /// Adds a datagram, of which there may be `most`.
    pub fn push_message(
        &mut self,
        data: &mut UserBuf<'_>,
        sender: Peer,
        from: Address,
        rights: &mut Rights,
        most: usize,
    ) -> Result<Attempt, Errno> {
        let length = data.remaining();
        if length > self.bytes.capacity() {
            return Err(Errno::EMSGSIZE);
        }
        if length > self.bytes.room() || self.messages.len() >= most {
            return Ok(Attempt::Blocked);
        }
        self.messages.try_reserve(1).map_err(|_| Errno::ENOBUFS)?;
        if self.bytes.grow_for(length) < length {
            return Err(Errno::ENOBUFS);
        }
        if self.bytes.take(data, length) < length {
            return Ok(Attempt::NotReady);
        }
        self.bytes.commit(length);
        self.messages.push_back(Message {
            length,
            sender,
            from,
            rights: core::mem::take(rights),
        });
        Ok(Attempt::Done(length))
    }

    /// Takes bytes of a stream: what there is, up to the next message that has descriptors or
    /// another sender.
    pub fn pop_bytes(&mut self, to: &mut UserBuf<'_>) -> Attempt<Received> {
        let Some(first) = self.messages.front_mut() else {
            return Attempt::Blocked;
        };
        let mut received = Received {
            count: 0,
            length: 0,
            sender: first.sender,
            from: Address::Unnamed,
            rights: Rights::new(),
        };
        while to.remaining() > 0
            && let Some(message) = self.messages.front_mut()
            && message.sender == received.sender
            && (received.count == 0 || message.rights.is_empty())
        {
            let wanted = message.length.min(to.remaining());
            let taken = self.bytes.give(to, wanted);
            if taken == 0 {
                break;
            }
            received.count += taken;
            message.length -= taken;
            if !message.rights.is_empty() {
                received.rights = core::mem::take(&mut message.rights);
            }
            if message.length > 0 {
                break;
            }
            self.messages.pop_front();
            // As on Linux, what comes with descriptors is received alone.
            if !received.rights.is_empty() {
                break;
            }
        }
        if received.count == 0 && to.remaining() > 0 {
            return Attempt::NotReady;
        }
        received.length = received.count;
        Attempt::Done(received)
    }

    /// Copies the first message, or what is there of a stream, without taking it.
    pub fn peek(&self, to: &mut UserBuf<'_>, whole_stream: bool) -> Attempt<Received> {
        let Some(first) = self.messages.front() else {
            return Attempt::Blocked;
        };
        let length = match whole_stream {
            true => self.bytes.len(),
            false => first.length,
        };
        let wanted = length.min(to.remaining());
        let mut count = 0;
        let mut part = [0; 512];
        while count < wanted {
            let size = part.len().min(wanted - count);
            let copied = self.bytes.peek(count, &mut part[..size]);
            let taken = to.put(&part[..copied]);
            count += taken;
            if taken < size {
                return Attempt::NotReady;
            }
        }
        Attempt::Done(Received {
            count,
            length,
            sender: first.sender,
            from: first.from.clone(),
            // Not copied with a look: see docs/limits.md.
            rights: Rights::new(),
        })
    }

    /// Takes a datagram.
    pub fn pop_message(&mut self, to: &mut UserBuf<'_>) -> Attempt<Received> {
        let mut received = match self.peek(to, false) {
            Attempt::Done(received) => received,
            attempt => return attempt,
        };
        if let Some(message) = self.messages.pop_front() {
            self.bytes.give(&mut Forget, message.length);
            received.rights = message.rights;
        }
        Attempt::Done(received)
    }

    /// Everything, to be dropped without a lock.
    pub fn take_all(&mut self) -> (PipeBuffer, VecDeque<Message>) {
        let bytes = core::mem::replace(&mut self.bytes, PipeBuffer::closed());
        (bytes, core::mem::take(&mut self.messages))
    }
}

/// A sink that takes everything.
struct Forget;

impl Sink for Forget {
    fn put(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
}
