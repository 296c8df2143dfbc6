//! The runtime of the user programs: small static programs against the Linux system-call ABI,
//! without a C library. They run on cowfork and, unmodified, on Linux, and that is how their
//! expectations are checked.
//!
//! In reading order: [`start`] takes over from the kernel, [`sys`] has the system calls, [`io`]
//! prints, [`random`] and [`heap`] are what their names say. [`thread`] and [`sync`] are for programs
//! with several threads, [`recover`] for those that use memory which may not be there. [`options`], [`number`], [`tool`] and
//! [`directory`] serve the small tools, [`testing`] the test programs. The programs themselves are
//! in `src/bin`.
#![no_std]

extern crate alloc;

pub mod directory;
pub mod heap;
pub mod io;
pub mod number;
pub mod options;
pub mod random;
pub mod recover;
pub mod start;
pub mod sync;
pub mod sys;
pub mod testing;
pub mod thread;
pub mod tool;

pub use start::Arguments;

/// A bug in the program: say where, and exit with Rust's usual status.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    io::flush();
    eprintln!("{info}");
    sys::process::exit_now(101)
}
