//! What a process may use at the most (getrlimit(2)): kept, inherited by `fork`, left alone by
//! `execve`.
//!
//! | limit | what it does here |
//! |---|---|
//! | `AS`, `DATA`, `STACK` | kept by the memory system, which has its own copy |
//! | `NOFILE` | kept by the table of descriptors |
//! | `SIGPENDING` | signals in the queues of all processes of a user (`user`) |
//! | `NPROC` | processes and threads of a user other than root (`user`) |
//! | all others | nothing |

use crate::fs::table::MAX_LIMIT;
use crate::memory::{self, Limits as MemoryLimits};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general as linux;
use spin::Mutex;

/// No limit.
const UNLIMITED: u64 = u64::MAX;
/// How many limits there are.
pub(super) const COUNT: usize = linux::RLIM_NLIMITS as usize;

/// One limit: what counts, and how far the process may raise that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What counts.
    pub soft: u64,
    /// The highest value that the soft limit can have.
    pub hard: u64,
}

impl Limit {
    const NONE: Limit = Limit::of(UNLIMITED);

    const fn of(value: u64) -> Limit {
        Limit {
            soft: value,
            hard: value,
        }
    }
}

/// The limits of a process.
pub(super) struct Limits {
    /// By their numbers. The soft limit of `NOFILE` is in the table of descriptors. `fork` shares the
    /// array, and a change copies it.
    pub(super) table: Mutex<Arc<[Limit; COUNT]>>,
    /// The address space is the parent's (vfork), whose limits count there.
    borrows_memory: AtomicBool,
}

impl Limits {
    /// Those of the first process: Linux's, where programs take sizes from them (`INIT_RLIMITS`
    /// of include/asm-generic/resource.h).
    pub(super) fn usual() -> Limits {
        let mut table = [Limit::NONE; COUNT];
        let mut set = |number: u32, limit| table[number as usize] = limit;
        set(
            linux::RLIMIT_STACK,
            Limit {
                soft: MemoryLimits::USUAL.stack as u64,
                hard: UNLIMITED,
            },
        );
        set(
            linux::RLIMIT_CORE,
            Limit {
                soft: 0,
                hard: UNLIMITED,
            },
        );
        set(linux::RLIMIT_NOFILE, Limit::of(MAX_LIMIT as u64));
        // A process for each 128 KiB, and half as many queued signals, as Linux works them out.
        let tasks = (memory::managed_frames() / 32) as u64;
        set(linux::RLIMIT_NPROC, Limit::of(tasks / 2));
        set(linux::RLIMIT_MEMLOCK, Limit::of(8 << 20));
        set(linux::RLIMIT_MSGQUEUE, Limit::of(819_200));
        set(linux::RLIMIT_SIGPENDING, Limit::of(tasks / 2));
        set(linux::RLIMIT_NICE, Limit::of(0));
        set(linux::RLIMIT_RTPRIO, Limit::of(0));
        Limits {
            table: Mutex::new(Arc::new(table)),
            borrows_memory: AtomicBool::new(false),
        }
    }

    /// Those of a child.
    pub(super) fn fork(&self, borrows_memory: bool) -> Limits {
        Limits {
            table: Mutex::new(self.table.lock().clone()),
            borrows_memory: AtomicBool::new(borrows_memory),
        }
    }

    /// The process has got memory of its own.
    pub(super) fn memory_is_own(&self) {
        // Relaxed: only the process's own calls ask.
        self.borrows_memory.store(false, Ordering::Relaxed);
    }

    /// How many signals may be queued for the user's processes.
    pub(super) fn pending_signals(&self) -> u64 {
        self.table.lock()[linux::RLIMIT_SIGPENDING as usize].soft
    }

    /// How many processes and threads the user may have.
    pub(super) fn tasks(&self) -> u64 {
        self.table.lock()[linux::RLIMIT_NPROC as usize].soft
    }

    /// Whether the address space is the parent's (vfork).
    pub(super) fn borrows_memory(&self) -> bool {
        self.borrows_memory.load(Ordering::Relaxed)
    }

    /// Those that the memory system keeps.
    pub(super) fn of_memory(&self) -> MemoryLimits {
        let table = self.table.lock();
        let bytes = |value| usize::try_from(value).unwrap_or(usize::MAX);
        let soft = |number: u32| bytes(table[number as usize].soft);
        let data = table[linux::RLIMIT_DATA as usize];
        MemoryLimits {
            address_space: soft(linux::RLIMIT_AS),
            // As Linux has it for valgrind's sake: with none at all the hard one counts.
            data: bytes(if data.soft == 0 { data.hard } else { data.soft }),
            stack: soft(linux::RLIMIT_STACK),
        }
    }
}
