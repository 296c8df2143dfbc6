//! What all processes of the storm count together.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use user::testing::{Failure, shared};

/// After so many mismatches the rest is only counted.
pub const MOST_REPORTS: u64 = 20;

pub struct Counters {
    /// Processes made.
    pub forks: &'static AtomicU64,
    /// Forks that the kernel refused for want of something.
    pub refused: &'static AtomicU64,
    /// Processes killed half-way.
    pub killed: &'static AtomicU64,
    /// Pages looked at, every word.
    pub checked: &'static AtomicU64,
    /// Pages with a word that is not their owner's.
    pub mismatches: &'static AtomicU64,
    /// Rounds of writing by threads.
    pub written: &'static AtomicU64,
    /// Processes that ended in a way that they should not have.
    pub crashes: &'static AtomicU64,
}

impl Counters {
    pub fn new() -> Result<Self, Failure> {
        let [
            forks,
            refused,
            killed,
            checked,
            mismatches,
            written,
            crashes,
        ] = shared::counters()?;
        Ok(Self {
            forks,
            refused,
            killed,
            checked,
            mismatches,
            written,
            crashes,
        })
    }

    pub fn all_well(&self) -> bool {
        self.mismatches.load(Relaxed) == 0 && self.crashes.load(Relaxed) == 0
    }
}

/// Counts one more. Nothing is ordered by these counters: they are read when all is over.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
