//! What the storm, the prober and the hogs tell each other: counters in shared memory.

use core::fmt;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use user::println;
use user::testing::{Failure, shared};

/// After so many failures the rest is only counted.
const MOST_REPORTS: u64 = 20;

// Relaxed throughout: each counter stands for itself, and all are read when their writers are gone.
pub struct Ledger {
    pub rounds: &'static AtomicU64,
    pub hogs: &'static AtomicU64,
    /// Hogs that ended by SIGKILL or SIGBUS before the storm killed them.
    pub killed: &'static AtomicU64,
    pub probes: &'static AtomicU64,
    pub refused: &'static AtomicU64,
    pub refused_alone: &'static AtomicU64,
    /// The longest time from the death of the last hog to a refusal, in nanoseconds.
    pub longest: &'static AtomicU64,
    /// When the last hog had died and its files were gone; 0 while there are hogs.
    pub quiet_since: &'static AtomicU64,
    /// Probes that worked, one after the other.
    pub streak: &'static AtomicU64,
    /// The prober is to end.
    pub stop: &'static AtomicU64,
    pub failures: &'static AtomicU64,
}

impl Ledger {
    pub fn new() -> Result<Self, Failure> {
        let [
            rounds,
            hogs,
            killed,
            probes,
            refused,
            refused_alone,
            longest,
            quiet_since,
            streak,
            stop,
            failures,
        ] = shared::counters()?;
        Ok(Self {
            rounds,
            hogs,
            killed,
            probes,
            refused,
            refused_alone,
            longest,
            quiet_since,
            streak,
            stop,
            failures,
        })
    }

    /// Something that no shortage explains.
    pub fn fail(&self, what: fmt::Arguments<'_>) {
        if self.failures.fetch_add(1, Relaxed) < MOST_REPORTS {
            println!("FAILED: {what}");
        }
    }
}
