//! `true`: nothing, successfully.
#![no_std]
#![no_main]

use user::{Arguments, program};

program!(main);

fn main(_: Arguments) -> i32 {
    0
}
