//! What each CPU counts.

use crate::facade::atomic::{AtomicU64, Ordering};

/// A counter with one writer, its CPU, and any number of readers.
pub(super) struct Counter(AtomicU64);

impl Counter {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds without a read-modify-write: only the owner writes.
    pub(super) fn add(&self, amount: u64) {
        let old = self.0.load(Ordering::Relaxed);
        self.0.store(old.wrapping_add(amount), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one CPU.
pub(super) struct Tally {
    pub(super) polls: Counter,
    pub(super) steals: Counter,
    pub(super) stolen: Counter,
    pub(super) parks: Counter,
    /// Time halted; while the CPU halts, less the time when that began, which
    /// makes it negative (see [`Tally::read`]).
    pub(super) idle: Counter,
    pub(super) timers: Counter,
    /// Sent from this CPU.
    pub(super) resched_ipis: AtomicU64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            polls: Counter::new(),
            steals: Counter::new(),
            stolen: Counter::new(),
            parks: Counter::new(),
            idle: Counter::new(),
            timers: Counter::new(),
            resched_ipis: AtomicU64::new(0),
        }
    }

    /// The CPU begins to halt at `now`.
    pub(super) fn halts(&self, now: u64) {
        self.parks.add(1);
        self.idle.add(now.wrapping_neg());
    }

    /// The CPU runs again at `now`.
    pub(super) fn runs(&self, now: u64) {
        self.idle.add(now);
    }

    /// What has been counted until `now`. A halt that goes on counts as far as
    /// it has come: both are in one word, so there is no moment between.
    pub(super) fn read(&self, now: u64) -> Counters {
        // A CPU has been halted for less time than there was before its last
        // halt, so the sign tells.
        let idle = match self.idle.get() {
            halted if halted.cast_signed() < 0 => halted.wrapping_add(now),
            idle => idle,
        };
        Counters {
            polls: self.polls.get(),
            steals: self.steals.get(),
            stolen: self.stolen.get(),
            resched_ipis: self.resched_ipis.load(Ordering::Relaxed),
            parks: self.parks.get(),
            idle_ns: idle,
            timers: self.timers.get(),
        }
    }
}

/// What a CPU has done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Tasks polled.
    pub polls: u64,
    /// Successful raids on other CPUs' queues.
    pub steals: u64,
    /// Tasks brought home by them.
    pub stolen: u64,
    /// Reschedule IPIs sent to other CPUs.
    pub resched_ipis: u64,
    /// Times halted, the halt that goes on included.
    pub parks: u64,
    /// Nanoseconds halted, the halt that goes on included.
    pub idle_ns: u64,
    /// Timers gone off.
    pub timers: u64,
}
