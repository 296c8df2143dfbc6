//! `memhog [MIB]`: maps and touches memory, 1 MiB at a time, until there is so much of it, or
//! there is an error, or the kernel kills it. Without a number it goes on until the end.
#![no_std]
#![no_main]

use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::{Arguments, eprintln, number, println, program};

program!(main);

const STEP: usize = 1 << 20;
/// How often it says how far it has come, in MiB.
const REPORT: u64 = 16;

fn main(arguments: Arguments) -> i32 {
    let most = match arguments.get(1).map(|text| number::parse(text.to_bytes())) {
        None => u64::MAX,
        Some(Some(most)) => most,
        Some(None) => {
            eprintln!("usage: memhog [MIB]");
            return 2;
        }
    };
    for done in 0..most {
        let start = match memory::map(STEP, Protection::READ_WRITE, Sharing::Private) {
            Ok(start) => start,
            Err(errno) => {
                println!("memhog: mmap after {done} MiB: {errno}");
                return 1;
            }
        };
        for page in (start..start + STEP).step_by(PAGE) {
            // SAFETY: in the mapping that was just made, which no other code knows of.
            unsafe { (page as *mut u64).write_volatile(page as u64) };
        }
        if (done + 1).is_multiple_of(REPORT) {
            println!("{} MiB", done + 1);
        }
    }
    println!("memhog: touched {most} MiB");
    0
}
