//! What `litmus` is told to do.

use user::sys::thread as bare;
use user::{Arguments, eprintln, number, println};

use crate::case::Case;
use crate::catalogue;

const USAGE: &str = "litmus --list | (CASE... | --all) [--seconds N | --milliseconds N] [--cpus N]";

pub struct Options {
    arguments: Arguments,
    all: bool,
    /// How long each case runs.
    pub nanoseconds: u64,
    /// How many CPUs it uses.
    pub cpus: usize,
}

impl Options {
    /// Whether the case was asked for.
    pub fn wants(&self, case: &Case) -> bool {
        self.all
            || self
                .arguments
                .rest()
                .any(|word| word.to_bytes() == case.name.as_bytes())
    }
}

/// The options; or, where there is nothing to run, the exit status.
pub fn parse(arguments: Arguments) -> Result<Options, i32> {
    let cpus = bare::allowed_cpus().map_or(1, |set| set.count().max(1));
    let mut options = Options {
        arguments,
        all: false,
        nanoseconds: 5_000_000_000,
        cpus,
    };
    let mut any = false;
    let mut words = arguments.rest();
    while let Some(word) = words.next() {
        let mut value = || words.next().and_then(|word| number::parse(word.to_bytes()));
        match word.to_bytes() {
            b"--list" => {
                list();
                return Err(0);
            }
            b"--all" => options.all = true,
            b"--seconds" => {
                let seconds = value().filter(|seconds| *seconds <= 1_000_000);
                options.nanoseconds = seconds.ok_or_else(wrong)? * 1_000_000_000;
            }
            b"--milliseconds" => {
                let milliseconds = value().filter(|number| *number <= 1_000_000_000);
                options.nanoseconds = milliseconds.ok_or_else(wrong)? * 1_000_000;
            }
            b"--cpus" => {
                let wanted = value().filter(|cpus| (1..=1024).contains(cpus));
                options.cpus = wanted.ok_or_else(wrong)? as usize;
            }
            name if catalogue::all().any(|case| case.name.as_bytes() == name) => any = true,
            other => {
                eprintln!("{}: no such case or option", other.escape_ascii());
                return Err(wrong());
            }
        }
    }
    if any || options.all {
        Ok(options)
    } else {
        Err(wrong())
    }
}

fn wrong() -> i32 {
    eprintln!("usage: {USAGE}");
    2
}

fn list() {
    for case in catalogue::all() {
        println!("{:<18} {}", case.name, case.summary);
    }
}
