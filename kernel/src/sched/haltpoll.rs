//! Halt polling: how a CPU without work waits, awake at first, if that pays, and then halted (rule E3).
//!
//! To halt and to be woken takes longer than most answers of other CPUs, so an idle CPU may poll for a
//! while first. That is worth it when work comes meanwhile. It is a waste when the machine is idle, and
//! harmful when the other CPU is a virtual one and the polling keeps the real CPU from it. So
//!
//! * a CPU polls for a short time, and only if its last idle time was short as a whole;
//! * after a poll in vain some chances are skipped, twice as many each time; after one that paid only
//!   half as many.
//!
//! Linux's haltpoll governor does the same for guests.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long a halt_poll takes at the most, in nanoseconds: longer than the answer of a CPU that is at
/// work, which comes within 10 us, and about as long as to halt and be woken.
const LENGTH: u64 = 30_000;
/// An idle time that is shorter might have been a halt_poll.
const SHORT: u64 = 100_000;
/// How many chances are passed over at the most.
const MOST_PASSED_OVER: u64 = 63;

/// What a CPU knows of its idle times. Relaxed throughout: only that CPU uses it.
pub struct HaltPoll {
    /// Whether one is to be kept in this idle time.
    is_due: AtomicBool,
    /// How long the last idle time was.
    last_idle: AtomicU64,
    /// How many chances were passed over after the last halt_poll in vain.
    patience: AtomicU64,
    /// How many chances are still to be passed over.
    to_pass_over: AtomicU64,
}

impl HaltPoll {
    /// Of a CPU that has not been idle yet.
    pub fn new() -> HaltPoll {
        HaltPoll {
            is_due: AtomicBool::new(false),
            last_idle: AtomicU64::new(u64::MAX),
            patience: AtomicU64::new(0),
            to_pass_over: AtomicU64::new(0),
        }
    }

    /// The CPU has nothing to do. Says whether to keep a halt_poll before it halts.
    pub fn consider(&self) -> bool {
        let is_chance = self.last_idle.load(Ordering::Relaxed) < SHORT;
        let left = self.to_pass_over.load(Ordering::Relaxed);
        let is_due = is_chance && left == 0;
        if is_chance && left > 0 {
            self.to_pass_over.store(left - 1, Ordering::Relaxed);
        }
        // Unless it comes to a halt.
        self.last_idle.store(0, Ordering::Relaxed);
        self.is_due.store(is_due, Ordering::Relaxed);
        is_due
    }

    /// What [`consider`](Self::consider) has said last.
    pub fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed)
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
    pub fn note_halt(&self, length: u64) {
        self.last_idle.store(length, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_kept_on_an_idle_machine() {
        let halt_poll = HaltPoll::new();
        assert!(!halt_poll.consider());
        halt_poll.note_halt(SHORT);
        assert!(!halt_poll.consider());
        halt_poll.note_halt(SHORT - 1);
        assert!(halt_poll.consider() && halt_poll.is_due());
        // It was busy again before it came to a halt.
        assert!(halt_poll.consider());
        halt_poll.note_halt(SHORT);
        assert!(!halt_poll.consider() && !halt_poll.is_due());
    }

    #[test]
    fn those_in_vain_become_rare_and_those_that_pay_frequent() {
        let halt_poll = HaltPoll::new();
        halt_poll.note_halt(1);
        assert!(halt_poll.consider());
        let chances_until_the_next = |paid| {
            halt_poll.was_kept(paid);
            (0..).take_while(|_| !halt_poll.consider()).count()
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
