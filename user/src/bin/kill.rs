//! `kill [-SIGNAL] PID...`: sends a signal, SIGTERM by default.
#![no_std]
#![no_main]

use user::sys::Errno;
use user::sys::process::{self, Pid};
use user::sys::signal::Signal;
use user::{Arguments, eprintln, number, program, tool};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let option = arguments
        .get(1)
        .and_then(|word| word.to_bytes().strip_prefix(b"-"));
    let signal = match option {
        None => Some(Signal::SIGTERM),
        Some(name) => number::parse(name)
            .and_then(|number| i32::try_from(number).ok())
            .map(Signal)
            .or_else(|| Signal::by_name(name.strip_prefix(b"SIG").unwrap_or(name))),
    };
    let skipped = usize::from(option.is_some());
    let (Some(signal), true) = (signal, arguments.len() > 1 + skipped) else {
        eprintln!("usage: kill [-SIGNAL] PID...");
        return 2;
    };
    let mut code = 0;
    for word in arguments.rest().skip(skipped) {
        let pid = number::parse(word.to_bytes()).and_then(|number| i32::try_from(number).ok());
        let result = pid
            .ok_or(Errno::ESRCH)
            .and_then(|pid| process::kill(Pid(pid), signal));
        if let Err(errno) = result {
            tool::complain("kill", word, errno);
            code = 1;
        }
    }
    code
}
