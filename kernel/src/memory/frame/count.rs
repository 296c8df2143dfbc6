//! The reference count of a frame (rule M1): an atomic without a lock.
//!
//! A count is the number of holders: table entries that point to the frame and kernel objects that
//! own it. 0 means free. Only a holder may take another reference, so a count rises from 0 only in
//! the allocator. Both ends are watched. A drop below 0 is a defect of the kernel and panics. The
//! maximum is an error for the process that drives the count there.
//!
//! One frame is exempt, the frame of zeroes: it is *permanent*, never free, and not counted.

use crate::arch::atomic::{AtomicU32, Ordering, fence};

/// The frame has as many holders as can be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyHolders;

/// Whether a dropped reference was the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Dropped {
    /// Others still hold the frame.
    Shared,
    /// The frame has no holder now; the caller has to free it.
    Last,
}

/// A count of holders.
#[repr(transparent)]
pub struct RefCount(AtomicU32);

impl RefCount {
    /// The most holders that a frame can have. Half of the range is left above it, so
    /// that CPUs which pass it at the same moment, before they step back, cannot wrap
    /// it.
    pub const MAX: u32 = 1 << 31;

    /// The frame is never free, and its holders are not counted: there may be any number, on all
    /// CPUs, and none has to write this word.
    const PERMANENT: u32 = u32::MAX;

    /// Makes the frame permanent. The caller alone has it.
    pub fn make_permanent(&self) {
        self.0.store(Self::PERMANENT, Ordering::Relaxed);
    }

    /// Whether the frame is permanent. Once it is it stays so.
    pub fn is_permanent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::PERMANENT
    }

    /// Makes the allocator's frame the caller's: 0 becomes 1.
    pub fn claim(&self) {
        // Relaxed: the frame came to this CPU through the free list's lock.
        let old = self.0.swap(1, Ordering::Relaxed);
        assert!(old == 0, "M1: a frame from the free list has {old} holders");
    }

    /// Takes one more reference; the caller holds one already.
    pub fn take(&self) -> Result<(), TooManyHolders> {
        if self.is_permanent() {
            return Ok(());
        }
        // Relaxed: the reference that the caller holds already keeps the frame; nothing is
        // published by counting (compare `Arc::clone`).
        let old = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(old != 0, "M1: a reference was taken to a free frame");
        if old >= Self::MAX {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return Err(TooManyHolders);
        }
        Ok(())
    }

    /// Drops the caller's reference.
    pub fn drop_one(&self) -> Dropped {
        if self.is_permanent() {
            return Dropped::Shared;
        }
        // Release: pairs with the Acquire load in `is_sole` and with the Acquire fence below. All
        // that this holder did to the frame happens before another holder that finds itself alone
        // writes it, and before the last one frees it.
        let old = self.0.fetch_sub(1, Ordering::Release);
        assert!(old != 0, "M1: a reference count went below zero");
        if old == 1 {
            fence(Ordering::Acquire);
            Dropped::Last
        } else {
            Dropped::Shared
        }
    }

    /// Whether the caller, which holds a reference, is the only holder.
    ///
    /// The answer "yes" stays true until the caller itself shares the frame, for only a
    /// holder can take a reference. Acquire: pairs with the Release in `drop_one`.
    pub fn is_sole(&self) -> bool {
        self.0.load(Ordering::Acquire) == 1
    }

    /// The count as it is at this moment, for the audit and for /proc.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Of a free frame.
    #[cfg(loom)]
    pub fn new() -> RefCount {
        RefCount(AtomicU32::new(0))
    }

    #[cfg(all(test, not(loom)))]
    pub fn set(&self, count: u32) {
        self.0.store(count, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn count(n: u32) -> RefCount {
        RefCount(AtomicU32::new(n))
    }

    #[test]
    fn the_last_drop_says_so() {
        let c = count(0);
        c.claim();
        assert!(c.is_sole());
        c.take().unwrap();
        assert!(!c.is_sole());
        assert_eq!(c.drop_one(), Dropped::Shared);
        assert!(c.is_sole());
        assert_eq!(c.drop_one(), Dropped::Last);
    }

    #[test]
    fn the_maximum_is_an_error_and_leaves_the_count_alone() {
        let c = count(RefCount::MAX - 1);
        c.take().unwrap();
        assert_eq!(c.take(), Err(TooManyHolders));
        assert_eq!(c.get(), RefCount::MAX);
    }

    #[test]
    fn a_permanent_frame_has_any_number_of_holders_and_is_nobodys_alone() {
        let c = count(0);
        c.make_permanent();
        c.take().unwrap();
        assert_eq!(c.drop_one(), Dropped::Shared);
        assert_eq!(c.drop_one(), Dropped::Shared);
        assert!(!c.is_sole() && c.is_permanent());
    }

    #[test]
    #[should_panic(expected = "M1")]
    fn dropping_below_zero_is_caught() {
        let _ = count(0).drop_one();
    }

    #[test]
    #[should_panic(expected = "M1")]
    fn a_free_frame_cannot_be_revived() {
        let _ = count(0).take();
    }
}
