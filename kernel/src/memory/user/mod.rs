//! The kernel's access to user memory (rule M8).
//!
//! The kernel never uses an address of a program itself. It walks the program's tables as
//! the processor would, takes no more rights than the program has, and reads or writes
//! the frame through its own mapping. So SMAP is always on, a wild pointer cannot hurt,
//! and a fault is an ordinary answer: [`fault`](AddressSpace::fault) does what it does
//! for a fault from ring 3.
//!
//! What the walk finds is like an entry in this CPU's TLB: the frame stays until this CPU
//! acknowledges the shootdown, which it does not do inside these functions, none of which
//! waits between walk and access.

pub(in crate::memory) mod futex_word;

use crate::arch::Access;
use crate::arch::FRAME_SIZE;
use crate::arch::Frame;
use crate::arch::level::{USER_END, page_of};
use crate::arch::paging::Bits;
use crate::errno::Errno;
use crate::memory::frame::page_copy;
use crate::memory::object::transfer::{Sink, Source};
use crate::memory::space::AddressSpace;
use crate::memory::space::fault::FaultError;
use crate::memory::tlb::shootdown;
use alloc::vec::Vec;
use core::ops::Range;

/// The most segments of one vectored transfer, as Linux's UIO_MAXIOV.
pub const MAX_SEGMENTS: usize = 1024;

impl AddressSpace {
    /// The frame for an access that the tables allow right now.
    pub(in crate::memory) fn translate(&self, address: usize, access: Access) -> Option<Frame> {
        if address >= USER_END {
            return None;
        }
        let (entry, writable) = self.look_up(address)?;
        let allowed = entry.bits().contains(Bits::USER) && (access != Access::Write || writable);
        entry.frame().filter(|_| allowed)
    }

    /// Copies bytes into user memory until a page is not ready. Returns how many.
    fn put_ready(&self, address: usize, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done;
            let Some(frame) = self.translate(at, Access::Write) else {
                break;
            };
            let length = (bytes.len() - done).min(FRAME_SIZE - at % FRAME_SIZE);
            // SAFETY: the walk says that the program may write the frame, and it stays (see the
            // head of the module).
            unsafe { page_copy::write(frame, at % FRAME_SIZE, &bytes[done..done + length]) };
            done += length;
        }
        done
    }

    /// Copies bytes out of user memory until a page is not ready. Returns how many.
    fn take_ready(&self, address: usize, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done;
            let Some(frame) = self.translate(at, Access::Read) else {
                break;
            };
            let length = (buffer.len() - done).min(FRAME_SIZE - at % FRAME_SIZE);
            // SAFETY: as in `put_ready`, for reading.
            unsafe { page_copy::read(frame, at % FRAME_SIZE, &mut buffer[done..done + length]) };
            done += length;
        }
        done
    }

    pub(in crate::memory) async fn fault_in(
        &self,
        address: usize,
        access: Access,
    ) -> Result<(), Errno> {
        if address >= USER_END {
            return Err(Errno::EFAULT);
        }
        self.fault(address, access)
            .await
            .map_err(|error| match error {
                FaultError::OutOfMemory => Errno::ENOMEM,
                FaultError::NotMapped | FaultError::NotAllowed | FaultError::BeyondEnd => {
                    Errno::EFAULT
                }
            })
    }

    /// Writes bytes to user memory. Bytes before a bad address may have been written.
    pub async fn write_bytes(&self, address: usize, bytes: &[u8]) -> Result<(), Errno> {
        check_range(address, bytes.len())?;
        let mut done = 0;
        loop {
            shootdown::assert_active(self);
            done += self.put_ready(address + done, &bytes[done..]);
            if done == bytes.len() {
                return Ok(());
            }
            self.fault_in(address + done, Access::Write).await?;
        }
    }

    /// Reads bytes from user memory.
    pub async fn read_bytes(&self, address: usize, buffer: &mut [u8]) -> Result<(), Errno> {
        check_range(address, buffer.len())?;
        let mut done = 0;
        loop {
            shootdown::assert_active(self);
            done += self.take_ready(address + done, &mut buffer[done..]);
            if done == buffer.len() {
                return Ok(());
            }
            self.fault_in(address + done, Access::Read).await?;
        }
    }

    /// Reads one machine word.
    pub async fn read_word(&self, address: usize) -> Result<usize, Errno> {
        let mut bytes = [0; 8];
        self.read_bytes(address, &mut bytes).await?;
        Ok(usize::from_le_bytes(bytes))
    }

    /// Reads a string up to its zero byte, which is not part of the result.
    ///
    /// # Errors
    /// `EFAULT` for a bad address, `ENAMETOOLONG` when there is no zero among the first
    /// `max` bytes.
    pub async fn read_string(&self, address: usize, max: usize) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        let mut chunk = [0; 256];
        while string.len() < max {
            let at = address.checked_add(string.len()).ok_or(Errno::EFAULT)?;
            // Not beyond the page: what follows the string need not be mapped.
            let length = chunk
                .len()
                .min(max - string.len())
                .min(FRAME_SIZE - at % FRAME_SIZE);
            self.read_bytes(at, &mut chunk[..length]).await?;
            let text = &chunk[..length];
            match text.iter().position(|&byte| byte == 0) {
                Some(end) => {
                    string.extend_from_slice(&text[..end]);
                    return Ok(string);
                }
                None => string.extend_from_slice(text),
            }
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// Writes to an address space that nobody is in yet: a program's first stack.
    pub fn write_while_private(&self, address: usize, bytes: &[u8]) -> Result<(), FaultError> {
        let mut done = 0;
        while done < bytes.len() {
            done += self.put_ready(address + done, &bytes[done..]);
            if done < bytes.len() {
                self.fault_while_private(address + done, Access::Write)?;
            }
        }
        Ok(())
    }

    /// Fills with zeroes, in an address space that nobody is in yet: what follows a
    /// program's data in its last page.
    pub fn clear_while_private(&self, address: usize, length: usize) -> Result<(), FaultError> {
        const ZEROES: [u8; 256] = [0; 256];
        let mut done = 0;
        while done < length {
            let chunk = (length - done).min(ZEROES.len());
            self.write_while_private(address + done, &ZEROES[..chunk])?;
            done += chunk;
        }
        Ok(())
    }

    /// The physical frame of a page that is there, for /proc/self/pagemap.
    pub fn frame_at(&self, address: usize) -> Option<Frame> {
        shootdown::assert_active(self);
        if address >= USER_END {
            return None;
        }
        self.look_up(page_of(address))?.0.frame()
    }
}

/// No user range wraps or reaches beyond a program's addresses.
pub(in crate::memory) fn check_range(address: usize, length: usize) -> Result<(), Errno> {
    match address.checked_add(length) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Memory of the calling program as the place of a transfer: one range or several.
///
/// As [`Sink`] or [`Source`] it does what is possible at once. When it stops early, let
/// go of all locks, call [`fault_in`](UserBuf::fault_in), and go on.
#[derive(Clone)]
pub struct UserBuf<'a> {
    space: &'a AddressSpace,
    current: (usize, usize),
    /// Segments after the current one, the next one last.
    later: Vec<(usize, usize)>,
    done: usize,
}

impl<'a> UserBuf<'a> {
    /// One range.
    ///
    /// # Errors
    /// `EFAULT` when it reaches beyond user memory. What is mapped there is not looked at
    /// yet.
    pub fn new(space: &'a AddressSpace, address: usize, length: usize) -> Result<Self, Errno> {
        check_range(address, length)?;
        Ok(UserBuf {
            space,
            current: (address, length),
            later: Vec::new(),
            done: 0,
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
    ) -> Result<Self, Errno> {
        if count > MAX_SEGMENTS {
            return Err(Errno::EINVAL);
        }
        let mut later = Vec::with_capacity(count);
        let mut total = 0usize;
        for n in 0..count {
            let at = address.checked_add(16 * n).ok_or(Errno::EFAULT)?;
            let base = space.read_word(at).await?;
            let length = space.read_word(at + 8).await?;
            total = total
                .checked_add(length)
                .filter(|&t| t <= isize::MAX as usize)
                .ok_or(Errno::EINVAL)?;
            check_range(base, length)?;
            later.push((base, length));
        }
        later.reverse();
        let current = later.pop().unwrap_or((0, 0));
        let mut buffer = UserBuf {
            space,
            current,
            later,
            done: 0,
        };
        buffer.skip_empty();
        Ok(buffer)
    }

    /// Bytes transferred so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Bytes still to transfer.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.current.1 + self.later.iter().map(|(_, length)| length).sum::<usize>()
    }

    /// Transfers no more than `limit` further bytes.
    pub fn limit(&mut self, limit: usize) {
        if self.later.is_empty() {
            self.current.1 = self.current.1.min(limit);
            return;
        }
        let mut left = limit;
        self.current.1 = self.current.1.min(left);
        left -= self.current.1;
        for segment in self.later.iter_mut().rev() {
            segment.1 = segment.1.min(left);
            left -= segment.1;
        }
    }

    /// Makes the next byte accessible, for [`Access::Write`] as a sink and
    /// [`Access::Read`] as a source.
    ///
    /// # Errors
    /// `EFAULT` when the program has no such right there, `ENOMEM` when memory is out.
    pub async fn fault_in(&mut self, access: Access) -> Result<(), Errno> {
        if self.current.1 == 0 {
            return Ok(());
        }
        self.space.fault_in(self.current.0, access).await
    }

    /// Has up to `most` bytes copied until a page is not ready, and says how many. `copy` gets a
    /// frame, the place in it, and which of the bytes belong there.
    fn transfer(
        &mut self,
        most: usize,
        access: Access,
        mut copy: impl FnMut(Frame, usize, Range<usize>),
    ) -> usize {
        shootdown::assert_active(self.space);
        let mut done = 0;
        while done < most && self.current.1 != 0 {
            let (address, length) = self.current;
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
        self.current = (self.current.0 + bytes, self.current.1 - bytes);
        self.done += bytes;
        self.skip_empty();
    }

    fn skip_empty(&mut self) {
        while self.current.1 == 0 {
            match self.later.pop() {
                Some(next) => self.current = next,
                None => return,
            }
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
