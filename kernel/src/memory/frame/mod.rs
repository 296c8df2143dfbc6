//! Every frame of the machine: its holders, and the free frames (rules M1, M9, M10).
//!
//! The lowest layer of memory. It knows the machine and the counters, and nothing of tables or
//! address spaces. In reading order:
//!
//! | file | what is in it |
//! |---|---|
//! | `count` | the reference count of a frame |
//! | `metadata` | the array with the count of each frame |
//! | `chain` | lists of frames that nothing holds |
//! | `free_map` | the free frames of the pool, as bits; runs of neighbours |
//! | `kernel_page` | a page of the kernel's that a program pays for |
//! | `pool` | the free frames: per-CPU caches, the common pool, the reserve |
//! | `page_copy` | reading, writing and clearing the bytes of a frame |
//! | `zeroed_pool` | free frames that are zeroed already |
//! | `reference` | [`FrameRef`], an owned reference: how a frame is allocated, shared and freed |
//! | `heap_frames` | frames of the kernel's heap |

mod chain;
pub(in crate::memory) mod count;
mod free_map;
mod heap_frames;
pub mod kernel_page;
mod metadata;
pub(in crate::memory) mod page_copy;
mod pool;
mod reference;
pub(in crate::memory) mod zeroed_pool;

pub(in crate::memory) use chain::Chain;
pub use heap_frames::heap_frames;
#[cfg(target_os = "none")]
pub(in crate::memory) use heap_frames::{
    give_back_slab, has_for_heap, take_for_heap, take_for_slab, take_run,
};
#[cfg(all(test, not(loom)))]
pub(in crate::memory) use metadata::set_holders;
pub(in crate::memory) use metadata::{
    HEAP, drop_reference, held, is_sole, mark_occupied, occupancy, table_len, take,
};
pub use metadata::{holders, is_zeroes};
pub use pool::{OutOfMemory, Purpose, ensure_free, ensure_free_bytes, managed_frames};
pub(in crate::memory) use pool::{free, has_room};
pub(in crate::memory) use reference::free_zeroed;
pub use reference::{FrameRef, free_frames};

use crate::arch::{BootInfo, FRAME_SIZE, Frame, PhysRange};

/// Sets the frames' metadata up, in the first free range that has room for it and for `aside`
/// bytes more, which are not managed. Returns where those are.
///
/// # Panics
/// If no free range can hold them: the machine is too small to run anything.
pub(in crate::memory) fn init(boot: &BootInfo, aside: usize) -> PhysRange {
    let table = metadata::bytes(boot.frames).next_multiple_of(FRAME_SIZE) as u64;
    // The frame of zeroes comes behind the table.
    let taken = table + FRAME_SIZE as u64;
    let size = taken + aside.next_multiple_of(FRAME_SIZE) as u64;
    let home = boot
        .free
        .iter()
        .find(|range| range.end - range.start >= size)
        .expect("no free range of memory has room for the frame table");
    for number in 0..taken / FRAME_SIZE as u64 {
        // SAFETY: the range is free memory that nothing else uses yet.
        unsafe { page_copy::zero(Frame::containing(home.start).add(number as u32)) };
    }
    // SAFETY: the frames of `home` are contiguous in the kernel's direct map, free, were zeroed
    // above, and belong to the table from now on.
    let free = unsafe {
        metadata::init(
            Frame::containing(home.start),
            boot.frames,
            Frame::containing(home.start + table),
        )
    };
    let whole = PhysRange {
        start: home.start,
        end: home.start + size,
    };
    pool::init(boot, whole, free);
    heap_frames::init();
    PhysRange {
        start: home.start + taken,
        end: whole.end,
    }
}

/// Makes the per-CPU caches, when there is a heap.
pub(in crate::memory) fn init_caches() {
    pool::init_caches();
}
