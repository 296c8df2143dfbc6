//! `sh [-c STRING [NAME [ARGUMENT...]] | FILE [ARGUMENT...]]`: a small shell.
//!
//! It has pipes, lists, redirection, background jobs, variables, `if`, `while`, `until`, `for`,
//! groups and subshells, arithmetic; no patterns, no command substitution, no functions, no job
//! control. What it has behaves as POSIX says (Shell Command Language), which the tests check
//! against another shell.
//!
//! In reading order: [`lex`] finds words and operators, [`parse`] makes commands of them,
//! [`expand`] replaces variables
//! (and [`arithmetic`] counts), [`state`] is what a shell remembers, [`run`] runs commands,
//! [`redirect`], [`builtin`] and [`condition`] serve it.
#![no_std]
#![no_main]

extern crate alloc;

mod arithmetic;
mod builtin;
mod condition;
mod expand;
mod lex;
mod parse;
mod redirect;
mod run;
mod state;

use alloc::ffi::CString;
use alloc::vec::Vec;

use user::sys::file::{self, Fd, O_CLOEXEC, O_RDONLY};
use user::sys::signal::{self, Disposition, Signal};
use user::sys::{Errno, process};
use user::{Arguments, eprint, eprintln, io, program};

use parse::{Parser, Trouble};
use state::Shell;

program!(main);

/// The status for a command line that is not one, and for wrong use of a builtin.
pub const MISUSE: u8 = 2;
/// The status when a command was found and cannot be run.
pub const NOT_EXECUTABLE: u8 = 126;
/// The status when there is no such command.
pub const NOT_FOUND: u8 = 127;

fn main(arguments: Arguments) -> i32 {
    let mut shell = Shell::new(arguments.environment().map(|entry| entry.to_bytes()));
    let name = |index| arguments.get(index).map(|argument| argument.to_bytes());
    let code = match name(1) {
        Some(b"-c") => match name(2) {
            Some(text) => {
                // Without a name, the shell's own.
                let start = if arguments.len() > 3 { 3 } else { 0 };
                let end = if start == 0 { 1 } else { arguments.len() };
                shell.set_arguments((start..end).filter_map(name));
                run_text(&mut shell, text, true)
            }
            None => {
                eprintln!("sh: -c needs a string");
                MISUSE
            }
        },
        Some(path) => {
            shell.set_arguments((1..arguments.len()).filter_map(name));
            match read_script(path) {
                Ok(text) => run_text(&mut shell, &text, false),
                Err(errno) => {
                    eprintln!("sh: {}: {errno}", path.escape_ascii());
                    if errno == Errno::ENOENT {
                        NOT_FOUND
                    } else {
                        NOT_EXECUTABLE
                    }
                }
            }
        }
        None => {
            shell.set_arguments(name(0).into_iter());
            run_input(&mut shell)
        }
    };
    i32::from(code)
}

/// Runs a whole text. When it is one simple command and nothing comes after it, that replaces the
/// shell.
fn run_text(shell: &mut Shell, text: &[u8], replace: bool) -> u8 {
    let mut parser = Parser::new(text);
    loop {
        match parser.line() {
            Ok(None) => return shell.status,
            Ok(Some(list)) => {
                let last = replace && parser.at_end();
                run::list(shell, &list, last);
                if let Some(code) = shell.exiting {
                    return code;
                }
            }
            Err(trouble) => {
                eprintln!("sh: {trouble}");
                return MISUSE;
            }
        }
    }
}

fn read_script(path: &[u8]) -> Result<Vec<u8>, Errno> {
    let path = CString::new(path).map_err(|_| Errno::ENOENT)?;
    let fd = file::open(&path, O_RDONLY | O_CLOEXEC, 0)?;
    let mut text = Vec::new();
    let result = loop {
        match read_some(fd, &mut text) {
            Ok(0) => break Ok(text),
            Ok(_) => {}
            Err(errno) => break Err(errno),
        }
    };
    file::close(fd)?;
    result
}

/// Appends what one read gives.
fn read_some(fd: Fd, text: &mut Vec<u8>) -> Result<usize, Errno> {
    let mut block = [0; 1024];
    loop {
        match file::read(fd, &mut block) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(count) => {
                text.extend_from_slice(block.get(..count).unwrap_or_default());
                return Ok(count);
            }
        }
    }
}

/// Runs what standard input brings, line by line; with prompts when that is a terminal.
fn run_input(shell: &mut Shell) -> u8 {
    shell.interactive = file::is_terminal(Fd::STDIN);
    if shell.interactive {
        // A key that interrupts is meant for the command that runs.
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            // Both can be ignored (man 2 sigaction).
            let _ = signal::set_disposition(signal, Disposition::Ignore);
        }
    }
    let mut pending = Vec::new();
    loop {
        if shell.interactive {
            shell.report_finished_jobs();
            prompt(shell, pending.is_empty());
        }
        let count = match read_some(Fd::STDIN, &mut pending) {
            Ok(count) => count,
            Err(errno) => {
                eprintln!("sh: read: {errno}");
                return MISUSE;
            }
        };
        let complete = count == 0 || pending.ends_with(b"\n");
        if complete && run_pending(shell, &mut pending, count == 0) {
            return shell.exiting.unwrap_or(shell.status);
        }
        if count == 0 {
            if shell.interactive {
                eprint!("\n");
            }
            return shell.status;
        }
    }
}

/// Runs the lines that are there, unless the last command goes on. Says whether to leave.
fn run_pending(shell: &mut Shell, pending: &mut Vec<u8>, end: bool) -> bool {
    let mut done = 0;
    let mut leave = false;
    let mut parser = Parser::new(pending);
    while !leave {
        match parser.line() {
            Ok(None) => {
                done = pending.len();
                break;
            }
            Ok(Some(list)) => {
                run::list(shell, &list, false);
                done = parser.position();
                leave = shell.exiting.is_some();
            }
            Err(Trouble::Incomplete) if !end => break,
            Err(trouble) => {
                eprintln!("sh: {trouble}");
                // The rest of what was typed belonged to it.
                shell.status = MISUSE;
                done = pending.len();
                leave = !shell.interactive;
                break;
            }
        }
    }
    pending.drain(..done);
    leave
}

fn prompt(shell: &Shell, first: bool) {
    io::flush();
    let mut buffer = [0; 256];
    match file::getcwd(&mut buffer) {
        _ if !first => eprint!("> "),
        Ok(directory) => {
            let mark = if process::getuid() == 0 { '#' } else { '$' };
            eprint!(
                "{}:{}{mark} ",
                shell.host(),
                directory.to_bytes().escape_ascii()
            );
        }
        Err(_) => eprint!("# "),
    }
}
