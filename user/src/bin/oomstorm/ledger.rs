//! What the storm, the prober and the hogs tell each other: counters in shared memory.

use core::fmt;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use user::println;
use user::testing::{Failure, shared};

/// After so many failures the rest is only counted.
const MOST_REPORTS: u64 = 20;

// Relaxed throughout: each counter stands for itself, and all are read when their writers are gone.
#[derive(Default)]
pub struct Ledger {
    pub rounds: AtomicU64,
    pub hogs: AtomicU64,
    /// Hogs that ended by SIGKILL or SIGBUS before the storm killed them.
    pub killed: AtomicU64,
    pub probes: AtomicU64,
    pub refused: AtomicU64,
    pub refused_alone: AtomicU64,
    /// The longest time from the death of the last hog to a refusal, in nanoseconds.
    pub longest: AtomicU64,
    /// When the last hog had died and its files were gone; 0 while there are hogs.
    pub quiet_since: AtomicU64,
    /// Probes that worked, one after the other.
    pub streak: AtomicU64,
    /// The prober is to end.
    pub stop: AtomicU64,
    pub failures: AtomicU64,
}

impl Ledger {
    /// In memory that the storm shares with all that it forks.
    pub fn shared() -> Result<&'static Self, Failure> {
        shared::place(Self::default())
    }

    /// Something that no shortage explains.
    pub fn fail(&self, what: fmt::Arguments<'_>) {
        if self.failures.fetch_add(1, Relaxed) < MOST_REPORTS {
            println!("FAILED: {what}");
        }
    }
}
