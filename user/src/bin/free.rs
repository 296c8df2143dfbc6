//! `free`: how much memory there is and how much of it is free, by `/proc/meminfo`.
#![no_std]
#![no_main]

use user::sys::file::{self, O_CLOEXEC, O_RDONLY};
use user::{Arguments, println, program, tool};

program!(main);

fn main(_: Arguments) -> i32 {
    let mut text = [0; 8192];
    let result = file::open(c"/proc/meminfo", O_RDONLY | O_CLOEXEC, 0)
        .and_then(|fd| file::read_full(fd, &mut text));
    let count = match result {
        Ok(count) => count,
        Err(errno) => {
            tool::complain("free", c"/proc/meminfo", errno);
            return 1;
        }
    };
    let text = core::str::from_utf8(text.get(..count).unwrap_or_default()).unwrap_or_default();
    let kib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    match (kib("MemTotal:"), kib("MemFree:")) {
        (Some(total), Some(free)) => {
            println!("total {total} KiB");
            println!("used {} KiB", total.saturating_sub(free));
            println!("free {free} KiB");
            0
        }
        _ => {
            println!("free: /proc/meminfo does not say");
            1
        }
    }
}
