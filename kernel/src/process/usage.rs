//! What threads have used (getrusage(2)).
//!
//! A thread's CPU time is the time of its polls. The part in user mode is measured around each entry
//! to it. The fast path runs inside of that part, and is too short for clocks of its own: its calls
//! and faults are counted, and each counts for what a typical one takes, which is measured once in
//! reads of the clock.

use crate::arch;
use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering};

/// What was used. Times are in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: u64,
    /// CPU time in the kernel.
    pub system: u64,
    /// Page faults, none of which read a device.
    pub faults: u64,
    /// Waits.
    pub voluntary: u64,
    /// Ends of the time slice.
    pub involuntary: u64,
    /// The most pages that were in memory, as far as known.
    pub peak: u64,
}

impl Usage {
    /// Nothing.
    pub const NONE: Usage = Usage {
        user: 0,
        system: 0,
        faults: 0,
        voluntary: 0,
        involuntary: 0,
        peak: 0,
    };

    /// All CPU time.
    pub fn time(&self) -> u64 {
        self.user + self.system
    }
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            user: self.user + other.user,
            system: self.system + other.system,
            faults: self.faults + other.faults,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
            peak: self.peak.max(other.peak),
        }
    }
}

/// A typical call and a typical fault of the fast path, in reads of the clock.
const CALL: u64 = 4;
const FAULT: u64 = 25;

/// Nanoseconds of a read of the clock.
static CLOCK_READ: AtomicU64 = AtomicU64::new(0);

/// Measures the clock. Called once.
pub(super) fn init() {
    const READS: u64 = 256;
    let begin = arch::clock();
    (0..READS).for_each(|_| {
        core::hint::black_box(arch::clock());
    });
    let each = (arch::clock() - begin) / READS;
    CLOCK_READ.store(each.max(1), Ordering::Relaxed);
}

/// What a thread has used. Only the thread's own polls write it, so no field needs a
/// read-modify-write. Relaxed throughout: each number stands for itself.
#[derive(Default)]
pub(super) struct ThreadUsage {
    /// The time of the polls that are over.
    polled: AtomicU64,
    /// The time in user mode before the poll.
    user_before: AtomicU64,
    /// When the poll began that goes on; 0: none does.
    poll_began: AtomicU64,
    /// The time in user mode, fast path included, up to the last exit from it.
    outside: AtomicU64,
    /// When user mode was entered; 0: the thread is not in it.
    user_began: AtomicU64,
    fast_calls: AtomicU64,
    fast_faults: AtomicU64,
    slow_faults: AtomicU64,
    voluntary: AtomicU64,
    involuntary: AtomicU64,
    /// What was told of the time in all and in user mode; see [`ThreadUsage::untold`].
    told: AtomicU64,
    told_user: AtomicU64,
}

fn add(to: &AtomicU64, more: u64) {
    to.store(to.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl ThreadUsage {
    pub(super) fn begin_poll(&self, now: u64) {
        self.user_before.store(self.user(), Ordering::Relaxed);
        self.poll_began.store(now, Ordering::Relaxed);
    }

    /// Returns how much of the poll was in user mode.
    pub(super) fn end_poll(&self, nanoseconds: u64) -> u64 {
        self.poll_began.store(0, Ordering::Relaxed);
        add(&self.polled, nanoseconds);
        let before = self.user_before.load(Ordering::Relaxed);
        self.user().saturating_sub(before).min(nanoseconds)
    }

    /// The time in user mode until it was left last.
    fn user(&self) -> u64 {
        let outside = self.outside.load(Ordering::Relaxed);
        outside.saturating_sub(self.fast())
    }

    /// The time of the fast path.
    fn fast(&self) -> u64 {
        let load = |field: &AtomicU64| field.load(Ordering::Relaxed);
        let reads = load(&self.fast_calls) * CALL + load(&self.fast_faults) * FAULT;
        reads * CLOCK_READ.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn enter_user(&self) {
        self.user_began.store(arch::clock(), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn leave_user(&self) {
        let began = self.user_began.load(Ordering::Relaxed);
        self.user_began.store(0, Ordering::Relaxed);
        add(&self.outside, arch::clock().saturating_sub(began));
    }

    /// A system call was done on the fast path.
    #[inline(always)]
    pub(super) fn fast_call(&self) {
        add(&self.fast_calls, 1);
    }

    /// A fault was resolved on the fast path.
    #[inline(always)]
    pub(super) fn fast_fault(&self) {
        add(&self.fast_faults, 1);
    }

    pub(super) fn slow_fault(&self) {
        add(&self.slow_faults, 1);
    }

    pub(super) fn voluntary_switch(&self) {
        add(&self.voluntary, 1);
    }

    pub(super) fn involuntary_switch(&self) {
        add(&self.involuntary, 1);
    }

    /// The time in all and in user mode since the last call: for an account of all threads. Whichever
    /// CPU calls, no time is told twice.
    pub(super) fn untold(&self) -> (u64, u64) {
        let usage = self.get();
        let since = |told: &AtomicU64, now| {
            let before = told.swap(now, Ordering::Relaxed);
            now.saturating_sub(before)
        };
        (
            since(&self.told, usage.time()),
            since(&self.told_user, usage.user),
        )
    }

    /// What was used until now.
    pub(super) fn get(&self) -> Usage {
        let load = |field: &AtomicU64| field.load(Ordering::Relaxed);
        let now = arch::clock();
        let since = |began: u64| match began {
            0 => 0,
            began => now.saturating_sub(began),
        };
        let total = load(&self.polled) + since(load(&self.poll_began));
        let outside = load(&self.outside) + since(load(&self.user_began));
        let user = outside.saturating_sub(self.fast()).min(total);
        Usage {
            user,
            system: total - user,
            faults: load(&self.fast_faults) + load(&self.slow_faults),
            voluntary: load(&self.voluntary),
            involuntary: load(&self.involuntary),
            peak: 0,
        }
    }
}
