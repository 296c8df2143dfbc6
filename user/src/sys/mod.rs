//! System calls with types.
//!
//! Numbers and structures come from `linux-raw-sys`. Each wrapper is a thin one: it retries
//! nothing and hides no error, since half of the programs here exist to look at exactly those.
//! The exceptions say so (`wait`, which retries when interrupted; `write_all`).

pub mod errno;
pub mod file;
pub mod futex;
pub mod handler;
pub mod memory;
pub mod process;
pub mod raw;
pub mod signal;
pub mod storage;
pub mod system;
pub mod terminal;
pub mod thread;

pub use errno::Errno;

/// What a system call returns.
pub type Result<T> = core::result::Result<T, Errno>;
