//! `rm NAME...`: removes files, and directories that are empty.
#![no_std]
#![no_main]

use user::sys::Errno;
use user::sys::file;
use user::{Arguments, program, tool};

program!(main);

fn main(arguments: Arguments) -> i32 {
    tool::each_argument("rm", arguments, |name| match file::unlink(name) {
        Err(Errno::EISDIR) => file::rmdir(name),
        result => result,
    })
}
