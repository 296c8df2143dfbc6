//! The real machine: x86-64 with a local APIC, an I/O APIC, two serial ports.
//!
//! In reading order:
//!
//! * `layout`: the kernel's half of every address space. `boot`: from the loader to the kernel
//!   proper, with what the loader tells; `topology`: what ACPI tells; `ranges`: free memory.
//! * `features`: what the CPU has. `paging`: the kernel's tables. `percpu`: each CPU's own data.
//!   `bring_up`: what each CPU does first.
//! * `vectors`, `interrupts`: the way in from everywhere. `registers`, `segments`, `user_entry`, `user`, `fpu`:
//!   user mode; `sigframe`, `fpuframe`: what a signal handler finds on its stack.
//! * `pages`: whole pages copied and zeroed, beside a program's vector registers.
//! * `apic`, `smp`, `time`, `rtc`, `calendar`: controllers, other CPUs, clocks.
//! * `serial`, `random`, `power` with `soft_off`: the world outside. `exception`, `stop`: the end.
//!
//! Not done: separate tables for user mode (CPUs with the Meltdown defect are not
//! protected).

mod apic;
mod boot;
mod bring_up;
mod calendar;
mod cell;
pub(super) mod exception;
mod features;
mod fpu;
mod fpuframe;
mod interrupts;
pub(super) mod layout;
mod pages;
mod paging;
mod percpu;
mod power;
mod random;
mod ranges;
mod registers;
mod rtc;
mod segments;
mod serial;
mod sigframe;
mod smp;
mod soft_off;
mod stop;
mod time;
mod topology;
mod user;
mod user_entry;
mod vectors;

pub use apic::send_ipi;
pub use boot::wall_clock_offset;
pub use cell::PerMachine;
pub use exception::{KernelException, backtrace};
pub use features::cpuid;
pub use fpu::{FpuState, save_loaded as save_loaded_fpu};
pub use interrupts::idle;
pub use layout::{HEAP, frame_at, frame_ptr, scheduling_point};
pub use pages::{copy_page, page_moves, zero_page};
pub use paging::{
    clear_root, flush_all, flush_page, load_kernel_root, load_root, load_root_keeping,
    load_root_tagged, map_kernel, new_root, pcids,
};
pub use percpu::{cpu, cpu_count};
pub use power::power_off;
pub use random::random;
pub use serial::{console_write, log_write, resume_console_input, set_console_input};
pub use sigframe::SavedFrame;
pub use smp::start_cpus;
pub use stop::{halt, stop_other_cpus};
pub use time::{clock, set_timer};
pub use user::UserContext;
