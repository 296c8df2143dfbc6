//! The frames of the kernel's heap and of the tables that map it.

use crate::arch::PerMachine;
use core::sync::atomic::{AtomicUsize, Ordering};

#[cfg(target_os = "none")]
use super::{
    metadata,
    pool::{self, OutOfMemory, Purpose},
    reference::{FrameRef, allocate, free_frames},
};
#[cfg(target_os = "none")]
use crate::arch::Frame;

static TAKEN: PerMachine<AtomicUsize> = PerMachine::new();

pub(super) fn init() {
    TAKEN.init(AtomicUsize::new(0));
}

/// Frames that the kernel's heap has taken, its tables included.
pub fn heap_frames() -> usize {
    TAKEN.get().load(Ordering::Relaxed)
}

/// Takes a frame for the kernel's heap, for good, and marks it as such.
#[cfg(target_os = "none")]
pub(in crate::memory) fn take_for_heap() -> Result<Frame, OutOfMemory> {
    let frame = FrameRef::zeroed(Purpose::Kernel)?.into_entry();
    metadata::mark_heap(frame);
    TAKEN.get().fetch_add(1, Ordering::Relaxed);
    Ok(frame)
}

/// Takes a frame with any contents for a slab of the kernel's heap, and marks it as such.
#[cfg(target_os = "none")]
pub(in crate::memory) fn take_for_slab() -> Result<Frame, OutOfMemory> {
    let frame = allocate(Purpose::Kernel)?;
    metadata::mark_heap(frame);
    TAKEN.get().fetch_add(1, Ordering::Relaxed);
    Ok(frame)
}

/// Takes frames that are neighbours for a large object of the kernel's heap, with any contents.
#[cfg(target_os = "none")]
pub(in crate::memory) fn take_run(count: usize) -> Result<Frame, OutOfMemory> {
    let first = pool::allocate_run(count).ok_or(OutOfMemory)?;
    for number in 0..count as u32 {
        metadata::mark_heap(metadata::claim(first.add(number)));
    }
    TAKEN.get().fetch_add(count, Ordering::Relaxed);
    Ok(first)
}

/// Gives a frame back that [`take_run`] or [`take_for_slab`] has given.
#[cfg(target_os = "none")]
pub(in crate::memory) fn give_back_slab(frame: Frame) {
    TAKEN.get().fetch_sub(1, Ordering::Relaxed);
    // SAFETY: the caller owns the reference that was made when it was taken, and no page table of a
    // program has the frame.
    drop(unsafe { FrameRef::from_entry(frame) });
}

/// Whether the kernel's heap can grow by so many frames, and the tables for them.
#[cfg(target_os = "none")]
pub(in crate::memory) fn has_for_heap(frames: usize) -> bool {
    const TABLES: usize = 4;
    free_frames() >= frames + frames / crate::arch::paging::ENTRIES + TABLES
}
