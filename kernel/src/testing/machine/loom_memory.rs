//! The physical memory of a simulated machine under `loom`: its frames can be tables, and nothing
//! else, with entries that are `loom`'s atomics.

use crate::arch::atomic::{AtomicU64, Ordering};
use crate::arch::entry::ENTRIES;
use crate::arch::frame::Frame;
use core::cell::OnceCell;
use core::ptr::NonNull;

type Entries = [AtomicU64; ENTRIES];

/// All frames of one machine. Each is made when it is first used.
pub(super) struct Memory(Vec<OnceCell<Box<Entries>>>);

/// Fills a table with zeroes.
///
/// # Safety
/// It is a frame of the machine's memory, the caller's.
pub(super) unsafe fn zero(table: NonNull<u8>) {
    // SAFETY: as the caller says; all frames are tables.
    let entries = unsafe { table.cast::<Entries>().as_ref() };
    for entry in entries {
        // Relaxed: the store that puts the frame into an entry (Release) publishes this.
        entry.store(0, Ordering::Relaxed);
    }
}

/// Copies a table.
///
/// # Safety
/// Both are frames of the machine's memory, and `to` is the caller's.
pub(super) unsafe fn copy(to: NonNull<u8>, from: NonNull<u8>) {
    // SAFETY: as the caller says; all frames are tables.
    let (to, from) = unsafe {
        (
            to.cast::<Entries>().as_ref(),
            from.cast::<Entries>().as_ref(),
        )
    };
    for (to, from) in to.iter().zip(from) {
        // Relaxed: as for `zero`.
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Memory {
    /// So many frames of zeroes.
    pub fn new(frames: usize) -> Memory {
        Memory((0..frames).map(|_| OnceCell::new()).collect())
    }

    /// Where a frame is.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn frame(&self, frame: Frame) -> NonNull<u8> {
        let fresh = || Box::new(core::array::from_fn(|_| AtomicU64::new(0)));
        let entries = self.0[frame.number() as usize].get_or_init(fresh);
        NonNull::from(&**entries).cast()
    }
}
