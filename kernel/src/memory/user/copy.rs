//! Copies between the kernel and user memory (rule M8).

use super::error::AccessError;
use crate::arch::level::{USER_END, page_of};
use crate::arch::paging::Bits;
use crate::arch::{self, Access, FRAME_SIZE, Frame};
use crate::memory::frame::page_copy;
use crate::memory::planted::{Planted, planted};
use crate::memory::space::address_space::AddressSpace;
use crate::memory::space::current::assert_active;
use crate::memory::space::error::FaultError;
use alloc::vec::Vec;

impl AddressSpace {
    /// The frame for an access that the tables allow right now.
    pub(in crate::memory) fn translate(&self, address: usize, access: Access) -> Option<Frame> {
        if address >= USER_END {
            return None;
        }
        let (entry, writable) = if planted(Planted::KernelLeavesNoTrace) {
            let found = self.look_up(address)?;
            // Other CPUs go on between the walk and the use of what it has found.
            (0..40).for_each(|_| arch::scheduling_point());
            found
        } else {
            self.access(address)?
        };
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
    ) -> Result<(), AccessError> {
        if address >= USER_END {
            return Err(AccessError::BadAddress);
        }
        Ok(self.fault(address, access).await?)
    }

    /// Writes bytes to user memory. Bytes before a bad address may have been written.
    pub async fn write_bytes(&self, address: usize, bytes: &[u8]) -> Result<(), AccessError> {
        check_range(address, bytes.len())?;
        let mut done = 0;
        loop {
            assert_active(self);
            done += self.put_ready(address + done, &bytes[done..]);
            if done == bytes.len() {
                return Ok(());
            }
            self.fault_in(address + done, Access::Write).await?;
        }
    }

    /// Reads bytes from user memory.
    pub async fn read_bytes(&self, address: usize, buffer: &mut [u8]) -> Result<(), AccessError> {
        check_range(address, buffer.len())?;
        let mut done = 0;
        loop {
            assert_active(self);
            done += self.take_ready(address + done, &mut buffer[done..]);
            if done == buffer.len() {
                return Ok(());
            }
            self.fault_in(address + done, Access::Read).await?;
        }
    }

    /// Reads one machine word.
    pub async fn read_word(&self, address: usize) -> Result<usize, AccessError> {
        let mut bytes = [0; 8];
        self.read_bytes(address, &mut bytes).await?;
        Ok(usize::from_le_bytes(bytes))
    }

    /// Reads a string up to its zero byte, which is not part of the result.
    ///
    /// # Errors
    /// [`AccessError::TooLong`] when there is no zero among the first `max` bytes.
    pub async fn read_string(&self, address: usize, max: usize) -> Result<Vec<u8>, AccessError> {
        let mut string = Vec::new();
        let mut chunk = [0; 256];
        while string.len() < max {
            let at = address
                .checked_add(string.len())
                .ok_or(AccessError::BadAddress)?;
            // Not beyond the page: what follows the string need not be mapped.
            let length = chunk
                .len()
                .min(max - string.len())
                .min(FRAME_SIZE - at % FRAME_SIZE);
            self.read_bytes(at, &mut chunk[..length]).await?;
            let text = &chunk[..length];
            match text.iter().position(|&byte| byte == 0) {
                Some(end) => {
                    append(&mut string, &text[..end])?;
                    return Ok(string);
                }
                None => append(&mut string, text)?,
            }
        }
        Err(AccessError::TooLong)
    }

    /// Writes to an address space that no CPU is in yet: a program's first stack.
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

    /// Fills with zeroes, in an address space that no CPU is in yet: what follows a
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
        assert_active(self);
        if address >= USER_END {
            return None;
        }
        self.look_up(page_of(address))?.0.frame()
    }
}

/// No user range wraps or reaches beyond a program's addresses.
pub(in crate::memory) fn check_range(address: usize, length: usize) -> Result<(), AccessError> {
    match address.checked_add(length) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(AccessError::BadAddress),
    }
}

/// Adds bytes to a string. It may be the name of a file that is to be removed, so it may use the
/// reserve (rule M10): it is short, and is gone when the call is over.
fn append(string: &mut Vec<u8>, bytes: &[u8]) -> Result<(), AccessError> {
    let reserved = string.try_reserve(bytes.len());
    reserved.map_err(|_| AccessError::OutOfMemory)?;
    string.extend_from_slice(bytes);
    Ok(())
}
