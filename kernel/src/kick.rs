//! Making another CPU look: by an interrupt, or by a word in memory if it waits for that (rule E3).
//!
//! A CPU that halts is woken by an interrupt. That is dear, in a virtual machine most of all, where
//! the host has to wake the thread that plays the CPU. So one that expects something at any moment
//! waits awake for a while ([`wait`]), and whoever kicks it meanwhile only writes a word.
//!
//! ```text
//!            begin                  kick
//!   BUSY ------------> WAITS -----------------> KICKED
//!     ^                  |                        |
//!     +------------------+------------------------+
//!                       end
//! ```
//!
//! Kick and end are read-modify-writes of that word. So a kick is seen by who waits, or it is an
//! interrupt, which stays pending until the CPU halts or enters user mode.

use crate::arch::atomic::{AtomicU32, Ordering};
use crate::arch::{self, CpuId, PerMachine};
use alloc::vec::Vec;
use crossbeam_utils::CachePadded;

/// Only an interrupt reaches the CPU.
const BUSY: u32 = 0;
/// It looks at this word.
const WAITS: u32 = 1;
/// It was kicked while it did.
const KICKED: u32 = 2;

/// By what a CPU that waits awake is kicked.
pub(crate) struct Word(AtomicU32);

impl Word {
    /// One of a CPU that does not wait.
    pub(crate) fn new() -> Word {
        Word(AtomicU32::new(BUSY))
    }

    /// The CPU begins to wait. Who does not see it yet sends an interrupt.
    pub(crate) fn begin(&self) {
        self.0.store(WAITS, Ordering::Relaxed);
    }

    /// Whether it may go on waiting.
    pub(crate) fn waits(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WAITS
    }

    /// It waits no longer. Says whether it was kicked.
    pub(crate) fn end(&self) -> bool {
        // Acquire: pairs with the Release in `kick`.
        self.0.swap(BUSY, Ordering::Acquire) == KICKED
    }

    /// Kicks the CPU if it waits. Says whether it does; else it takes an interrupt.
    #[must_use]
    pub(crate) fn kick(&self) -> bool {
        // Release: the CPU sees what it is kicked for.
        self.waits()
            && self
                .0
                .compare_exchange(WAITS, KICKED, Ordering::Release, Ordering::Relaxed)
                .is_ok()
    }
}

static WORDS: PerMachine<Vec<CachePadded<Word>>> = PerMachine::new();

/// To be called once, before there is a second CPU.
pub fn init() {
    let word = |_| CachePadded::new(Word::new());
    WORDS.init((0..arch::cpu_count()).map(word).collect());
}

/// Ends user mode, the halt or [`wait`] on another CPU, soon. Says whether that took an interrupt.
pub fn kick(cpu: CpuId) -> bool {
    let waited = WORDS.get()[cpu.0].kick();
    if !waited {
        arch::send_ipi(cpu);
    }
    !waited
}

/// Waits awake until this CPU is kicked, but not beyond `deadline`. Says whether it was kicked.
pub fn wait(deadline: u64) -> bool {
    let word = &WORDS.get()[arch::cpu().0];
    word.begin();
    // Without PAUSE: a hypervisor may take that for a reason to stop the CPU, and an emulator leaves
    // its inner loop for it and takes the lock that the kick needs. To read the clock is slow enough.
    while word.waits() && arch::clock() < deadline {}
    word.end()
}
