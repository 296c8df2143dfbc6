//! `badaccess [--list | NAME...]`: addresses that are not the program's to use.
//!
//! Used by the program itself they kill it with `SIGSEGV`, and its parent goes on; as arguments
//! of system calls they come to `EFAULT`, and the program goes on (rule M8). Meanwhile no
//! else notices.
#![no_std]
#![no_main]

mod by_frame;
mod by_kernel;
mod by_program;
mod by_range;
mod places;

use user::testing::cases;
use user::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    cases::main(
        arguments,
        &[
            by_program::CASES,
            by_frame::CASES,
            by_kernel::CASES,
            by_range::CASES,
        ],
    )
}
