//! `usertests [--list | NAME...]`: many small cases over processes, pipes, memory, files, bad
//! arguments and exhaustion. Runs all, or those that are named, and reports each.
//!
//! What is expected is what Linux does; the same binary runs there to see that it is.
#![no_std]
#![no_main]

extern crate alloc;

mod advice;
mod arguments;
mod crowds;
mod descriptors;
mod directories;
mod elf;
mod exec;
mod exhaustion;
mod files;
mod futexes;
mod growth;
mod helper;
mod limits;
mod locks;
mod many_areas;
mod memory;
mod moving;
mod pipes;
mod presence;
mod proc_files;
mod processes;
mod registers;
mod rights;
mod scratch;
mod segments;
mod signals;
mod storage;
mod threads;
mod time;
mod vectors;

use user::testing::cases;
use user::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    if arguments
        .get(1)
        .is_some_and(|first| first == helper::OPTION)
    {
        return helper::main(arguments);
    }
    helper::remember_own_path(arguments);
    cases::main(
        arguments,
        &[
            processes::CASES,
            signals::CASES,
            threads::CASES,
            crowds::CASES,
            futexes::CASES,
            pipes::CASES,
            descriptors::CASES,
            memory::CASES,
            moving::CASES,
            advice::CASES,
            vectors::CASES,
            registers::CASES,
            segments::CASES,
            rights::CASES,
            growth::CASES,
            limits::CASES,
            presence::CASES,
            files::CASES,
            directories::CASES,
            storage::CASES,
            locks::CASES,
            proc_files::CASES,
            time::CASES,
            exec::CASES,
            elf::CASES,
            arguments::CASES,
            many_areas::CASES,
            exhaustion::CASES,
        ],
    )
}
