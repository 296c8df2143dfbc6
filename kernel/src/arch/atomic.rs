//! Atomics, switched between `core` and `loom`.
//!
//! The small protocols of the memory system, which are model-checked, take theirs from
//! here, so that the code that ships is the code that is checked (`memory/models`).

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
mod modelled;

#[cfg(loom)]
pub(crate) use {
    loom::sync::atomic::{Ordering, fence},
    modelled::{AtomicU32, AtomicU64},
};

/// A load that comes after all sequentially consistent operations which this CPU has done
/// before: the second half of a Dekker pair.
pub(crate) fn load_after(atomic: &AtomicU64) -> u64 {
    // `loom` orders sequentially consistent fences, but takes such loads for acquire loads.
    #[cfg(loom)]
    fence(Ordering::SeqCst);
    atomic.load(Ordering::SeqCst)
}
