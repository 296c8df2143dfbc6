//! Waking another CPU: by a reschedule IPI, or by a word in memory if that CPU polls it (rule E3).
//!
//! A CPU that halts is woken by an interrupt. That is expensive, in a virtual machine most of all,
//! where the host has to wake the thread that plays the CPU. So a CPU that expects work at any moment
//! polls for a while ([`poll_until`]), and another CPU wakes it by a write to its word.
//!
//! ```text
//!            begin                  wake
//!   BUSY ------------> POLLING --------------> WOKEN
//!     ^                   |                      |
//!     +-------------------+----------------------+
//!                        end
//! ```
//!
//! `wake` (compare-and-exchange) and `end` (swap) are read-modify-writes of that word. So either `end`
//! observes the wake-up, or `wake` finds that the CPU does not poll and sends an interrupt, which
//! stays pending until the CPU halts or enters user mode.

use crate::arch::atomic::{AtomicU32, Ordering};
use crate::arch::{self, CpuId, PerMachine};
use alloc::vec::Vec;
use crossbeam_utils::CachePadded;

/// Only an interrupt reaches the CPU.
const BUSY: u32 = 0;
/// It polls this word.
const POLLING: u32 = 1;
/// It was woken while it did.
const WOKEN: u32 = 2;

/// The word by which a CPU that polls is woken.
pub(crate) struct PollState(AtomicU32);

impl PollState {
    /// Of a CPU that does not poll.
    pub(crate) fn new() -> PollState {
        PollState(AtomicU32::new(BUSY))
    }

    /// The CPU begins to poll. A CPU that does not observe that yet sends an interrupt.
    pub(crate) fn begin(&self) {
        self.0.store(POLLING, Ordering::Relaxed);
    }

    /// Whether it may go on polling.
    pub(crate) fn is_polling(&self) -> bool {
        self.0.load(Ordering::Relaxed) == POLLING
    }

    /// It polls no longer. Returns whether it was woken.
    pub(crate) fn end(&self) -> bool {
        // Acquire: pairs with the Release in `try_wake`.
        self.0.swap(BUSY, Ordering::Acquire) == WOKEN
    }

    /// Wakes the CPU if it polls. Returns whether it does; else it takes an interrupt.
    #[must_use]
    pub(crate) fn try_wake(&self) -> bool {
        // Release: pairs with the Acquire in `end`. What the caller stored before is visible to
        // the CPU that is woken.
        self.is_polling()
            && self
                .0
                .compare_exchange(POLLING, WOKEN, Ordering::Release, Ordering::Relaxed)
                .is_ok()
    }
}

static STATES: PerMachine<Vec<CachePadded<PollState>>> = PerMachine::new();

/// To be called once, before there is a second CPU.
pub fn init() {
    let state = |_| CachePadded::new(PollState::new());
    STATES.init((0..arch::cpu_count()).map(state).collect());
}

/// Ends user mode, the halt or [`poll_until`] on another CPU, soon. Says whether that took an interrupt.
pub fn wake_cpu(cpu: CpuId) -> bool {
    let waited = STATES.get()[cpu.0].try_wake();
    if !waited {
        arch::send_ipi(cpu);
    }
    !waited
}

/// Polls until this CPU is woken, but not beyond `deadline`. Returns whether it was woken.
pub fn poll_until(deadline: u64) -> bool {
    let state = &STATES.get()[arch::cpu().0];
    state.begin();
    // Without PAUSE: a hypervisor may take that for a reason to stop the CPU, and an emulator leaves
    // its inner loop for it and takes the lock that the wake-up needs. To read the clock is slow enough.
    while state.is_polling() && arch::clock() < deadline {}
    state.end()
}
