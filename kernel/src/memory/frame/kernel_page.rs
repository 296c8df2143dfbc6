//! A page that only the kernel uses, but that a program caused: the bytes in a pipe.

use super::pool::{OutOfMemory, Purpose};
use super::reference::FrameRef;
use crate::arch::{self, FRAME_SIZE};

/// A frame that no table maps, with one holder. It is taken as programs' memory is: refused when
/// only the reserve is left, and given back when it is dropped.
///
/// A fresh one holds whatever was in the frame before. Its owner gives no byte of it away that it
/// has not written (rule M9).
#[must_use]
pub struct KernelPage(FrameRef);

impl KernelPage {
    /// A fresh page.
    pub fn new() -> Result<KernelPage, OutOfMemory> {
        FrameRef::unfilled(Purpose::User).map(KernelPage)
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8; FRAME_SIZE] {
        let page = arch::frame_ptr(self.0.frame()).cast();
        // SAFETY: the pointer is to a whole frame in the direct map. This is its only reference, and
        // it is in no table: nothing else uses the bytes.
        unsafe { page.as_ref() }
    }

    /// Its bytes, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8; FRAME_SIZE] {
        let mut page = arch::frame_ptr(self.0.frame()).cast();
        // SAFETY: as in `bytes`, and `self` is borrowed alone.
        unsafe { page.as_mut() }
    }
}
