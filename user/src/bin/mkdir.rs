//! `mkdir NAME...`: makes directories.
#![no_std]
#![no_main]

use user::sys::file;
use user::{Arguments, program, tool};

program!(main);

fn main(arguments: Arguments) -> i32 {
    tool::each_argument("mkdir", arguments, |name| file::mkdir(name, 0o777))
}
