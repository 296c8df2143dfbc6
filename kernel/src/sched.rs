//! The executor on this machine, and the time slice of user threads (rules E3, E4).
//!
//! The hardware timer of a CPU serves two: the executor's own timers, and the slice of a
//! thread in user mode. It is armed for the earlier of the two when user mode is entered
//! or the CPU halts, and only if it is not armed already for an earlier moment: a thread
//! that comes and goes within its slice costs nothing, and at worst an interrupt finds
//! nothing to do. Each interrupt may have been the timer's, and it may come a little
//! early, so after each the timer counts as not armed.

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
    timers: Vec<CachePadded<Timer>>,
}

/// One CPU's timer. Relaxed throughout: only that CPU uses it.
struct Timer {
    /// What the hardware is armed for.
    armed: AtomicU64,
    /// What the executor wants to be woken for.
    wanted: AtomicU64,
}

static EXECUTOR: PerMachine<Executor<Machine>> = PerMachine::new();

/// Makes the executor. Called once, when there is a heap.
pub fn init() {
    let timer = || Timer {
        armed: AtomicU64::new(NEVER),
        wanted: AtomicU64::new(NEVER),
    };
    let timers = (0..arch::cpu_count())
        .map(|_| CachePadded::new(timer()))
        .collect();
    EXECUTOR.init(Executor::new(Machine { timers }, arch::cpu_count()));
}

/// The executor.
pub fn executor() -> &'static Executor<Machine> {
    EXECUTOR.get()
}

/// To be called by a task that is about to enter user mode, at the start of its poll.
pub fn begin_slice() {
    let executor = executor();
    executor.platform().timer().arm_by(arch::clock() + SLICE);
    executor.share_work();
}

/// To be called after an interrupt.
pub fn note_interrupt() {
    executor()
        .platform()
        .timer()
        .armed
        .store(NEVER, Ordering::Relaxed);
}

impl Machine {
    fn timer(&self) -> &Timer {
        &self.timers[arch::cpu().0]
    }
}

impl Timer {
    /// Makes sure that the hardware goes off at `deadline` or when the executor wants it,
    /// whichever comes first.
    fn arm_by(&self, deadline: u64) {
        let deadline = deadline.min(self.wanted.load(Ordering::Relaxed));
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
            arch::set_timer(Some(deadline));
        }
    }
}

// SAFETY: `cpu` names the CPU that it runs on, below `cpu_count`; the kernel is not
// interrupted but in user mode and in `idle`.
unsafe impl Platform for Machine {
    fn cpu(&self) -> usize {
        arch::cpu().0
    }

    fn now(&self) -> u64 {
        arch::clock()
    }

    fn set_timer(&self, deadline: Option<u64>) {
        // The hardware follows when it matters: in `idle` and `begin_slice`.
        self.timer()
            .wanted
            .store(deadline.unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn kick(&self, cpu: usize) {
        arch::kick(CpuId(cpu));
    }

    fn idle(&self) {
        self.timer().arm_by(NEVER);
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
