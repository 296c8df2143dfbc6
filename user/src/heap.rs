//! The heap, for the programs that use `alloc`. It takes memory from the kernel on first use,
//! so a program without allocations pays nothing for it.

use core::alloc::Layout;

use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use crate::sys::memory::{self, Protection, Sharing};

#[global_allocator]
static HEAP: TalcLock<spin::Mutex<()>, Mapped> = TalcLock::new(Mapped);

/// Keeps the other threads from the heap: for a fork, as with [`crate::io::hold`].
pub(crate) fn hold() -> impl Sized {
    HEAP.lock()
}

/// What is asked for at least.
const STEP: usize = 64 * 1024;

/// Takes memory from `mmap`, and keeps it.
#[derive(Debug)]
struct Mapped;

// SAFETY: `acquire` allocates by a system call, never through the allocator that it serves.
unsafe impl Source for Mapped {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let overhead = talc::min_first_heap_size::<B>() + layout.align() + 4 * memory::PAGE;
        let needed = layout.size().checked_add(overhead).ok_or(())?;
        let size = needed.checked_next_multiple_of(STEP).ok_or(())?;
        let start = memory::map(size, Protection::READ_WRITE, Sharing::Private).map_err(drop)?;
        // SAFETY: fresh memory that no other code knows of, and that is never unmapped.
        unsafe { talc.claim(start as *mut u8, size) }
            .map(drop)
            .ok_or(())
    }
}
