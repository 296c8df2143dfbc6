//! A simulated machine, on which the memory system runs on the host.
//!
//! It has physical memory, and CPUs of which each has a CR3, a TLB and paging-structure caches that
//! forget nothing until they are told to. Each thread of the host has a machine of its own, so tests
//! run side by side. A test either says with [`on`] which CPU it plays, or gives each CPU a function
//! to run and leaves the order to a seed (`schedule`). It loads and stores as a user program would
//! with [`load`] and [`store`].
//!
//! In reading order:
//!
//! * `memory` (`loom_memory` under `loom`): the frames. `cell`: the kernel's variables, one set for
//!   each machine. `state`: a machine as a whole.
//! * `caches`: what a CPU remembers of the tables. `processor`: how it gets at memory through them.
//!   `stores`: its store buffer.
//! * `schedule`, `random`: which CPU goes on, by a seed.
//! * `cpu`, `roots`, `devices`, `user`: the rest of the surface that `arch` lists.
//!
//! The machine knows nothing of the kernel. One question it has to ask: how many holders a frame
//! has, so that it can report an access to a free one (rule M2). [`power_on`] is given the answerer.

mod caches;
mod cell;
mod cpu;
mod devices;
#[cfg_attr(loom, path = "loom_memory.rs")]
mod memory;
mod processor;
pub mod random;
mod roots;
#[cfg(test)]
pub mod schedule;
pub(crate) mod state;
#[cfg(test)]
pub mod stores;
mod user;

// For tests.
pub use processor::{PageFault, load, load_word, store, store_word, translate};
#[cfg(test)]
pub use state::interrupt_arrives;
pub use state::{Running, here, on, power_on, take_ipi};

// The surface that `arch` lists.
pub use cell::PerMachine;
pub use cpu::{
    clock, cpu, cpu_count, flush_address_of, flush_all, flush_all_pcids, flush_page, flush_pcid,
    idle, load_kernel_root, load_root, load_root_keeping, load_root_tagged, pcids, send_ipi,
    set_timer, start_cpus, wall_clock_offset,
};
pub use devices::{
    console_write, cpuid, log_write, power_off, random, resume_console_input, set_console_input,
};
pub use roots::{clear_root, copy_page, new_root, page_moves, zero_page};
pub use state::{frame_ptr, scheduling_point};
pub use user::{FpuState, SavedFrame, UserContext, save_loaded_fpu};
