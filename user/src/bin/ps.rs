//! `ps`: the processes, by `/proc/PID/status`: number, parent, state, resident memory, name.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::string::String;

use user::sys::{Errno, Result};
use user::{Arguments, directory, number, println, program, tool};

program!(main);

fn main(_: Arguments) -> i32 {
    let entries = match directory::list(c"/proc") {
        Ok(entries) => entries,
        Err(errno) => {
            tool::complain("ps", c"/proc", errno);
            return 1;
        }
    };
    let mut pids: alloc::vec::Vec<u64> = entries
        .iter()
        .filter_map(|entry| number::parse(&entry.name))
        .collect();
    pids.sort_unstable();
    println!("  PID  PPID S      RSS NAME");
    for pid in pids {
        // One that has ended meanwhile is not there any more.
        if let Ok(text) = status(pid) {
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.split_whitespace().next())
                    .unwrap_or("-")
            };
            println!(
                "{pid:>5} {:>5} {} {:>8} {}",
                field("PPid:"),
                field("State:"),
                field("VmRSS:"),
                field("Name:")
            );
        }
    }
    0
}

fn status(pid: u64) -> Result<String> {
    let path = alloc::ffi::CString::new(format!("/proc/{pid}/status")).map_err(|_| Errno::EIO)?;
    tool::text(&path)
}
