//! `top [-b] [-n ROUNDS]`: what the kernel's executor does, by `/proc/executor` and `/proc/tasks`,
//! once a second: each CPU, and the tasks, those first that kept a CPU longest since the round
//! before (in the first round: since the start).
//!
//! On a terminal each round takes the place of the one before, with as many tasks as there is room
//! for, and `q` or ^C ends it. Otherwise, and with `-b`, all tasks are printed, round after round.
//! The files are cowfork's own: elsewhere there is nothing to show.
#![no_std]
#![no_main]

extern crate alloc;

mod report;
mod sample;
mod screen;

use sample::Sample;
use screen::{Key, Screen};
use user::sys::file::{self, Fd};
use user::sys::system;
use user::{Arguments, eprintln, number, program};

program!(main);

/// Between two rounds, in nanoseconds.
const PERIOD: u64 = 1_000_000_000;

struct Options {
    batch: bool,
    rounds: u64,
}

fn options(arguments: Arguments) -> Option<Options> {
    let mut options = Options {
        batch: false,
        rounds: u64::MAX,
    };
    let mut words = arguments.rest();
    while let Some(word) = words.next() {
        match word.to_bytes() {
            b"-b" => options.batch = true,
            b"-n" => options.rounds = number::parse(words.next()?.to_bytes())?,
            _ => return None,
        }
    }
    Some(options)
}

fn main(arguments: Arguments) -> i32 {
    let Some(options) = options(arguments) else {
        eprintln!("usage: top [-b] [-n ROUNDS]");
        return 2;
    };
    let screen = if options.batch { None } else { Screen::open() };
    let status = rounds(options.rounds, screen.as_ref());
    if let Some(screen) = screen {
        screen.close();
    }
    status
}

fn rounds(rounds: u64, screen: Option<&Screen>) -> i32 {
    let mut before = Sample::default();
    for round in 0..rounds {
        if round > 0 {
            match screen {
                Some(screen) if screen.wait(PERIOD) == Key::Quit => return 0,
                Some(_) => {}
                None => {
                    // A well-formed sleep can only be interrupted, and that is dealt with.
                    let _ = system::sleep(PERIOD);
                }
            }
        }
        let now = match Sample::take() {
            Ok(now) => now,
            Err(missing) => {
                missing.complain();
                return 1;
            }
        };
        let report = report::of(&before, &now);
        match screen {
            Some(screen) => screen.show(&report),
            // No error can be shown when the output is gone.
            None if file::write_all(Fd::STDOUT, report.as_bytes()).is_err() => return 1,
            None => {}
        }
        before = now;
    }
    0
}
