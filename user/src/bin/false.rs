//! `false`: nothing, unsuccessfully.
#![no_std]
#![no_main]

use user::{Arguments, program};

program!(main);

fn main(_: Arguments) -> i32 {
    1
}
