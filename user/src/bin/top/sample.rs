//! The executor at one moment, read from `/proc`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

use user::sys::{Errno, system};
use user::{eprintln, tool};

/// The counters of a CPU since the start.
#[derive(Default)]
pub struct Cpu {
    pub number: u64,
    pub polls: u64,
    pub steals: u64,
    pub resched_ipis: u64,
    pub parks: u64,
    pub idle: u64,
    pub timers: u64,
}

pub struct Task {
    pub id: u64,
    pub state: String,
    pub cpu: String,
    pub polls: u64,
    pub busy: u64,
    pub class: String,
    pub pid: String,
    pub name: String,
    pub waits_for: String,
}

/// All of it. The default is the start of the machine.
#[derive(Default)]
pub struct Sample {
    /// Nanoseconds since the start.
    pub time: u64,
    pub cpus: Vec<Cpu>,
    /// In the order of their numbers.
    pub tasks: Vec<Task>,
}

/// A file that does not tell what it should.
pub struct Missing {
    path: &'static CStr,
    /// None: it is there, in another form.
    why: Option<Errno>,
}

impl Missing {
    pub fn complain(&self) {
        match self.why {
            Some(errno) => tool::complain("top", self.path, errno),
            None => eprintln!(
                "top: {}: not understood",
                self.path.to_bytes().escape_ascii()
            ),
        }
        if self.why == Some(Errno::ENOENT) {
            eprintln!("top: this kernel does not show its tasks");
        }
    }
}

impl Sample {
    pub fn take() -> Result<Self, Missing> {
        Ok(Self {
            time: system::now(),
            cpus: read(c"/proc/executor", |row| {
                Some(Cpu {
                    number: row.number("cpu")?,
                    polls: row.number("polls")?,
                    steals: row.number("steals")?,
                    resched_ipis: row.number("resched_ipis")?,
                    parks: row.number("parks")?,
                    idle: row.number("idle_ns")?,
                    timers: row.number("timers")?,
                })
            })?,
            tasks: read(c"/proc/tasks", |row| {
                Some(Task {
                    id: row.number("id")?,
                    state: row.word("state")?.to_string(),
                    cpu: row.word("cpu")?.to_string(),
                    polls: row.number("polls")?,
                    busy: row.number("busy_ns")?,
                    class: row.word("class")?.to_string(),
                    pid: row.word("pid")?.to_string(),
                    name: row.word("name")?.to_string(),
                    waits_for: row.word("waits_for")?.to_string(),
                })
            })?,
        })
    }

    pub fn cpu(&self, number: u64) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.number == number)
    }

    pub fn task(&self, id: u64) -> Option<&Task> {
        let index = self.tasks.binary_search_by_key(&id, |task| task.id).ok()?;
        self.tasks.get(index)
    }
}

/// A line of a table, and the line of names above it.
struct Row<'a> {
    names: &'a str,
    line: &'a str,
}

impl Row<'_> {
    fn word(&self, name: &str) -> Option<&str> {
        let column = self.names.split('\t').position(|known| known == name)?;
        self.line.split('\t').nth(column)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.word(name)?.parse().ok()
    }
}

/// Reads a table with names at its head and tabs between the fields.
fn read<T>(path: &'static CStr, make: impl Fn(Row<'_>) -> Option<T>) -> Result<Vec<T>, Missing> {
    let text = tool::text(path).map_err(|errno| Missing {
        path,
        why: Some(errno),
    })?;
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default();
    lines
        .map(|line| make(Row { names, line }))
        .collect::<Option<Vec<T>>>()
        .ok_or(Missing { path, why: None })
}
