//! The executor on this machine, and the time slice of user threads (rules E3, E4).
//!
//! The hardware timer of a CPU serves two: the executor's own timers, and the slice of a thread in user
//! mode. It is armed for the earlier of the two, and only touched when that gets earlier; a
//! thread that comes and goes within its slice costs nothing. At worst an interrupt
//! finds nothing to do, once.

use crate::arch::{self, CpuId, PerMachine};
use crate::memory;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
use executor::{Executor, Platform};

/// How long a thread may stay in user mode while others wait for its CPU.
const SLICE: u64 = 10_000_000;
/// No timer.
const NEVER: u64 = u64::MAX;

/// The machine as the executor sees it.
pub struct Machine {
    /// What each CPU's timer is armed for.
    armed: Vec<CachePadded<AtomicU64>>,
}

static EXECUTOR: PerMachine<Executor<Machine>> = PerMachine::new();

/// Makes the executor. Called once, when there is a heap.
pub fn init() {
    let never = || CachePadded::new(AtomicU64::new(NEVER));
    let armed = (0..arch::cpu_count()).map(|_| never()).collect();
    EXECUTOR.init(Executor::new(Machine { armed }, arch::cpu_count()));
}

/// The executor.
pub fn executor() -> &'static Executor<Machine> {
    EXECUTOR.get()
}

/// To be called by a task that is about to enter user mode, at the start of its poll.
pub fn begin_slice() {
    let executor = executor();
    executor.platform().arm(arch::clock() + SLICE);
    executor.share_work();
}

/// To be called after an interrupt: notes whether it was the timer.
pub fn note_interrupt() {
    let armed = executor().platform().here();
    // Relaxed, here and below: only this CPU uses the word.
    if arch::clock() >= armed.load(Ordering::Relaxed) {
        armed.store(NEVER, Ordering::Relaxed);
    }
}

impl Machine {
    fn here(&self) -> &AtomicU64 {
        &self.armed[arch::cpu().0]
    }

    fn arm(&self, deadline: u64) {
        if deadline < self.here().load(Ordering::Relaxed) {
            self.here().store(deadline, Ordering::Relaxed);
            arch::set_timer(Some(deadline));
        }
    }
}

// SAFETY: `cpu` names the CPU that it runs on, below `cpu_count`; the kernel is not interrupted but in user mode and in `idle`.
unsafe impl Platform for Machine {
    fn cpu(&self) -> usize {
        arch::cpu().0
    }

    fn now(&self) -> u64 {
        arch::clock()
    }

    fn set_timer(&self, deadline: Option<u64>) {
        // Turned off by itself: an interrupt that comes for nothing is cheaper than the register.
        if let Some(deadline) = deadline {
            self.arm(deadline);
        }
    }

    fn kick(&self, cpu: usize) {
        arch::kick(CpuId(cpu));
    }

    fn idle(&self) {
        arch::idle();
        note_interrupt();
        memory::serve();
    }

    fn between_polls(&self) {
        memory::serve();
    }

    fn before_idle(&self) {
        // Rule M6: nobody shall have to wake this CPU for a shootdown.
        memory::leave();
    }
}
