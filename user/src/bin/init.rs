//! `init [--env NAME=VALUE]... [--size ROWSxCOLUMNS] [-c STRING | PROGRAM [ARGUMENT...]]`: the
//! first process.
//!
//! Runs a shell on the console, or `/bin/sh -c STRING`, or the program that is named, with
//! these variables in its environment and the terminal of that size; reaps the orphans that
//! come to it meanwhile; and ends as its command ended. The shell on the console is bash where
//! there is one. Where there is no `/bin/sh` our own takes its place. Where the end of
//! process 1 stops the machine in good order (cowfork) it exits; Linux would panic then, so
//! there it powers the machine off instead.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::ffi::{CStr, c_char};

use user::sys::file::{self, Fd, O_RDWR};
use user::sys::process::{self, Forked, Pid, Status, StringList};
use user::sys::terminal::{self, Size};
use user::sys::{Errno, system};
use user::{Arguments, eprintln, io, number, program};

program!(main);

const SHELL: &CStr = c"/bin/sh";
/// Where the distribution has it, for a person on the console.
const COMFORTABLE_SHELL: &CStr = c"/bin/bash";
/// Beside a distribution's programs.
const OWN_SHELL: &CStr = c"/usr/lib/cowfork/bin/sh";

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

/// What the command line asks for.
struct Wanted {
    /// The new variables of the environment.
    environment: Vec<&'static CStr>,
    size: Option<Size>,
    /// Where the command begins in the arguments.
    command: usize,
}

impl Wanted {
    fn of(arguments: Arguments) -> Self {
        let mut wanted = Self {
            environment: Vec::new(),
            size: None,
            command: 1,
        };
        while let (Some(option), Some(value)) = (
            arguments.get(wanted.command),
            arguments.get(wanted.command + 1),
        ) {
            match option.to_bytes() {
                b"--env" => wanted.environment.push(value),
                b"--size" => wanted.size = size(value.to_bytes()),
                _ => break,
            }
            wanted.command += 2;
        }
        wanted
    }

    /// The environment with the new variables in place of the old ones of the same name.
    fn environment(&self, arguments: Arguments) -> Vec<*const c_char> {
        let name = |variable: &CStr| {
            let bytes = variable.to_bytes().split(|byte| *byte == b'=');
            bytes.take(1).flatten().copied().collect::<Vec<u8>>()
        };
        let is_new = |old: &&CStr| self.environment.iter().all(|new| name(new) != name(old));
        let old = arguments.environment().filter(is_new);
        let all = old.chain(self.environment.iter().copied());
        all.map(CStr::as_ptr).chain([core::ptr::null()]).collect()
    }
}

/// `ROWSxCOLUMNS`.
fn size(text: &[u8]) -> Option<Size> {
    let middle = text.iter().position(|byte| *byte == b'x')?;
    let part = |digits| number::parse(digits).and_then(|number| usize::try_from(number).ok());
    Some(Size {
        rows: part(text.get(..middle)?)?,
        columns: part(text.get(middle + 1..)?)?,
    })
}

/// Becomes the command. Returns what could not be started, and why.
fn execute(arguments: Arguments) -> (&'static CStr, Errno) {
    let wanted = Wanted::of(arguments);
    if let Some(size) = wanted.size {
        // A console that is no terminal has no size.
        let _ = terminal::set_size(Fd::STDIN, size);
    }
    let environment = wanted.environment(arguments);
    let start = |program: &'static CStr, words: usize| {
        let rest = (words..).map_while(|index| arguments.get(index));
        let words = core::iter::once(program).chain(rest).map(CStr::as_ptr);
        let words: Vec<*const c_char> = words.chain([core::ptr::null()]).collect();
        // SAFETY: both lists are strings that live for the program's life, then a null.
        let (words, environment) =
            unsafe { (StringList::new(&words), StringList::new(&environment)) };
        process::execve(program, words, environment)
    };
    match arguments.get(wanted.command) {
        Some(path) if path != c"-c" => (path, start(path, wanted.command + 1)),
        command => {
            if command.is_none() && !wanted.environment.is_empty() {
                start(COMFORTABLE_SHELL, wanted.command);
            }
            match start(SHELL, wanted.command) {
                Errno::ENOENT => (SHELL, start(OWN_SHELL, wanted.command)),
                errno => (SHELL, errno),
            }
        }
    }
}
