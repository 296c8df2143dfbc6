//! `init [-c STRING | PROGRAM [ARGUMENT...]]`: the first process.
//!
//! Runs `/bin/sh` on the console, or `/bin/sh -c STRING`, or the program that is named; reaps
//! the orphans that come to it meanwhile; and ends as its command ended. Where the end of
//! process 1 stops the machine in good order (cowfork) it exits; Linux would panic then, so
//! there it powers the machine off instead.
#![no_std]
#![no_main]

use core::ffi::CStr;

use user::sys::file::{self, Fd, O_RDWR};
use user::sys::process::{self, Forked, Pid, Status};
use user::sys::{Errno, system};
use user::{Arguments, eprintln, io, program};

program!(main);

const SHELL: &CStr = c"/bin/sh";

/// The status when the command could not even be started.
const NOT_STARTED: u8 = 127;

fn main(arguments: Arguments) -> i32 {
    let first = process::getpid() == Pid(1);
    let on_linux = first && !system::on_cowfork();
    if first {
        open_console();
    }
    if on_linux {
        // cowfork has them from the start. Where they are missing the command will tell.
        let _ = system::mount(c"devtmpfs", c"/dev");
        let _ = system::mount(c"proc", c"/proc");
    }
    let code = match run(arguments) {
        Ok(status) => status.code(),
        Err(errno) => {
            eprintln!("init: fork: {errno}");
            NOT_STARTED
        }
    };
    if on_linux {
        io::flush();
        let errno = system::power_off();
        eprintln!("init: power off: {errno}");
    }
    i32::from(code)
}

/// Makes the three standard descriptors, where the kernel has not.
fn open_console() {
    while file::descriptor_flags(Fd::STDERR).is_err() {
        if file::open(c"/dev/console", O_RDWR, 0).is_err() {
            break;
        }
    }
}

/// Runs the command to its end and reaps all that end before it.
fn run(arguments: Arguments) -> Result<Status, Errno> {
    let command = match process::fork()? {
        Forked::Child => {
            if process::getppid() == Pid(1) {
                // So that ^C reaches the command. A console that is no terminal has no keys.
                let _ = process::setsid().and_then(|()| file::take_terminal(Fd::STDIN));
            }
            let (path, errno) = execute(arguments);
            eprintln!("init: {}: {errno}", path.to_bytes().escape_ascii());
            process::exit_now(i32::from(NOT_STARTED))
        }
        Forked::Parent(pid) => pid,
    };
    loop {
        let (pid, status) = process::wait()?;
        if pid == command {
            return Ok(status);
        }
    }
}

/// Becomes the command. Returns what could not be started, and why.
fn execute(arguments: Arguments) -> (&'static CStr, Errno) {
    let environment = arguments.environment_list();
    match arguments.get(1) {
        // Our own arguments are the shell's: it looks at those after its name.
        None => (
            SHELL,
            process::execve(SHELL, arguments.list_from(0), environment),
        ),
        Some(option) if option == c"-c" => (
            SHELL,
            process::execve(SHELL, arguments.list_from(0), environment),
        ),
        Some(path) => (
            path,
            process::execve(path, arguments.list_from(1), environment),
        ),
    }
}
