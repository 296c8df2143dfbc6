//! Runs commands.

use alloc::vec::Vec;
use core::ffi::CStr;

use user::sys::file::{self, Fd, O_RDONLY, Pipe};
use user::sys::process::{self, Forked, Pid, Status};
use user::sys::signal::{self, Disposition, Signal};
use user::sys::{Errno, file::S_IFDIR, file::S_IFMT};
use user::{eprint, eprintln};

use crate::arithmetic::Trouble;
use crate::lex::Word;
use crate::parse::{Chain, Command, Join, Kind, List, Pipeline, Redirection};
use crate::redirect::{self, Saved};
use crate::state::{Job, Leave, Shell, Strings, c_string};
use crate::{MISUSE, NOT_EXECUTABLE, NOT_FOUND, builtin, expand};

/// A variable's name and its value.
type Assignment = (Vec<u8>, Vec<u8>);

/// The status when the kernel refuses a fork or a pipe.
const NO_RESOURCES: u8 = 2;

/// Runs a list. With `last`, nothing comes after it, and a simple command at its end may replace
/// the shell.
pub fn list(shell: &mut Shell, list: &List, last: bool) {
    for (index, item) in list.iter().enumerate() {
        if item.background {
            background(shell, &item.chain);
        } else {
            chain(shell, &item.chain, last && index + 1 == list.len());
        }
        if shell.exiting.is_some() || shell.leaving.is_some() {
            return;
        }
    }
}

fn background(shell: &mut Shell, commands: &Chain) {
    match process::fork() {
        Ok(Forked::Child) => {
            enter_child(shell);
            if !shell.interactive
                && let Ok(null) = file::open(c"/dev/null", O_RDONLY, 0)
            {
                // Without a terminal it is not decided which process may read it (POSIX, Asynchronous Lists).
                let _ = redirect::move_to(null, Fd::STDIN);
            }
            shell.interactive = false;
            chain(shell, commands, true);
            exit(shell)
        }
        Ok(Forked::Parent(pid)) => {
            if shell.interactive {
                eprintln!("[{pid}]");
            }
            shell.last_background = Some(pid);
            shell.jobs.push(Job { pid, status: None });
            shell.status = 0;
        }
        Err(errno) => refused(shell, "fork", errno),
    }
}

fn refused(shell: &mut Shell, what: &str, errno: Errno) {
    eprintln!("sh: {what}: {errno}");
    shell.status = NO_RESOURCES;
}

/// Ends a child of the shell.
fn exit(shell: &Shell) -> ! {
    process::exit(i32::from(shell.exiting.unwrap_or(shell.status)))
}

/// What is different in a child: signals, and the jobs are not its own.
fn enter_child(shell: &mut Shell) {
    shell.jobs.clear();
    if shell.interactive {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            // Both can be set (man 2 sigaction).
            let _ = signal::set_disposition(signal, Disposition::Default);
        }
    }
}

fn chain(shell: &mut Shell, chain: &Chain, last: bool) {
    pipeline(shell, &chain.first, last && chain.rest.is_empty());
    for (index, (join, next)) in chain.rest.iter().enumerate() {
        if shell.exiting.is_some() || shell.leaving.is_some() {
            return;
        }
        if (shell.status == 0) == (*join == Join::And) {
            pipeline(shell, next, last && index + 1 == chain.rest.len());
        }
    }
}

fn pipeline(shell: &mut Shell, pipeline: &Pipeline, last: bool) {
    match pipeline.commands.as_slice() {
        [single] => command(shell, single, last && !pipeline.negated),
        commands => piped(shell, commands),
    }
    if pipeline.negated {
        shell.status = u8::from(shell.status == 0);
    }
}

/// Runs commands at the same time, each one's output the next one's input. The status is the
/// last one's.
fn piped(shell: &mut Shell, commands: &[Command]) {
    let mut pids = Vec::new();
    let mut input: Option<Fd> = None;
    for (index, command) in commands.iter().enumerate() {
        let pipe = match (index + 1 < commands.len()).then(file::pipe).transpose() {
            Ok(pipe) => pipe,
            Err(errno) => {
                refused(shell, "pipe", errno);
                break;
            }
        };
        let forked = process::fork();
        if let Ok(Forked::Child) = forked {
            in_pipe(shell, command, input, pipe);
        }
        // The ends that the children have are of no use here, and would keep readers waiting.
        close(input.take());
        close(pipe.map(|pipe| pipe.write));
        input = pipe.map(|pipe| pipe.read);
        match forked {
            Ok(Forked::Parent(pid)) => pids.push(pid),
            Ok(Forked::Child) => {}
            Err(errno) => {
                refused(shell, "fork", errno);
                break;
            }
        }
    }
    close(input);
    let complete = pids.len() == commands.len();
    for (index, pid) in pids.iter().enumerate() {
        let status = wait(*pid);
        if complete && index + 1 == commands.len() {
            shell.status = status.code();
            announce(status);
        }
    }
}

fn close(fd: Option<Fd>) {
    if let Some(fd) = fd {
        // It is open, and there is nothing to be done if it were not.
        let _ = file::close(fd);
    }
}

/// A child in a pipeline.
fn in_pipe(shell: &mut Shell, child: &Command, input: Option<Fd>, output: Option<Pipe>) -> ! {
    enter_child(shell);
    shell.interactive = false;
    close(output.map(|pipe| pipe.read));
    let moved = input
        .map_or(Ok(()), |fd| redirect::move_to(fd, Fd::STDIN))
        .and_then(|()| output.map_or(Ok(()), |pipe| redirect::move_to(pipe.write, Fd::STDOUT)));
    match moved {
        Ok(()) => command(shell, child, true),
        Err(errno) => refused(shell, "pipe", errno),
    }
    exit(shell)
}

/// Waits for a child of ours, which there is.
fn wait(pid: Pid) -> Status {
    process::wait_for(pid).map_or(Status::Exited(NOT_FOUND), |(_, status)| status)
}

/// Says what killed a command, where a person may want to know.
fn announce(status: Status) {
    match status {
        Status::Killed(Signal::SIGINT) => eprint!("\n"),
        Status::Killed(Signal::SIGPIPE) | Status::Exited(_) => {}
        Status::Killed(signal) => eprintln!("{signal}"),
    }
}

fn command(shell: &mut Shell, command: &Command, last: bool) {
    match &command.kind {
        Kind::Simple { assignments, words } => {
            let expanded = expand::words(shell, words)
                .and_then(|words| Ok((words, expand_values(shell, assignments)?)));
            let (words, values) = match expanded {
                Ok(expanded) => expanded,
                Err(trouble) => return nonsense(shell, trouble),
            };
            simple(shell, &words, &values, &command.redirections, last);
        }
        Kind::Subshell(body) => match process::fork() {
            Ok(Forked::Child) => {
                enter_child(shell);
                shell.interactive = false;
                match redirect::apply(shell, &command.redirections) {
                    Ok(()) => list(shell, body, true),
                    Err(redirect::Failed) => shell.status = MISUSE,
                }
                exit(shell)
            }
            Ok(Forked::Parent(pid)) => {
                let status = wait(pid);
                shell.status = status.code();
                announce(status);
            }
            Err(errno) => refused(shell, "fork", errno),
        },
        compound => {
            let saved = Saved::keep(&command.redirections);
            match redirect::apply(shell, &command.redirections) {
                Ok(()) => run_compound(shell, compound),
                Err(redirect::Failed) => shell.status = MISUSE,
            }
            drop(saved);
        }
    }
}

/// The values of some assignments, by name.
fn expand_values(
    shell: &Shell,
    assignments: &[(Vec<u8>, Word)],
) -> Result<Vec<Assignment>, Trouble> {
    let value = |(name, word): &(Vec<u8>, Word)| Ok((name.clone(), expand::single(shell, word)?));
    assignments.iter().map(value).collect()
}

/// An expansion that is none ends a script (POSIX, 2.8.1), not a conversation.
fn nonsense(shell: &mut Shell, trouble: Trouble) {
    eprintln!("sh: {trouble}");
    shell.status = MISUSE;
    if !shell.interactive {
        shell.exiting = Some(MISUSE);
    }
}

fn run_compound(shell: &mut Shell, compound: &Kind) {
    match compound {
        Kind::Simple { .. } | Kind::Subshell(_) => {}
        Kind::Group(body) => list(shell, body, false),
        Kind::If {
            branches,
            otherwise,
        } => {
            for (condition, body) in branches {
                list(shell, condition, false);
                if shell.exiting.is_some() || shell.leaving.is_some() {
                    return;
                }
                if shell.status == 0 {
                    return list(shell, body, false);
                }
            }
            shell.status = 0;
            list(shell, otherwise, false);
        }
        Kind::Loop {
            until,
            condition,
            body,
        } => {
            let mut status = 0;
            shell.loops += 1;
            loop {
                list(shell, condition, false);
                let go_on = (shell.status == 0) != *until;
                if leaves_loop(shell) || !go_on {
                    break;
                }
                list(shell, body, false);
                status = shell.status;
                if leaves_loop(shell) {
                    break;
                }
            }
            shell.loops -= 1;
            shell.status = status;
        }
        Kind::For { name, words, body } => {
            shell.status = 0;
            let values = match expand::words(shell, words) {
                Ok(values) => values,
                Err(trouble) => return nonsense(shell, trouble),
            };
            shell.loops += 1;
            for value in values {
                shell.set(name, &value);
                list(shell, body, false);
                if leaves_loop(shell) {
                    break;
                }
            }
            shell.loops -= 1;
        }
    }
}

/// Whether `break`, `continue` of an outer loop, or `exit` ends the innermost loop. What is meant
/// for this loop alone is used up.
fn leaves_loop(shell: &mut Shell) -> bool {
    let (leaves, rest) = match shell.leaving {
        None => (false, None),
        Some(Leave::Break(0 | 1)) => (true, None),
        Some(Leave::Break(count)) => (true, Some(Leave::Break(count - 1))),
        Some(Leave::Continue(0 | 1)) => (false, None),
        Some(Leave::Continue(count)) => (true, Some(Leave::Continue(count - 1))),
    };
    shell.leaving = rest;
    leaves || shell.exiting.is_some()
}

fn simple(
    shell: &mut Shell,
    words: &[Vec<u8>],
    assignments: &[Assignment],
    redirections: &[Redirection],
    last: bool,
) {
    let Some(command_name) = words.first() else {
        assign(shell, assignments);
        let saved = Saved::keep(redirections);
        let applied = redirect::apply(shell, redirections);
        drop(saved);
        shell.status = if applied.is_ok() { 0 } else { MISUSE };
        return;
    };
    if let Some(run) = builtin::find(command_name) {
        let saved = Saved::keep(redirections);
        if redirect::apply(shell, redirections).is_err() {
            shell.status = MISUSE;
            return;
        }
        let before: Vec<_> = assignments
            .iter()
            .map(|(name, _)| (name, shell.get(name).map(Vec::from)))
            .collect();
        assign(shell, assignments);
        shell.status = run(shell, words);
        // They were for this command alone, except for the special builtins (POSIX, 2.14).
        for (name, value) in before {
            match value {
                _ if builtin::is_special(command_name) => {}
                Some(value) => shell.set(name, &value),
                None => shell.unset(name),
            }
        }
        // `exec` makes its redirections stay.
        if command_name == b"exec" {
            saved.forget();
        }
        return;
    }
    if last {
        become_program(shell, words, assignments, redirections);
    }
    match process::fork() {
        Ok(Forked::Child) => {
            enter_child(shell);
            become_program(shell, words, assignments, redirections)
        }
        Ok(Forked::Parent(pid)) => {
            let status = wait(pid);
            shell.status = status.code();
            announce(status);
        }
        Err(errno) => refused(shell, "fork", errno),
    }
}

fn assign(shell: &mut Shell, assignments: &[Assignment]) {
    for (name, value) in assignments {
        shell.set(name, value);
    }
}

/// Replaces this process with the program, or ends it.
fn become_program(
    shell: &mut Shell,
    words: &[Vec<u8>],
    assignments: &[Assignment],
    redirections: &[Redirection],
) -> ! {
    if redirect::apply(shell, redirections).is_err() {
        process::exit(i32::from(MISUSE));
    }
    assign(shell, assignments);
    for (name, _) in assignments {
        shell.export(name);
    }
    process::exit(i32::from(execute(shell, words)))
}

/// Looks for the program and becomes it. When that fails it says why and returns the status.
pub fn execute(shell: &Shell, words: &[Vec<u8>]) -> u8 {
    let Some(name) = words.first() else {
        return 0;
    };
    let arguments = Strings::new(words.iter().cloned());
    let environment = Strings::new(shell.exported());
    let attempt = |path: &CStr| process::execve(path, arguments.list(), environment.list());
    let mut result = Errno::ENOENT;
    if name.is_empty() {
        // An empty name would find the directories themselves.
    } else if name.contains(&b'/') {
        let path = c_string(name.clone());
        result = attempt(&path);
        // The kernel's EACCES would not tell a directory from a file without permission.
        if file::stat(&path).is_ok_and(|stat| stat.st_mode & S_IFMT == S_IFDIR) {
            result = Errno::EACCES;
        }
    } else {
        for directory in shell.path().split(|byte| *byte == b':') {
            let directory = if directory.is_empty() {
                b"."
            } else {
                directory
            };
            let path = c_string([directory, name.as_slice()].join(&b'/'));
            match attempt(&path) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                // Another directory may have one that can be run.
                Errno::EACCES => result = Errno::EACCES,
                errno => {
                    result = errno;
                    break;
                }
            }
        }
    }
    match result {
        Errno::ENOENT | Errno::ENOTDIR => {
            eprintln!("sh: {}: not found", name.escape_ascii());
            NOT_FOUND
        }
        errno => {
            eprintln!("sh: {}: {errno}", name.escape_ascii());
            NOT_EXECUTABLE
        }
    }
}
