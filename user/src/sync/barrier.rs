//! A place where several wait for each other, again and again.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{wait_while, wake_all};

/// All zeroes is one that no thread has come to.
#[derive(Default)]
#[repr(C)]
pub struct Barrier {
    arrived: AtomicU32,
    /// How often all have come.
    round: AtomicU32,
}

impl Barrier {
    pub const fn new() -> Self {
        Self {
            arrived: AtomicU32::new(0),
            round: AtomicU32::new(0),
        }
    }

    /// Waits until `parties` have come, of which this is one. All name the same number.
    pub fn wait(&self, parties: u32) {
        let round = self.round.load(Ordering::Relaxed);
        // AcqRel: what each did before it came is seen by all that go on, through the last one's
        // read of the count and its release of the round.
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == parties {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            wake_all(&self.round);
        } else {
            wait_while(&self.round, round);
        }
    }
}
