//! Memory for a thread's stack.

use crate::sys::Result;
use crate::sys::memory::{self, PAGE, Protection, Sharing};

/// A mapping for one thread, with a page below that faults. Nothing unmaps it by itself.
#[derive(Clone, Copy)]
pub struct Stack {
    start: usize,
}

impl Stack {
    /// What a thread may use.
    pub const SIZE: usize = 64 * 1024;

    pub fn map() -> Result<Self> {
        let start = memory::map(PAGE + Self::SIZE, Protection::READ_WRITE, Sharing::Private)?;
        let stack = Self { start };
        // SAFETY: fresh memory that is not in use yet.
        if let Err(errno) = unsafe { memory::protect(start, PAGE, Protection::NONE) } {
            // SAFETY: as above.
            unsafe { stack.unmap() };
            return Err(errno);
        }
        Ok(stack)
    }

    /// The end of the stack, where it begins to grow down.
    pub fn top(self) -> usize {
        self.start + PAGE + Self::SIZE
    }

    /// # Safety
    /// The memory is no longer in use.
    pub unsafe fn unmap(self) {
        // It can fail for want of memory only, and then the mapping stays.
        // SAFETY: by the caller's word.
        let _ = unsafe { memory::unmap(self.start, PAGE + Self::SIZE) };
    }
}
