//! The kernel's heap: the allocator crate `talc` over a range of kernel addresses that
//! grows a chunk at a time.
//!
//! It grows into the frames' reserve, and does not shrink. When there is not one frame
//! left an allocation fails, which ends the kernel; `admit` in `frames.rs` is there so
//! that programs get `ENOMEM` long before.
//!
//! Each CPU keeps some of the small pieces that it has freed (`kept.rs`).

use super::FRAME_SIZE;
use super::kept::Kept;
use super::{frames, reclaim};
use crate::arch;
use crate::arch::paging::Bits;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;
use talc::sync::TalcLock;

/// How many steps of reclaim are taken before an allocation fails. Nothing on that way takes
/// memory from the heap, which is locked meanwhile.
const HELP: usize = 256;
/// How much it grows at the least.
const STEP: usize = 16 * FRAME_SIZE;

#[global_allocator]
static HEAP: Heap = Heap(Kept::new(TalcLock::new(Growing {
    end: None,
    mapped: arch::HEAP,
})));

struct Heap(Kept<TalcLock<spin::Mutex<()>, Growing, DefaultBinning>>);

// SAFETY: all three are those of `Kept`, whose contracts are the same.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.0.allocate(arch::cpu().0, layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.release(arch::cpu().0, pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.0.resize(arch::cpu().0, pointer, layout, size) }
    }
}

/// Lets each CPU keep pieces, when their number is known.
pub(super) fn init_kept() {
    HEAP.0.init(arch::cpu_count());
}

/// Maps further frames behind the heap when it is full.
#[derive(Debug)]
struct Growing {
    end: Option<NonNull<u8>>,
    mapped: usize,
}

// SAFETY: the pointer is to the heap's end, and used under the heap's lock only.
unsafe impl Send for Growing {}

// SAFETY: `acquire` takes frames from the frame table, which does not use the heap.
unsafe impl Source for Growing {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let needed = layout.size() + layout.align() + FRAME_SIZE;
        // What cannot be had takes nothing: a large allocation that fails, as it may, leaves the
        // last frames to the small ones, which must not fail.
        let fits = || {
            [STEP, FRAME_SIZE]
                .map(|step| needed.next_multiple_of(step))
                .into_iter()
                .find(|wanted| frames::has_for_heap(wanted / FRAME_SIZE))
        };
        let wanted = fits()
            .or_else(|| reclaim::help_everywhere(HELP).then(fits).flatten())
            .ok_or(())?;
        let start = talc.source.mapped;
        for address in (start..start + wanted).step_by(FRAME_SIZE) {
            let bits = Bits::PRESENT | Bits::WRITE | Bits::GLOBAL | Bits::NO_EXECUTE;
            let frame = frames::take_for_heap().map_err(|_| ())?;
            if !arch::map_kernel(address, frame, bits, &mut || frames::take_for_heap().ok()) {
                return Err(());
            }
            talc.source.mapped = address + FRAME_SIZE;
        }
        let end = talc.source.mapped as *mut u8;
        talc.source.end = match talc.source.end {
            // SAFETY: the pages behind the old end were mapped just now, writable, at
            // addresses that are the heap's alone.
            Some(old) => Some(unsafe { talc.extend(old, end) }),
            // SAFETY: as above, for all of the heap.
            None => unsafe { talc.claim(arch::HEAP as *mut u8, end.addr() - arch::HEAP) },
        };
        Ok(())
    }
}
