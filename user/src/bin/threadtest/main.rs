//! `threadtest [--list | NAME...]`: threads, and what this library makes of them: their
//! memory, locks, faults that are survived, forks while others work.
#![no_std]
#![no_main]

extern crate alloc;

mod faults;
mod lives;

use user::testing::cases;
use user::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    cases::main(arguments, &[lives::CASES, faults::CASES])
}
