//! What all processes of the storm count together.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use user::testing::{Failure, shared};

/// After so many mismatches the rest is only counted.
pub const MOST_REPORTS: u64 = 20;

#[derive(Default)]
pub struct Counters {
    /// Processes made.
    pub forks: AtomicU64,
    /// Forks that the kernel refused for want of something.
    pub refused: AtomicU64,
    /// Processes killed half-way.
    pub killed: AtomicU64,
    /// Pages looked at, every word.
    pub checked: AtomicU64,
    /// Pages with a word that is not their owner's.
    pub mismatches: AtomicU64,
    /// Rounds of writing by threads.
    pub written: AtomicU64,
    /// Processes that ended in a way that they should not have.
    pub crashes: AtomicU64,
}

impl Counters {
    /// In memory that the storm shares with all that it forks.
    pub fn shared() -> Result<&'static Self, Failure> {
        shared::place(Self::default())
    }

    pub fn all_well(&self) -> bool {
        self.mismatches.load(Relaxed) == 0 && self.crashes.load(Relaxed) == 0
    }
}

/// Counts one more. Nothing is ordered by these counters: they are read when all is over.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
