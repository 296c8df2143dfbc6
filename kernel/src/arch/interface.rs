//! The types that both machines and the rest of the kernel speak: CPUs, memory at boot, and why
//! a program has left user mode.

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

/// The fast path: how a trap is answered on the entry path, before the program's registers are
/// saved and while the program still owns the CPU.
///
/// A function here never waits, and learns of the program only what it is given. A trap that the
/// fast path answers does not return from `UserContext::run`: the program goes on. A trap that it
/// leaves has changed nothing, and is returned for the slow path, which may wait.
pub trait FastPath {
    /// Answers a system call: its result, or `None` for the slow path.
    fn system_call(&self, number: usize, arguments: [usize; 6]) -> Option<usize>;

    /// Resolves a page fault: `true` when the access is possible now, `false` for the slow path.
    fn page_fault(&self, address: usize, access: Access) -> bool;

    /// Called after an interrupt was served: `true` when the program may go on.
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

/// Whether the receiver of the console's input takes more of it.
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
