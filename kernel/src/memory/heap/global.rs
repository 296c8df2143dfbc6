//! The kernel's heap.
//!
//! Small objects are in slabs of one frame each, and a large one in frames that are neighbours, where
//! there are such (`slabs.rs`): these frames go back. In front of them each CPU keeps some of the small
//! objects that it has freed (`slab_cache.rs`). Only what finds no run of free frames comes from the
//! allocator crate `talc`, over a range of kernel addresses that grows a chunk at a time and does
//! not shrink.
//!
//! The heap grows into the frames' reserve. An allocation that finds no frame fails.

use super::slab_cache::SlabCache;
use super::slabs::{Pages, Slabs};
use crate::arch::paging::Bits;
use crate::arch::{self, FRAME_SIZE, HEAP as HEAP_START, PerMachine};
use crate::memory::fault_injection;
use crate::memory::frame::{self, OutOfMemory};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;
use talc::sync::TalcLock;

/// How many steps of reclaim are taken before an allocation fails.
const RECLAIM_STEPS: usize = 256;
/// The addresses of what `talc` manages: one entry of a root.
const HEAP_SIZE: usize = 1 << 39;
/// How much it grows at the least.
const STEP: usize = 16 * FRAME_SIZE;

#[global_allocator]
static HEAP: Heap = Heap(SlabCache::new(Slabs::new(
    Frames,
    TalcLock::new(Growing {
        end: None,
        mapped: HEAP_START,
    }),
)));

type Large = TalcLock<spin::Mutex<()>, Growing, DefaultBinning>;

struct Heap(SlabCache<Slabs<Frames, Large>>);

/// The frames of slabs, by way of the direct map.
struct Frames;

// SAFETY: a frame that was taken is the heap's alone until it is given back, and the direct map
// has all of it.
unsafe impl Pages for Frames {
    fn take(&self) -> Option<NonNull<u8>> {
        let frame = frame::take_for_slab();
        let frame = frame.or_else(|_| match reclaim() {
            true => frame::take_for_slab(),
            false => Err(OutOfMemory),
        });
        frame.ok().map(arch::frame_ptr)
    }

    fn give(&self, page: NonNull<u8>) {
        frame::give_back_slab(arch::frame_at(page));
    }

    fn take_run(&self, pages: usize) -> Option<NonNull<u8>> {
        frame::take_run(pages).ok().map(arch::frame_ptr)
    }

    fn has_given(&self, pointer: *mut u8) -> bool {
        !(HEAP_START..HEAP_START + HEAP_SIZE).contains(&pointer.addr())
    }
}

// SAFETY: all three are those of `SlabCache`, whose contracts are the same.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fault_injection::check_heap().is_err() {
            return ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { self.0.allocate(arch::cpu().0, layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.release(arch::cpu().0, pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && fault_injection::check_heap().is_err() {
            return ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { self.0.resize(arch::cpu().0, pointer, layout, size) }
    }
}

/// Reclaims up to so many references, on all CPUs, and says whether there were any.
type Reclaim = fn(usize) -> bool;

/// What is above this layer and may have memory that nothing uses any more.
static RECLAIM: PerMachine<Reclaim> = PerMachine::new();

/// Gives each CPU its slab cache, when the number of CPUs is known. `reclaim` is called before an
/// allocation fails; it takes no memory from the heap, which is locked meanwhile.
pub(in crate::memory) fn init(reclaim: Reclaim) {
    HEAP.0.init(arch::cpu_count());
    RECLAIM.init(reclaim);
}

/// Reclaims some references, on all CPUs. Returns whether there were any.
fn reclaim() -> bool {
    RECLAIM
        .try_get()
        .is_some_and(|reclaim| reclaim(RECLAIM_STEPS))
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
                .find(|wanted| frame::has_for_heap(wanted / FRAME_SIZE))
        };
        let wanted = fits()
            .or_else(|| reclaim().then(fits).flatten())
            .ok_or(())?;
        let start = talc.source.mapped;
        for address in (start..start + wanted).step_by(FRAME_SIZE) {
            let bits = Bits::PRESENT | Bits::WRITE | Bits::GLOBAL | Bits::NO_EXECUTE;
            let frame = frame::take_for_heap().map_err(|_| ())?;
            if !arch::map_kernel(address, frame, bits, &mut || frame::take_for_heap().ok()) {
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
            None => unsafe { talc.claim(HEAP_START as *mut u8, end.addr() - HEAP_START) },
        };
        Ok(())
    }
}
