//! How much the files of one file system may take together.

use core::sync::atomic::{AtomicU64, Ordering};

/// A number of pages, or of names, and how many of them are taken.
pub struct Quota {
    limit: AtomicU64,
    used: AtomicU64,
}

/// The quota is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSpace;

impl Quota {
    /// A quota of so many.
    pub const fn new(limit: u64) -> Quota {
        Quota {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
        }
    }

    /// How many there are.
    pub fn limit(&self) -> u64 {
        // Relaxed here and below: the numbers stand for themselves.
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes how many there are. Those that are taken stay.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many are taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes so many, or none.
    pub fn take(&self, count: u64) -> Result<(), NoSpace> {
        let limit = self.limit();
        let more = |used: u64| used.checked_add(count).filter(|&used| used <= limit);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| NoSpace)
    }

    /// Gives so many back.
    pub fn give(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }
}
