//! How a CPU without work waits: awake at first, if that pays, and then halted (rule E3).
//!
//! Going to sleep and being woken takes longer than most answers of other CPUs, so a CPU may wait
//! for a while with its eyes open: *keep vigil*. That is worth it when what it waits for comes
//! meanwhile. It is a waste when the machine is idle, and harmful when the CPU on which others wait
//! is a virtual one and keeps the real one from them. So
//!
//! * a vigil is short, and is kept only if the last idle time was short as a whole;
//! * after one in vain some chances are passed over, twice as many each time; after one that paid
//!   only half as many.

use core::sync::atomic::{AtomicU64, Ordering};

/// How long a vigil takes at the most, in nanoseconds: longer than the answer of a CPU that is at
/// work, which comes within 10 us, and about as long as to halt and be woken.
const LENGTH: u64 = 30_000;
/// An idle time that is shorter might have been a vigil.
const SHORT: u64 = 100_000;
/// How many chances are passed over at the most.
const MOST_PASSED_OVER: u64 = 63;

/// What a CPU knows of its idle times. Relaxed throughout: only that CPU uses it.
pub struct Vigil {
    /// How long the last idle time was.
    last_idle: AtomicU64,
    /// How many chances were passed over after the last vigil in vain.
    patience: AtomicU64,
    /// How many chances are still to be passed over.
    to_pass_over: AtomicU64,
}

impl Vigil {
    /// Of a CPU that has not been idle yet.
    pub fn new() -> Vigil {
        Vigil {
            last_idle: AtomicU64::new(u64::MAX),
            patience: AtomicU64::new(0),
            to_pass_over: AtomicU64::new(0),
        }
    }

    /// Whether to keep one now.
    pub fn is_due(&self) -> bool {
        self.to_pass_over.load(Ordering::Relaxed) == 0
            && self.last_idle.load(Ordering::Relaxed) < SHORT
    }

    /// When one that begins now is over.
    pub fn end(&self, now: u64) -> u64 {
        now + LENGTH
    }

    /// One was kept, and something came or nothing.
    pub fn was_kept(&self, paid: bool) {
        let passed_over = self.patience.load(Ordering::Relaxed);
        if paid {
            self.patience.store(passed_over / 2, Ordering::Relaxed);
        } else {
            let more = (2 * passed_over + 1).min(MOST_PASSED_OVER);
            self.patience.store(more, Ordering::Relaxed);
            self.to_pass_over.store(more, Ordering::Relaxed);
        }
    }

    /// An idle time of this length has ended with a halt.
    pub fn note_idle(&self, length: u64) {
        self.last_idle.store(length, Ordering::Relaxed);
        let left = self.to_pass_over.load(Ordering::Relaxed);
        if length < SHORT && left > 0 {
            self.to_pass_over.store(left - 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_kept_on_an_idle_machine() {
        let vigil = Vigil::new();
        assert!(!vigil.is_due());
        vigil.note_idle(SHORT);
        assert!(!vigil.is_due());
        vigil.note_idle(SHORT - 1);
        assert!(vigil.is_due());
    }

    #[test]
    fn those_in_vain_become_rare_and_those_that_pay_frequent() {
        let vigil = Vigil::new();
        vigil.note_idle(1);
        let chances_until_the_next = |paid| {
            assert!(vigil.is_due());
            vigil.was_kept(paid);
            let mut chances = 0;
            while !vigil.is_due() {
                vigil.note_idle(1);
                chances += 1;
            }
            chances
        };
        for expected in [1, 3, 7, 15, 31, 63, 63] {
            assert_eq!(chances_until_the_next(false), expected);
        }
        for _ in 0..3 {
            assert_eq!(chances_until_the_next(true), 0);
        }
        assert_eq!(chances_until_the_next(false), 15);
    }
}
