//! `echo [-n] [WORD...]`: prints the words.
#![no_std]
#![no_main]

use user::{Arguments, io, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let newline = arguments.get(1) != Some(c"-n");
    for (index, word) in arguments.rest().skip(usize::from(!newline)).enumerate() {
        if index > 0 {
            io::put(b" ");
        }
        io::put(word.to_bytes());
    }
    if newline {
        io::put(b"\n");
    }
    0
}
