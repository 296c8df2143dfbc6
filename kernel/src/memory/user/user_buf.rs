//! User memory as the end of a transfer.

use super::copy::check_range;
use super::error::AccessError;
use crate::arch::{Access, FRAME_SIZE, Frame};
use crate::memory::frame::page_copy;
use crate::memory::heap::fallible;
use crate::memory::object::transfer::{Sink, Source};
use crate::memory::space::address_space::AddressSpace;
use crate::memory::space::current::assert_active;
use alloc::vec::Vec;
use core::ops::Range;

/// The most segments of one vectored transfer, as Linux's UIO_MAXIOV.
pub const MAX_SEGMENTS: usize = 1024;

/// Memory of the calling program as the place of a transfer: one range or several.
///
/// As [`Sink`] or [`Source`] it does what is possible at once. When it stops early, let
/// go of all locks, call [`fault_in`](UserBuf::fault_in), and go on.
pub struct UserBuf<'a> {
    space: &'a AddressSpace,
    /// Segments after the current one, the next one last of the first `at.later` ones.
    later: Vec<(usize, usize)>,
    at: UserMark,
}

/// How far a transfer has come, to go back to by [`UserBuf::rewind`].
#[derive(Clone, Copy)]
pub struct UserMark {
    current: (usize, usize),
    later: usize,
    remaining: usize,
    done: usize,
}

impl<'a> UserBuf<'a> {
    /// One range.
    ///
    /// # Errors
    /// `EFAULT` when it reaches beyond user memory. What is mapped there is not looked at
    /// yet.
    pub fn new(
        space: &'a AddressSpace,
        address: usize,
        length: usize,
    ) -> Result<Self, AccessError> {
        check_range(address, length)?;
        Ok(UserBuf {
            space,
            later: Vec::new(),
            at: UserMark {
                current: (address, length),
                later: 0,
                remaining: length,
                done: 0,
            },
        })
    }

    /// The ranges that an array of `count` `struct iovec` at `address` describes
    /// (readv(2)).
    ///
    /// # Errors
    /// `EINVAL` for more than 1024 of them or a total length that overflows, `EFAULT`
    /// for bad addresses.
    pub async fn vectored(
        space: &'a AddressSpace,
        address: usize,
        count: usize,
    ) -> Result<Self, AccessError> {
        UserBuf::vectored_in(space, space, address, count).await
    }

    /// The same of ranges in another address space than the array's (process_vm_readv(2)). It is to be
    /// used while that one is active.
    ///
    /// # Errors
    /// As [`vectored`](UserBuf::vectored).
    pub async fn vectored_in(
        reader: &AddressSpace,
        space: &'a AddressSpace,
        address: usize,
        count: usize,
    ) -> Result<Self, AccessError> {
        if count > MAX_SEGMENTS {
            return Err(AccessError::Invalid);
        }
        // Kept while the call waits: a call that cannot have it is refused (rule M10).
        let mut later = fallible::vec(count)?;
        let mut total = 0usize;
        for n in 0..count {
            let at = address.checked_add(16 * n).ok_or(AccessError::BadAddress)?;
            let base = reader.read_word(at).await?;
            let length = reader.read_word(at + 8).await?;
            total = total
                .checked_add(length)
                .filter(|&t| t <= isize::MAX as usize)
                .ok_or(AccessError::Invalid)?;
            check_range(base, length)?;
            later.push((base, length));
        }
        later.reverse();
        let current = later.pop().unwrap_or((0, 0));
        let mut buffer = UserBuf {
            space,
            at: UserMark {
                current,
                later: later.len(),
                remaining: total,
                done: 0,
            },
            later,
        };
        buffer.skip_empty();
        Ok(buffer)
    }

    /// Bytes transferred so far.
    pub fn done(&self) -> usize {
        self.at.done
    }

    /// How far it has come.
    pub fn mark(&self) -> UserMark {
        self.at
    }

    /// Goes back to where it was. What was transferred since then is to be transferred again.
    pub fn rewind(&mut self, mark: UserMark) {
        self.at = mark;
    }

    /// Bytes still to transfer.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.at.remaining
    }

    /// Transfers no more than `limit` further bytes.
    pub fn limit(&mut self, limit: usize) {
        if self.at.remaining <= limit {
            return;
        }
        self.at.remaining = limit;
        let mut left = limit;
        self.at.current.1 = self.at.current.1.min(left);
        left -= self.at.current.1;
        for segment in self.later[..self.at.later].iter_mut().rev() {
            segment.1 = segment.1.min(left);
            left -= segment.1;
        }
    }

    /// Makes the next byte accessible, for [`Access::Write`] as a sink and
    /// [`Access::Read`] as a source.
    ///
    /// # Errors
    /// `EFAULT` when the program has no such right there, `ENOMEM` when memory is out.
    pub async fn fault_in(&mut self, access: Access) -> Result<(), AccessError> {
        if self.at.current.1 == 0 {
            return Ok(());
        }
        self.space.fault_in(self.at.current.0, access).await
    }

    /// Has up to `most` bytes copied until a page is not ready, and says how many. `copy` gets a
    /// frame, the place in it, and which of the bytes belong there.
    fn transfer(
        &mut self,
        most: usize,
        access: Access,
        mut copy: impl FnMut(Frame, usize, Range<usize>),
    ) -> usize {
        assert_active(self.space);
        let mut done = 0;
        while done < most && self.at.current.1 != 0 {
            let (address, length) = self.at.current;
            let Some(frame) = self.space.translate(address, access) else {
                break;
            };
            let offset = address % FRAME_SIZE;
            let part = length.min(most - done).min(FRAME_SIZE - offset);
            copy(frame, offset, done..done + part);
            self.advance(part);
            done += part;
        }
        done
    }

    fn advance(&mut self, bytes: usize) {
        let (address, length) = self.at.current;
        self.at.current = (address + bytes, length - bytes);
        self.at.remaining -= bytes;
        self.at.done += bytes;
        self.skip_empty();
    }

    fn skip_empty(&mut self) {
        while self.at.current.1 == 0 && self.at.later != 0 {
            self.at.later -= 1;
            self.at.current = self.later[self.at.later];
        }
    }
}

impl Sink for UserBuf<'_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        self.transfer(bytes.len(), Access::Write, |frame, offset, part| {
            // SAFETY: the walk says that the program may write the frame, and it stays (see the
            // head of the module).
            unsafe { page_copy::write(frame, offset, &bytes[part]) }
        })
    }
}

impl Source for UserBuf<'_> {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        self.transfer(buffer.len(), Access::Read, |frame, offset, part| {
            // SAFETY: as in `put`, for reading.
            unsafe { page_copy::read(frame, offset, &mut buffer[part]) }
        })
    }
}
