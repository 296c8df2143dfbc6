//! `/proc/tasks` and `/proc/executor`: what the executor does.
//!
//! Both are tables for programs and people alike: a line of names, then a line for each task
//! or CPU, with a tab between the fields and `-` for what there is nothing to say about.
//!
//! They are made at `open`, and a look at the executor shall not disturb it (rule E1): no
//! lock is held but that of one list of tasks, while at most [`MOST`] of its tasks are looked
//! at; nothing waits; and where there is no memory for the table, `open` says so (rule M10).

use crate::errno::Errno;
use crate::fs::generated::Generate;
use crate::process::ids;
use crate::process::thread::Tcb;
use crate::sched;
use alloc::collections::TryReserveError;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Display, Formatter, Write};
use executor::TaskInfo;

/// As many tasks are shown, the oldest of each CPU first: more than there can be processes,
/// with room for the kernel's own.
const MOST: usize = 1 << 16;

/// No line is longer; the names of the kernel's tasks and of what they wait for are short.
const LINE: usize = 256;

/// The files and their names.
pub(super) const FILES: [super::File<Table>; 2] =
    [(b"tasks", Table(tasks)), (b"executor", Table(counters))];

/// A file with a table.
#[derive(Clone, Copy)]
pub(super) struct Table(fn() -> Result<String, TryReserveError>);

impl Generate for Table {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        (self.0)()
            .map(String::into_bytes)
            .map_err(|_| Errno::ENOMEM)
    }
}

/// Adds a line, if there is memory for it.
fn add(text: &mut String, line: fmt::Arguments<'_>) -> Result<(), TryReserveError> {
    text.try_reserve(LINE)?;
    // A String takes everything.
    let _ = writeln!(text, "{line}");
    Ok(())
}

/// All tasks, in the order of their numbers.
fn tasks() -> Result<String, TryReserveError> {
    // The tasks first: a thread that comes between is not missed in its table.
    let tasks = sched::executor().try_tasks(MOST)?;
    let threads = ids::by_task(MOST)?;
    let mut text = String::new();
    add(
        &mut text,
        format_args!("id\tstate\tcpu\tpolls\tbusy_ns\tclass\tpid\tname\twaits_for"),
    )?;
    for task in &tasks {
        let thread = threads
            .binary_search_by_key(&task.id.get(), |&(id, _)| id)
            .ok()
            .and_then(|index| threads.get(index))
            .map(|(_, thread)| thread);
        add(
            &mut text,
            format_args!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                task.id,
                task.phase,
                OrDash(task.cpu),
                task.polls,
                task.busy_ns,
                class(task),
                OrDash(thread.map(|thread| thread.tid())),
                Name(task, thread),
                OrDash(task.waits_for),
            ),
        )?;
    }
    Ok(text)
}

fn class(task: &TaskInfo) -> &'static str {
    if task.pinned {
        "pinned"
    } else if task.background {
        "background"
    } else {
        "interactive"
    }
}

/// Each CPU's counters.
fn counters() -> Result<String, TryReserveError> {
    let executor = sched::executor();
    let mut text = String::new();
    add(
        &mut text,
        format_args!("cpu\tpolls\tsteals\tstolen\tresched_ipis\tparks\tidle_ns\ttimers"),
    )?;
    for (cpu, counters) in (0..).map_while(|cpu| Some((cpu, executor.counters(cpu)?))) {
        add(
            &mut text,
            format_args!(
                "{cpu}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                counters.polls,
                counters.steals,
                counters.stolen,
                counters.resched_ipis,
                counters.parks,
                counters.idle_ns,
                counters.timers,
            ),
        )?;
    }
    Ok(text)
}

/// What a task is called: a program's thread like the program.
struct Name<'a>(&'a TaskInfo, Option<&'a Arc<Tcb>>);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            // A program's name may have anything in it, tabs and newlines too.
            Some(thread) => thread.name().escape_ascii().fmt(f),
            None => f.write_str(self.0.name),
        }
    }
}

struct OrDash<T>(Option<T>);

impl<T: Display> Display for OrDash<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
