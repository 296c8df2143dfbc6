//! Owned references to frames (rules M1, M9): how frames are had, shared and given back.

use super::count::{Dropped, TooManyHolders};
use super::metadata::{self, claim, drop_reference, holders, take};
use super::pool::{self, OutOfMemory, Purpose};
use super::{page_copy, zeroed_pool};
use crate::arch::Frame;
use crate::memory::fault_injection;
use crate::memory::planted::{Planted, planted};
use crate::memory::stats::counters::{Counter, count};
use core::mem;

/// A fresh frame with the caller as its only holder. Nothing is known of its bytes.
pub(super) fn allocate(purpose: Purpose) -> Result<Frame, OutOfMemory> {
    let found = pool::allocate(purpose).or_else(take_last);
    if found.is_none() {
        count(Counter::AllocationsFailed);
    }
    found.map(claim).ok_or(OutOfMemory)
}

/// A free frame from where the pool does not look: the zeroed ones, and other CPUs' caches.
#[cold]
fn take_last() -> Option<Frame> {
    zeroed_pool::give_back().or_else(pool::take_from_any_cache)
}

/// As [`pool::free`], for a frame that the caller has left full of zeroes (rule M9).
pub(in crate::memory) fn free_zeroed(frame: Frame) {
    assert!(
        holders(frame) == 0,
        "M1: {frame:?} was freed while it is held"
    );
    match zeroed_pool::put(frame) {
        Ok(()) => count(Counter::FramesFreed),
        Err(frame) => pool::free(frame),
    }
}

/// Free frames, those in all CPUs' caches and the zeroed ones included.
pub fn free_frames() -> usize {
    pool::len() + zeroed_pool::len()
}

/// An owned reference to a frame, counted (rule M1).
///
/// Dropping it drops the reference at once. So it is for frames which no page table
/// of this holder points to: fresh ones, and those that a kernel object owns. A
/// reference that sits in a table entry has no `FrameRef`; it leaves the entry as a
/// `Retired` (in `reclaim/retired.rs`), which waits for the shootdown (rule M2).
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub struct FrameRef(Frame);

impl FrameRef {
    /// A fresh frame full of zeroes (rule M9).
    pub fn zeroed(purpose: Purpose) -> Result<FrameRef, OutOfMemory> {
        if purpose == Purpose::User {
            fault_injection::check()?;
            if let Some(frame) = zeroed_pool::take() {
                debug_assert!(page_copy::is_zero(frame), "M9: {frame:?} is not zeroed");
                return Ok(FrameRef(claim(frame)));
            }
        }
        let frame = allocate(purpose)?;
        if !planted(Planted::NotZeroed) {
            // SAFETY: the frame is fresh: nothing else has it.
            unsafe { page_copy::zero(frame) };
        }
        Ok(FrameRef(frame))
    }

    /// A fresh frame with anything in it: for what gives no byte of it away before it has written it
    /// (rule M9).
    pub(super) fn unfilled(purpose: Purpose) -> Result<FrameRef, OutOfMemory> {
        fault_injection::check()?;
        allocate(purpose).map(FrameRef)
    }

    /// The frame of zeroes, which is never written and has many holders.
    pub fn zeroes() -> FrameRef {
        FrameRef(metadata::all().zeroes)
    }

    /// A fresh frame with the contents of `original` (rule M9), which the caller holds or
    /// which this CPU can reach through the tables it is active on.
    ///
    /// # Safety
    /// `original` must stay allocated during the call.
    pub unsafe fn copy_of(original: Frame) -> Result<FrameRef, OutOfMemory> {
        fault_injection::check()?;
        let frame = allocate(Purpose::User)?;
        if !planted(Planted::NotFilled) {
            // SAFETY: the fresh frame is ours alone, and the caller keeps the original.
            unsafe { page_copy::copy(original, frame) };
        }
        Ok(FrameRef(frame))
    }

    /// The frame.
    pub fn frame(&self) -> Frame {
        self.0
    }

    /// One more reference to the same frame.
    pub fn share(&self) -> Result<FrameRef, TooManyHolders> {
        take(self.0)?;
        Ok(FrameRef(self.0))
    }

    /// Hands the reference over to a table entry (or another place that remembers the
    /// bare frame).
    pub fn into_entry(self) -> Frame {
        let frame = self.0;
        mem::forget(self);
        frame
    }

    /// The reference that `into_entry` handed over.
    ///
    /// # Safety
    /// The caller must own that reference, and no CPU may still use it through a table.
    pub unsafe fn from_entry(frame: Frame) -> FrameRef {
        FrameRef(frame)
    }
}

impl Drop for FrameRef {
    fn drop(&mut self) {
        if drop_reference(self.0) == Dropped::Last {
            pool::free(self.0);
        }
    }
}
