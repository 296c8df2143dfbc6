//! The commands that the shell runs itself.

use alloc::vec::Vec;

use user::sys::Errno;
use user::sys::file::{self, Fd};
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::{eprintln, io, number, println};

use crate::condition;
use crate::lex::is_name;
use crate::run;
use crate::state::{Leave, Shell, c_string};
use crate::{MISUSE, NOT_FOUND};

/// Takes the words of the command, its name first; returns its status.
type Builtin = fn(&mut Shell, &[Vec<u8>]) -> u8;

pub fn find(name: &[u8]) -> Option<Builtin> {
    Some(match name {
        b":" | b"true" => |_, _| 0,
        b"false" => |_, _| 1,
        b"echo" => |_, words| echo(words),
        b"cd" => cd,
        b"pwd" => |_, _| pwd(),
        b"exit" => exit,
        b"export" => export,
        b"unset" => unset,
        b"shift" => shift,
        b"break" => |shell, words| leave(shell, words, Leave::Break),
        b"continue" => |shell, words| leave(shell, words, Leave::Continue),
        b"exec" => exec,
        b"read" => read,
        b"kill" => |_, words| kill(words),
        b"jobs" => |shell, _| jobs(shell),
        b"wait" => wait,
        b"test" | b"[" => |_, words| condition::test(words),
        _ => return None,
    })
}

/// Whether an assignment before the command stays after it.
pub fn is_special(name: &[u8]) -> bool {
    matches!(
        name,
        b":" | b"break" | b"continue" | b"exec" | b"exit" | b"export" | b"shift" | b"unset"
    )
}

fn echo(words: &[Vec<u8>]) -> u8 {
    let mut words = words.get(1..).unwrap_or_default();
    let newline = words.first().is_none_or(|word| word != b"-n");
    if !newline {
        words = words.get(1..).unwrap_or_default();
    }
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            io::put(b" ");
        }
        io::put(word);
    }
    if newline {
        io::put(b"\n");
    }
    io::flush();
    0
}

fn cd(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    let home = shell.get(b"HOME").unwrap_or(b"/").to_vec();
    let path = words.get(1).cloned().unwrap_or(home);
    match file::chdir(&c_string(path.clone())) {
        Ok(()) => 0,
        Err(errno) => {
            eprintln!("sh: cd: {}: {errno}", path.escape_ascii());
            MISUSE
        }
    }
}

fn pwd() -> u8 {
    let mut buffer = [0; 4096];
    match file::getcwd(&mut buffer) {
        Ok(path) => {
            io::put(path.to_bytes());
            io::put(b"\n");
            0
        }
        Err(errno) => {
            eprintln!("sh: pwd: {errno}");
            1
        }
    }
}

fn exit(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    let code = match words.get(1).map(|word| number::parse(word)) {
        None => shell.status,
        Some(Some(code)) => code as u8,
        Some(None) => {
            eprintln!("sh: exit: not a number");
            MISUSE
        }
    };
    shell.exiting = Some(code);
    code
}

fn export(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    if words.len() <= 1 {
        for entry in shell.exported() {
            println!("export {}", entry.escape_ascii());
        }
    }
    for word in words.iter().skip(1) {
        let mut halves = word.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        if !is_name(name) {
            eprintln!("sh: export: {}: bad variable name", word.escape_ascii());
            return MISUSE;
        }
        if let Some(value) = halves.next() {
            shell.set(name, value);
        }
        shell.export(name);
    }
    0
}

fn unset(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    words.iter().skip(1).for_each(|name| shell.unset(name));
    0
}

/// The number that is the first argument; 1 when there is none.
fn count(words: &[Vec<u8>]) -> Option<usize> {
    match words.get(1) {
        None => Some(1),
        Some(word) => number::parse(word).and_then(|count| usize::try_from(count).ok()),
    }
}

fn shift(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    match count(words) {
        Some(count) if shell.shift(count) => 0,
        _ => {
            eprintln!("sh: shift: not so many arguments");
            MISUSE
        }
    }
}

fn leave(shell: &mut Shell, words: &[Vec<u8>], how: fn(usize) -> Leave) -> u8 {
    match count(words) {
        Some(count) if count > 0 => {
            // Outside of all loops it does nothing.
            if shell.loops > 0 {
                shell.leaving = Some(how(count.min(shell.loops)));
            }
            0
        }
        _ => {
            eprintln!("sh: how many loops?");
            MISUSE
        }
    }
}

fn exec(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    if words.len() <= 1 {
        return 0;
    }
    let code = run::execute(shell, words.get(1..).unwrap_or_default());
    if !shell.interactive {
        shell.exiting = Some(code);
    }
    code
}

/// `read NAME...`: the next line of standard input, a word for each name, what is left for the
/// last one. Byte by byte, so as to take no more than the line.
fn read(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    let names = words.get(1..).unwrap_or_default();
    if names.is_empty() || !names.iter().all(|name| is_name(name)) {
        eprintln!("sh: read: names of variables are needed");
        return MISUSE;
    }
    let mut line = Vec::new();
    let mut byte = [0];
    let ended = loop {
        match file::read(Fd::STDIN, &mut byte) {
            Ok(1) if byte == *b"\n" => break false,
            Ok(1) => line.push(byte[0]),
            Err(Errno::EINTR) => {}
            _ => break true,
        }
    };
    let mut rest = line.trim_ascii();
    for (index, name) in names.iter().enumerate() {
        let end = match index + 1 == names.len() {
            true => rest.len(),
            false => rest
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        shell.set(name, word);
        rest = after.trim_ascii_start();
    }
    u8::from(ended)
}

/// `kill [-SIGNAL] PID...`
fn kill(words: &[Vec<u8>]) -> u8 {
    let mut pids = words.get(1..).unwrap_or_default();
    let mut signal = Some(Signal::SIGTERM);
    if let Some(option) = pids.first().and_then(|word| word.strip_prefix(b"-"))
        && pids.len() > 1
    {
        signal = match number::parse(option) {
            Some(number) => i32::try_from(number).ok().map(Signal),
            None => Signal::by_name(option.strip_prefix(b"SIG").unwrap_or(option)),
        };
        pids = pids.get(1..).unwrap_or_default();
    }
    let Some(signal) = signal else {
        eprintln!("sh: kill: no such signal");
        return MISUSE;
    };
    if pids.is_empty() {
        eprintln!("usage: kill [-SIGNAL] PID...");
        return MISUSE;
    }
    let mut code = 0;
    for word in pids {
        let Some(pid) = parse_pid(word) else {
            eprintln!("sh: kill: {}: not a process number", word.escape_ascii());
            code = MISUSE;
            continue;
        };
        if let Err(errno) = process::kill(pid, signal) {
            eprintln!("sh: kill: {pid}: {errno}");
            code = 1;
        }
    }
    code
}

fn parse_pid(word: &[u8]) -> Option<Pid> {
    let (sign, digits) = match word.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    let number = i32::try_from(number::parse(digits)?).ok()?;
    Some(Pid(sign * number))
}

fn jobs(shell: &mut Shell) -> u8 {
    for job in &mut shell.jobs {
        if job.status.is_none()
            && let Ok(Some((_, status))) = process::try_wait(job.pid)
        {
            job.status = Some(status);
        }
        match job.status {
            None => println!("[{}] running", job.pid),
            Some(status) => println!("[{}] done: {status}", job.pid),
        }
    }
    0
}

/// `wait [PID...]`: for these jobs, or all; the status is the last one's, or 0 for all.
fn wait(shell: &mut Shell, words: &[Vec<u8>]) -> u8 {
    if words.len() <= 1 {
        for job in shell.jobs.drain(..) {
            finish(job.pid, job.status);
        }
        return 0;
    }
    let mut code = 0;
    for word in words.iter().skip(1) {
        let pid = parse_pid(word);
        let index = shell.jobs.iter().position(|job| Some(job.pid) == pid);
        code = match index.map(|index| shell.jobs.remove(index)) {
            Some(job) => finish(job.pid, job.status),
            None => NOT_FOUND,
        };
    }
    code
}

/// The status of a job, which is waited for unless that is known.
fn finish(pid: Pid, known: Option<Status>) -> u8 {
    match known {
        Some(status) => status.code(),
        None => process::wait_for(pid).map_or(NOT_FOUND, |(_, status)| status.code()),
    }
}
