//! The machine, and nothing else.
//!
//! This folder is the only one that touches a register or a device. There are two machines behind
//! one interface: `x86_64`, the real one, and the simulated one of `testing`, on which the memory
//! system is tested on the host. The rest of the kernel uses the names that this file lists and no
//! others; `surface` checks that both machines have them with the same types.
//!
//! In reading order: `frame`, `entry`, `level` (what a page table is made of), [`paging`] (tables),
//! `interface` and `handler` (the types that cross the border), `upward` (the functions of the kernel
//! that a machine calls), then a machine. `atomic` switches the atomics for `loom`.
//!
//! **Layers.** Nothing here uses another part of the kernel. The files above are below both
//! machines, and no machine uses this file: each imports from the file that defines a name.
//!
//! **Interrupts.** The kernel runs with interrupts masked. An interrupt is taken in ring 3, where it
//! ends [`UserContext::run`], or while the CPU halts, where it ends [`idle`]. So no kernel code is
//! ever interrupted, no lock is shared with a handler, and an interrupt handler is ordinary code
//! that may wake a task. The exceptions are the NMI (another CPU panicked: stop) and exceptions in
//! the kernel itself (a defect: panic).

pub(crate) mod atomic;
pub mod entry;
pub mod frame;
pub mod handler;
pub mod interface;
pub mod level;
pub mod paging;
mod surface;
#[cfg(target_os = "none")]
mod upward;

#[cfg(target_os = "none")]
mod x86_64;
#[cfg(target_os = "none")]
use self::x86_64 as machine;
#[cfg(not(target_os = "none"))]
use crate::testing::machine;

// The parts of the real machine that can be tested without it.
#[cfg(all(test, not(target_os = "none")))]
#[path = "x86_64/calendar.rs"]
mod calendar;
#[cfg(all(test, not(target_os = "none")))]
#[path = "x86_64/ranges.rs"]
mod ranges;

pub use frame::{FRAME_SIZE, Frame};
pub use handler::{BadFrame, FloatError, HandlerCall, HandlerFrame, StackNote};
pub use interface::{
    Access, BootInfo, CpuId, FastPath, MAX_CPUS, Pcid, PhysRange, Trap, Violation, Wanted,
};

// CPUs and time.
pub use machine::{
    clock, cpu, cpu_count, idle, send_ipi, set_timer, start_cpus, wall_clock_offset,
};
// Memory.
pub use machine::{
    PerMachine, clear_root, copy_page, flush_all, flush_page, frame_ptr, load_kernel_root,
    load_root, load_root_keeping, load_root_tagged, new_root, page_moves, pcids, scheduling_point,
    zero_page,
};
// User mode.
pub use machine::{FpuState, SavedFrame, UserContext, save_loaded_fpu};
// The world outside.
pub use machine::{
    console_write, cpuid, log_write, power_off, random, resume_console_input, set_console_input,
};
// The kernel's own memory, and its end. The simulated machine leaves both to the host.
#[cfg(target_os = "none")]
pub use machine::{HEAP, KernelException, backtrace, frame_at, halt, map_kernel, stop_other_cpus};
