//! `cat [FILE...]`: prints the files, or standard input, one after the other.
#![no_std]
#![no_main]

use user::sys::file::{self, Fd};
use user::{Arguments, program, tool};

program!(main);

fn main(arguments: Arguments) -> i32 {
    tool::each_input("cat", arguments.rest(), |fd, _| {
        tool::blocks(fd, |block| {
            file::write_all(Fd::STDOUT, block).map(|()| true)
        })
    })
}
