//! `spin [SECONDS]`: burns CPU time, and makes next to no system calls. Without a number, for
//! ever.
#![no_std]
#![no_main]

use core::hint;

use user::sys::system;
use user::{Arguments, eprintln, number, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let seconds = match arguments.get(1).map(|text| number::parse(text.to_bytes())) {
        None => None,
        Some(Some(seconds)) => Some(seconds),
        Some(None) => {
            eprintln!("usage: spin [SECONDS]");
            return 2;
        }
    };
    let Some(seconds) = seconds else {
        loop {
            hint::spin_loop();
        }
    };
    let deadline = system::now() + seconds * 1_000_000_000;
    while system::now() < deadline {
        for _ in 0..1_000_000 {
            hint::spin_loop();
        }
    }
    0
}
