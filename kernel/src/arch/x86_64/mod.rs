//! The real machine: x86-64 with a local APIC, an I/O APIC, two serial ports.
//!
//! In reading order:
//!
//! * `layout`: the kernel's half of every address space. `entry`, `boot`: from
//!   the loader to `kernel::start`. `early`, `ranges`, `machine`: what the loader
//!   and ACPI tell.
//! * `features`: what the CPU has. `paging`: the kernel's tables. `percpu`: each
//!   CPU's own data.
//! * `interrupts`: the way in from everywhere. `registers`, `crossing`, `user`, `fpu`:
//!   user mode; `sigframe`, `fpuframe`: what a signal handler finds on its stack.
//! * `pages`: whole pages copied and zeroed, beside a program's vector registers.
//! * `apic`, `smp`, `time`, `rtc`, `calendar`: controllers, other CPUs, clocks.
//! * `serial`, `random`, `power`, `fault`: the world outside, and the end.
//!
//! Not done: separate tables for user mode (CPUs with the Meltdown defect are not
//! protected).

mod apic;
mod boot;
mod calendar;
mod cell;
mod crossing;
mod early;
mod entry;
mod fault;
mod features;
mod fpu;
mod fpuframe;
mod interrupts;
mod layout;
mod machine;
mod pages;
mod paging;
mod percpu;
mod power;
mod random;
mod ranges;
mod registers;
mod rtc;
mod serial;
mod sigframe;
mod smp;
mod time;
mod user;

pub use apic::kick;
pub use boot::wall_clock_offset;
pub use cell::PerMachine;
pub use fault::{KernelException, backtrace, halt, stop_other_cpus};
pub use fpu::{FpuState, save_loaded as save_loaded_fpu};
pub use interrupts::idle;
pub use layout::{HEAP, frame_ptr};
pub use pages::{copy_page, page_moves, zero_page};
pub use paging::{
    clear_root, flush_all, flush_page, load_kernel_root, load_root, load_root_keeping,
    load_root_tagged, map_kernel, new_root, pcids, scheduling_point,
};
pub use percpu::{cpu, cpu_count};
pub use power::power_off;
pub use random::random;
pub use registers::General;
pub use serial::{console_write, log_write, resume_console_input, set_console_input};
pub use sigframe::SavedFrame;
pub use smp::start_cpus;
pub use time::{clock, set_timer};
pub use user::UserContext;
