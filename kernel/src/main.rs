//! The kernel image. Everything is in the library; this file only gives the
//! linker a program.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use kernel as _;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is a kernel: start it with `cargo bootimage run -- -smp 4`");
}
