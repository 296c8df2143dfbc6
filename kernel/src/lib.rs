//! cowfork: an async SMP kernel whose `fork` copies one table.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod arch;
pub mod errno;
pub mod memory;
