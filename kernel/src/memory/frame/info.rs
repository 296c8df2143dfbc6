//! The metadata of frames (rule M1), an array in memory of its own.

use super::Frame;
use crate::arch::atomic;
use crate::memory::frame::count::RefCount;
use core::sync::atomic::AtomicU32;

/// Metadata of one frame. All zeroes are of a free one.
pub(super) struct FrameInfo {
    pub count: RefCount,
    /// While the count is 0: the next frame of the chain that this one is on. Otherwise
    /// [`HEAP`](super::HEAP) for a frame of the kernel's heap.
    pub link: AtomicU32,
    /// Of a table: see `occupancy.rs`.
    pub occupancy: atomic::AtomicU32,
}

/// Makes that of the frames 0 to `frames`, in memory that begins at `home`.
///
/// # Safety
/// The memory is zeroed, long enough, contiguous in the kernel's direct map, and nobody else's
/// for good.
#[cfg(not(loom))]
pub(super) unsafe fn at(home: Frame, frames: usize) -> &'static [FrameInfo] {
    let first = crate::arch::frame_ptr(home).cast::<FrameInfo>();
    // SAFETY: as the caller promises; a frame is aligned, and zeroes are valid.
    unsafe { core::slice::from_raw_parts(first.as_ptr(), frames) }
}

/// The same, but `loom`'s atomics are made one by one, and are not in the machine's memory.
#[cfg(loom)]
pub(super) unsafe fn at(_home: Frame, frames: usize) -> &'static [FrameInfo] {
    let info = || FrameInfo {
        count: RefCount::new(),
        link: AtomicU32::new(0),
        occupancy: atomic::AtomicU32::new(0),
    };
    let all: alloc::vec::Vec<_> = (0..frames).map(|_| info()).collect();
    all.leak()
}
