//! How much of a CPU urgent tasks may have while others are ready: 95 % of each second, so that a
//! task that never waits leaves room for one that stops it (Linux's `sched_rt_runtime_us`, sched(7)).
//!
//! Only the CPU itself stores here; others load what they take for a hint.

use crate::facade::atomic::{AtomicU64, Ordering};

const PERIOD: u64 = 1_000_000_000;
const MOST: u64 = PERIOD / 100 * 95;

pub(super) struct Throttle {
    /// When the period began.
    began: AtomicU64,
    /// What urgent tasks have had in it.
    had: AtomicU64,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            had: AtomicU64::new(0),
        }
    }

    /// A poll has ended that took so long.
    pub(super) fn went_on(&self, is_urgent: bool, ns: u64, now: u64) {
        let had = self.had.load(Ordering::Relaxed);
        if !is_urgent && had == 0 {
            return;
        }
        if now.saturating_sub(self.began.load(Ordering::Relaxed)) >= PERIOD {
            self.began.store(now, Ordering::Relaxed);
            self.had.store(0, Ordering::Relaxed);
        } else if is_urgent {
            self.had.store(had + ns, Ordering::Relaxed);
        }
    }

    /// Have they had enough for now?
    pub(super) fn holds(&self, now: u64) -> bool {
        let began = self.began.load(Ordering::Relaxed);
        self.had.load(Ordering::Relaxed) >= MOST && now.saturating_sub(began) < PERIOD
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_of_each_second_is_left() {
        let throttle = Throttle::new();
        throttle.went_on(true, 1, 5 * PERIOD);
        assert!(!throttle.holds(5 * PERIOD));
        throttle.went_on(true, MOST, 5 * PERIOD + MOST);
        assert!(throttle.holds(5 * PERIOD + MOST));
        assert!(!throttle.holds(6 * PERIOD));
        throttle.went_on(false, 1, 6 * PERIOD);
        assert!(!throttle.holds(6 * PERIOD));
    }
}
