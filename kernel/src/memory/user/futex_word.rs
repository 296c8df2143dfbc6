//! A word of user memory as an atomic, for futexes.
//!
//! What is done to the word has to happen with a lock of the caller's held, so nothing here
//! that touches it waits: the word is there, or the caller lets go of its lock, makes the page
//! ready, and begins again.

use super::copy::check_range;
use super::error::AccessError;
use crate::arch::{Access, FRAME_SIZE};
use crate::memory::frame::page_copy;
use crate::memory::object::Object;
use crate::memory::space::address_space::AddressSpace;
use crate::memory::space::current::assert_active;
use crate::memory::vma::vm_area::Backing;
use alloc::sync::Arc;
use core::sync::atomic::AtomicU32;

impl AddressSpace {
    /// Runs `f` on the word if the tables allow the access right now. `f` does not wait. The
    /// address is one that [`check_futex_word`] has let pass.
    pub fn try_with_futex_word<T>(
        &self,
        address: usize,
        access: Access,
        f: impl FnOnce(&AtomicU32) -> T,
    ) -> Option<T> {
        assert_active(self);
        let frame = self.translate(address, access)?;
        // SAFETY: the walk says that the program may do this to the frame, and the frame stays
        // until the next await, which is not in `f` (see the head of `user`).
        Some(f(unsafe { page_copy::word(frame, address % FRAME_SIZE) }))
    }

    /// Makes the page ready for [`try_with_futex_word`](Self::try_with_futex_word).
    ///
    /// # Errors
    /// `EFAULT` when the program has no such right there, `ENOMEM` when memory is out.
    pub async fn fault_in_futex_word(
        &self,
        address: usize,
        access: Access,
    ) -> Result<(), AccessError> {
        self.fault_in(address, access).await
    }

    /// The object and the byte in it that an address means, if it is in a shared mapping;
    /// `None` if it is in a private one.
    ///
    /// # Errors
    /// `EFAULT` when nothing is mapped there, or nothing that may be used.
    pub async fn shared_place(
        &self,
        address: usize,
    ) -> Result<Option<(Arc<Object>, u64)>, AccessError> {
        let mappings = self.mmap_lock.read().await;
        let vma = mappings.vmas.find(address);
        let vma = vma.filter(|vma| !vma.protection.is_empty());
        let vma = vma.ok_or(AccessError::BadAddress)?;
        Ok(match &vma.backing {
            Backing::Shared(object, offset) => {
                Some((object.clone(), offset + (address - vma.start) as u64))
            }
            _ => None,
        })
    }
}

/// Whether a word can be there.
///
/// # Errors
/// `EINVAL` for an address that is not a multiple of four, `EFAULT` beyond user memory.
pub fn check_futex_word(address: usize) -> Result<(), AccessError> {
    if !address.is_multiple_of(4) {
        return Err(AccessError::Invalid);
    }
    check_range(address, 4)
}
