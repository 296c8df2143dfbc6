//! The machine, and nothing else.
//!
//! This folder is the only one that touches a register or a device. It has two
//! implementations of one surface: [`x86_64`](self), the real machine, and a
//! simulated machine on which the memory system is tested on the host. The rest
//! of the kernel uses the names listed here and no others.
//!
//! **Interrupts.** The kernel runs with interrupts masked. An interrupt is taken
//! in ring 3, where it ends [`UserContext::run`], or while the CPU halts, where
//! it ends [`idle`]. So no kernel code is ever interrupted, no lock is shared
//! with a handler, and an interrupt handler is ordinary code that may wake a
//! task. The exceptions are NMI (another CPU panicked: stop) and exceptions in the kernel
//! itself (a defect: panic).

pub(crate) mod atomic;
mod frame;
mod handler;
pub mod level;
pub mod paging;

pub use frame::{FRAME_SIZE, Frame};
pub use handler::{BadFrame, FloatError, HandlerCall, HandlerFrame, StackNote};

#[cfg(target_os = "none")]
mod x86_64;
#[cfg(target_os = "none")]
use self::x86_64 as machine;

// The parts of the real machine that can be tested without it.
#[cfg(all(test, not(target_os = "none")))]
#[path = "x86_64/calendar.rs"]
mod calendar;
#[cfg(all(test, not(target_os = "none")))]
#[path = "x86_64/ranges.rs"]
mod ranges;

#[cfg(not(target_os = "none"))]
pub mod sim;
#[cfg(not(target_os = "none"))]
use self::sim as machine;

// CPUs and time.
pub use machine::{clock, cpu, cpu_count, idle, kick, set_timer, start_cpus, wall_clock_offset};
// Memory.
pub use machine::{
    PerMachine, clear_root, copy_page, flush_all, flush_page, frame_ptr, load_kernel_root,
    load_root, load_root_keeping, load_root_tagged, new_root, page_moves, pcids, scheduling_point,
    zero_page,
};
// User mode.
pub use machine::{FpuState, SavedFrame, UserContext};
// The world outside.
pub use machine::{
    console_write, log_write, power_off, random, resume_console_input, set_console_input,
};
// The kernel's own memory, and its end. The simulated machine leaves both to the host.
#[cfg(target_os = "none")]
pub use machine::{General, HEAP, KernelException, backtrace, halt, map_kernel, stop_other_cpus};

use core::fmt;

/// The largest number of CPUs that the kernel uses; more are left halted.
pub const MAX_CPUS: usize = 64;

/// A logical CPU, counted from 0 in the order in which the CPUs were found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CpuId(pub usize);

/// A process-context identifier: the tag of a translation (Intel SDM vol. 3, 4.10.1). 0 is in use
/// where nothing else is said.
pub type Pcid = u16;

/// A range of physical memory, in bytes; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysRange {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// What the machine tells the kernel when it starts.
pub struct BootInfo {
    /// Free memory, page-aligned, sorted, without overlaps: everything that
    /// the firmware calls usable, less the kernel image, the initramfs, the
    /// first MiB and what `arch` itself has taken for tables and stacks.
    pub free: &'static [PhysRange],
    /// The initramfs, mapped; empty when there is none.
    pub initramfs: &'static [u8],
    /// The kernel's command line.
    pub command_line: &'static str,
    /// How many frames there are from physical address 0 to the end of memory.
    pub frames: usize,
}

/// How memory was used when a page fault was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// Why user mode was left (Intel SDM vol. 3, 6.15 for the exceptions).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// The `syscall` instruction. Number and arguments are in the context.
    Syscall,
    /// Exception 14.
    PageFault {
        /// CR2.
        address: usize,
        /// From the error code.
        access: Access,
    },
    /// Any other exception.
    Exception {
        /// The exception's number, 0 to 31.
        vector: u8,
        /// The error code, or 0 where the exception has none.
        error: u64,
    },
    /// An interrupt, which has been acknowledged and its device served.
    Interrupt,
}

/// What is done about a trap while the program is still in its CPU: the first stage. Nothing waits
/// here, and of the program only what the functions are given is known. What is answered by it does
/// not return from [`UserContext::run`]: the program goes on. What is not is as if it had never been
/// asked, and is returned for the second stage, which may wait.
pub trait AtOnce {
    /// The result of the system call.
    fn system_call(&self, number: usize, arguments: [usize; 6]) -> Option<usize>;

    /// Whether the access is possible now.
    fn page_fault(&self, address: usize, access: Access) -> bool;

    /// Whether the program may go on after an interrupt.
    fn interrupt(&self) -> bool;
}

/// What a program did that the processor answered with an exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// It divided by zero, or the quotient has no room.
    Division,
    /// An unmasked floating-point exception came up.
    Float,
    /// It is stepped through.
    Step,
    /// A breakpoint.
    Breakpoint,
    /// There is no such instruction.
    Instruction,
    /// A segment that is not there, a stack beyond its segment.
    Segment,
    /// A misaligned access.
    Alignment,
    /// Anything else that is not allowed.
    Protection,
}

impl Violation {
    /// The meaning of an exception's number (Intel SDM vol. 3, table 6-1).
    pub fn of(vector: u8) -> Violation {
        match vector {
            0 => Violation::Division,
            1 => Violation::Step,
            3 => Violation::Breakpoint,
            6 => Violation::Instruction,
            11 | 12 => Violation::Segment,
            16 | 19 => Violation::Float,
            17 => Violation::Alignment,
            _ => Violation::Protection,
        }
    }
}

/// Whether who takes the console's input wants more of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The next byte is welcome.
    More,
    /// Not before `resume_console_input`.
    Pause,
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu{}", self.0)
    }
}
