//! Owned references to frames (rules M1, M9): how frames are had, shared and given back.

use super::{
    OutOfMemory, Purpose, TABLE, allocate, claim, drop_reference, fail_on_purpose, free, take,
};
use crate::arch::Frame;
use crate::memory::frame::count::{Dropped, TooManyHolders};
use crate::memory::frame::page_copy;
use crate::memory::frame::zeroed_pool;
use crate::memory::planted::{Planted, planted};
use core::mem;

/// An owned reference to a frame, counted (rule M1).
///
/// Dropping it drops the reference at once. So it is for frames which no page table
/// of this holder points to: fresh ones, and those that a kernel object owns. A
/// reference that sits in a table entry has no `FrameRef`; it leaves the entry as a
/// `Retired` (in `reclaim.rs`), which waits for the shootdown (rule M2).
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub struct FrameRef(Frame);

impl FrameRef {
    /// A fresh frame full of zeroes (rule M9).
    pub fn zeroed(purpose: Purpose) -> Result<FrameRef, OutOfMemory> {
        if purpose == Purpose::User {
            fail_on_purpose()?;
            if let Some(frame) = zeroed_pool::take() {
                debug_assert!(page_copy::is_zero(frame), "M9: {frame:?} is not zeroed");
                return Ok(FrameRef(claim(frame)));
            }
        }
        let frame = allocate(purpose)?;
        if !planted(Planted::NotZeroed) {
            // SAFETY: the frame is fresh: nobody else has it.
            unsafe { page_copy::zero(frame) };
        }
        Ok(FrameRef(frame))
    }

    /// The frame of zeroes, which is never written and has many holders.
    pub fn zeroes() -> FrameRef {
        FrameRef(TABLE.get().zeroes)
    }

    /// A fresh frame with the contents of `original` (rule M9), which the caller holds or
    /// which this CPU can reach through the tables it is active on.
    ///
    /// # Safety
    /// `original` must stay allocated during the call.
    pub unsafe fn copy_of(original: Frame) -> Result<FrameRef, OutOfMemory> {
        fail_on_purpose()?;
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
            free(self.0);
        }
    }
}
