//! The host tool behind `cargo bootimage`: sets up, builds, packs, boots and
//! judges. The integration tests use it as a library.
//!
//! In reading order:
//!
//! - [`args`]: the command line and its help, with the [`options`] of a boot.
//! - [`commands`]: what each command does.
//! - [`setup`]: gets the Rust target and QEMU where they are missing.
//! - [`image`]: has cargo build the kernel and the programs, and packs them;
//!   [`symbols`] and [`rootfs`] are its parts.
//! - [`iso`]: the same as an image for a CD or a stick; [`load`]: what a loader is given.
//! - [`session`]: one boot, in a machine with enough [`memory`]. [`qemu`] and [`command_line`] say how QEMU and the
//!   kernel are called, [`console`] moves the guest's input and output,
//!   [`follow`] shows its log, [`files`] are the files of a boot.
//! - [`verdict`]: how it ended.
//! - [`trace`]: what the kernel's event trace says, as a file for Perfetto.
//! - [`mod@bench`]: measures it, and Linux beside it.
//! - [`simulate`]: its memory system on a simulated machine, without QEMU.
//! - [`workspace`], [`progress`], [`error`]: used everywhere.
//!
//! # What it expects of the kernel
//!
//! - The kernel's command line is `key=value ... -- arguments of init`; `-c
//!   COMMAND` after the dashes is a shell command. See [`command_line`].
//! - The first serial port is the console. It is set up, and keeps what it
//!   receives, before the kernel logs its first line; from then on input is sent.
//! - The second serial port is the log. Whatever the log level, its last lines
//!   are `audit: ...` and `power-off: status N`, or there is a line `PANIC: ...`.
//!   See [`verdict`].
//! - `console=terminal` or `console=stream` tells whether a person sits before
//!   the console. What comes in by a stream is not echoed, and what goes out is
//!   not changed (no `\r` before `\n`).
//! - A root file system that the kernel cannot load whole is one line `the initramfs is not
//!   complete: ...`, and no program is started. Its archive has the contents of larger files
//!   on page boundaries; see `rootfs/archive.rs`.
//! - With `trace=on` or `trace=N` the log has a line `trace: BYTES bytes at ADDRESS`. The
//!   physical memory there has the events. See [`trace`].
//! - The end: `0x10`, `0x11` or `0x12` to the port `0xf4`, when both serial ports
//!   have sent everything.

pub mod args;
pub mod bench;
pub mod command_line;
pub mod commands;
pub mod console;
pub mod error;
pub mod files;
pub mod follow;
pub mod image;
pub mod iso;
pub mod load;
pub mod memory;
pub mod options;
pub mod progress;
pub mod qemu;
pub mod rootfs;
pub mod session;
pub mod setup;
pub mod simulate;
pub mod symbols;
pub mod trace;
pub mod verdict;
pub mod workspace;
