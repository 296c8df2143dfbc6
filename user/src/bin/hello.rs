//! `hello [WORD...]`: greets, and says what it was given.
#![no_std]
#![no_main]

use user::{Arguments, println, program, sys::process};

program!(main);

fn main(arguments: Arguments) -> i32 {
    println!("hello from process {}", process::getpid());
    for (index, argument) in arguments.rest().enumerate() {
        println!(
            "argument {}: {}",
            index + 1,
            argument.to_bytes().escape_ascii()
        );
    }
    0
}
