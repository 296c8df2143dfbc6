//! Accounts of CPU time for what is to happen when it is up.
//!
//! While nothing waits for that, a poll costs one load. Else each poll of a thread adds what it has
//! used to the account of its process, and compares.

use crate::process::usage::{ThreadUsage, Usage};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use spin::Mutex;

/// Nothing is due.
pub(super) const NEVER: u64 = u64::MAX;

/// CPU time of a process, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Spent {
    /// In user mode and in the kernel.
    pub(super) total: u64,
    /// In user mode.
    pub(super) user: u64,
}

/// An interval timer of CPU time (setitimer(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Interval {
    /// When it expires; `None`: it is not set.
    pub(super) next: Option<u64>,
    /// From one expiration to the next; 0: there is one.
    pub(super) interval: u64,
}

/// The accounts of a process. Relaxed throughout: each number stands for itself, and a thread that
/// does not see a change yet sees it at the end of its next poll.
pub(in crate::process) struct CpuTimers {
    is_armed: AtomicBool,
    total: AtomicU64,
    user: AtomicU64,
    /// What comes next of all that waits.
    next_total: AtomicU64,
    next_user: AtomicU64,
    /// A timer counts the time of a thread.
    pub(super) has_of_thread: AtomicBool,
    /// `ITIMER_VIRTUAL` and `ITIMER_PROF`.
    pub(super) intervals: Mutex<[Interval; 2]>,
}

impl CpuTimers {
    pub(in crate::process) fn new() -> CpuTimers {
        CpuTimers {
            is_armed: AtomicBool::new(false),
            total: AtomicU64::new(0),
            user: AtomicU64::new(0),
            next_total: AtomicU64::new(NEVER),
            next_user: AtomicU64::new(NEVER),
            has_of_thread: AtomicBool::new(false),
            intervals: Mutex::new([Interval::default(); 2]),
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        self.is_armed.load(Ordering::Relaxed)
    }

    /// What was spent so far.
    pub(super) fn spent(&self) -> Spent {
        Spent {
            total: self.total.load(Ordering::Relaxed),
            user: self.user.load(Ordering::Relaxed),
        }
    }

    /// The accounts begin: this is what was spent before. Each thread's is
    /// [told](ThreadUsage::untold) from now on.
    pub(super) fn begin(&self, spent: Usage) {
        self.total.store(spent.time(), Ordering::Relaxed);
        self.user.store(spent.user, Ordering::Relaxed);
        self.is_armed.store(true, Ordering::Relaxed);
    }

    /// Nothing waits any more.
    pub(super) fn end(&self) {
        self.is_armed.store(false, Ordering::Relaxed);
    }

    /// Says what comes next.
    pub(super) fn set_next(&self, total: u64, user: u64) {
        self.next_total.store(total, Ordering::Relaxed);
        self.next_user.store(user, Ordering::Relaxed);
    }

    /// A poll of a thread is over. Says whether something is due.
    pub(super) fn add(&self, usage: &ThreadUsage) -> bool {
        let (total, user) = usage.untold();
        let total = total + self.total.fetch_add(total, Ordering::Relaxed);
        let user = user + self.user.fetch_add(user, Ordering::Relaxed);
        total >= self.next_total.load(Ordering::Relaxed)
            || user >= self.next_user.load(Ordering::Relaxed)
            || self.has_of_thread.load(Ordering::Relaxed)
    }
}
