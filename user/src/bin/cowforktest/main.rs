//! `cowforktest [--list | NAME...]`: that fork copies memory, and that it does so only when it
//! must.
//!
//! Contents are looked at by every word; which frame a page is in by `/proc/self/pagemap`, where
//! the kernel lets us see it (rule numbers: docs/design.md, M1 to M11).
#![no_std]
#![no_main]

mod isolation;
mod kernel_writes;
mod places;
mod sharing;

use user::testing::cases;
use user::testing::pagemap::{self, Frame};
use user::{Arguments, println, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let here = 0u8;
    if !matches!(
        pagemap::frame(&raw const here as usize),
        Ok(Frame::Number(_))
    ) && arguments.get(1) != Some(c"--list")
    {
        println!("frames not visible: only contents are checked");
    }
    cases::main(
        arguments,
        &[
            isolation::CASES,
            sharing::CASES,
            kernel_writes::CASES,
            places::CASES,
        ],
    )
}
