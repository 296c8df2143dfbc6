//! Allocations that fail on purpose, for tests of rule M10.
//!
//! Each allocation that a program can cause calls [`check`] first. Two counters decide: one
//! for the whole machine, and one of each CPU. As long as neither was ever set, a check is
//! one load and a branch.
//!
//! Allocations from the kernel's heap count only after [`reach_heap`] (parameter `fail_heap`): an
//! allocation that cannot fail gracefully then ends the kernel, which is how such are found.

use crate::arch::{self, MAX_CPUS, PerMachine};
use crate::memory::stats::counters::{Counter, count};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// This allocation was chosen to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::memory) struct Injected;

/// Whether allocations from the kernel's heap count and fail too. Set once, by the command line.
static REACHES_HEAP: AtomicBool = AtomicBool::new(false);

/// From now on allocations from the kernel's heap are checked too.
pub fn reach_heap() {
    REACHES_HEAP.store(true, Ordering::Relaxed);
}

/// As [`check`], for an allocation from the kernel's heap: fails only after [`reach_heap`].
#[inline]
#[cfg(target_os = "none")]
pub(in crate::memory) fn check_heap() -> Result<(), Injected> {
    if !REACHES_HEAP.load(Ordering::Relaxed) || is_shielded() {
        return Ok(());
    }
    check()
}

#[cfg(target_os = "none")]
fn is_shielded() -> bool {
    INJECTION.get().shielded[arch::cpu().0].load(Ordering::Relaxed)
}

/// While it is held on this CPU, no allocation from the heap fails on purpose: the second step of an
/// allocation whose first step has found that there is memory. It is not held across a wait.
pub(in crate::memory) struct Shield(PhantomData<*const ()>);

impl Shield {
    pub(in crate::memory) fn new() -> Shield {
        set_shielded(true);
        Shield(PhantomData)
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        set_shielded(false);
    }
}

fn set_shielded(value: bool) {
    // Relaxed: only the CPU itself reads it.
    if REACHES_HEAP.load(Ordering::Relaxed)
        && let Some(injection) = INJECTION.try_get()
    {
        injection.shielded[arch::cpu().0].store(value, Ordering::Relaxed);
    }
}

struct Injection {
    /// Set with the first counter, and never cleared.
    is_used: AtomicBool,
    /// The allocation with this number from now fails (0: none does), and then every
    /// `period`-th.
    fail_in: AtomicUsize,
    period: AtomicUsize,
    /// As `fail_in`, for the allocations of each CPU.
    fail_here: [AtomicUsize; MAX_CPUS],
    /// Whether a [`Shield`] is held on each CPU.
    shielded: [AtomicBool; MAX_CPUS],
}

static INJECTION: PerMachine<Injection> = PerMachine::new();

pub(in crate::memory) fn init() {
    INJECTION.init(Injection {
        is_used: AtomicBool::new(false),
        fail_in: AtomicUsize::new(0),
        period: AtomicUsize::new(0),
        fail_here: [const { AtomicUsize::new(0) }; MAX_CPUS],
        shielded: [const { AtomicBool::new(false) }; MAX_CPUS],
    });
}

/// Fails if this allocation was chosen to.
#[inline]
pub(in crate::memory) fn check() -> Result<(), Injected> {
    let injection = INJECTION.get();
    // Relaxed: a test sets its counters before it starts what is to fail.
    if injection.is_used.load(Ordering::Relaxed) && injection.fails() {
        count(Counter::AllocationsFailed);
        return Err(Injected);
    }
    Ok(())
}

impl Injection {
    fn fails(&self) -> bool {
        self.fails_anywhere() || self.fails_here()
    }

    fn fails_anywhere(&self) -> bool {
        let period = self.period.load(Ordering::Relaxed);
        let next = |n: usize| match n {
            0 => None,
            1 => Some(period),
            _ => Some(n - 1),
        };
        let before = self
            .fail_in
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        before == Ok(1)
    }

    fn fails_here(&self) -> bool {
        let fail_here = &self.fail_here[arch::cpu().0];
        // Relaxed: only the CPU itself changes it.
        match fail_here.load(Ordering::Relaxed) {
            0 => return false,
            ALL_FAIL => {}
            1 => fail_here.store(ALL_FAIL, Ordering::Relaxed),
            number => {
                fail_here.store(number - 1, Ordering::Relaxed);
                return false;
            }
        }
        true
    }
}

/// Makes the `n`-th allocation from now fail (1: the next; 0: none), once.
pub fn fail_allocation(n: usize) {
    fail_allocations(n, 0);
}

/// As [`fail_allocation`], and then every `period`-th (0: no other).
pub fn fail_allocations(n: usize, period: usize) {
    let injection = INJECTION.get();
    injection.period.store(period, Ordering::Relaxed);
    injection.fail_in.store(n, Ordering::Relaxed);
    injection.is_used.store(true, Ordering::Relaxed);
}

/// What is left of a number given to [`fail_allocation_here`] when that many were made: all
/// fail from then on.
pub const ALL_FAIL: usize = usize::MAX;

/// As [`fail_allocation`], for the allocations of this CPU. All that follow fail too, so that a
/// second attempt meets the same. Returns what was left of the number given before.
pub fn fail_allocation_here(n: usize) -> usize {
    let injection = INJECTION.get();
    injection.is_used.store(true, Ordering::Relaxed);
    injection.fail_here[arch::cpu().0].swap(n, Ordering::Relaxed)
}
