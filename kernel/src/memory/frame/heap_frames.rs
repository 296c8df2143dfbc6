//! The frames of the kernel's heap and of the tables that map it.

use crate::arch::PerMachine;
use core::sync::atomic::{AtomicUsize, Ordering};

#[cfg(target_os = "none")]
use super::{
    metadata,
    pool::{OutOfMemory, Purpose},
    reference::{FrameRef, free_frames},
};

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
pub(in crate::memory) fn take_for_heap() -> Result<crate::arch::Frame, OutOfMemory> {
    let frame = FrameRef::zeroed(Purpose::Kernel)?.into_entry();
    metadata::mark_heap(frame);
    TAKEN.get().fetch_add(1, Ordering::Relaxed);
    Ok(frame)
}

/// Whether the kernel's heap can grow by so many frames, and the tables for them.
#[cfg(target_os = "none")]
pub(in crate::memory) fn has_for_heap(frames: usize) -> bool {
    const TABLES: usize = 4;
    free_frames() >= frames + frames / crate::arch::paging::ENTRIES + TABLES
}
