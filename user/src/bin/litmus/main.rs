//! `litmus --list`, `litmus CASE... [--seconds N] [--cpus N]`, `litmus --all [--seconds N] [--cpus N]`:
//! known ways to get copy-on-write and the coherence of translations wrong, a case each.
//!
//! It runs on any kernel with Linux's x86-64 interface: it is one static file. Each case
//! says in its heading which kernel had the defect, what it races, and what a violation looks like.
//! It runs in a process of its own, on threads and processes that are spread over the CPUs, and ends
//! with a line:
//!
//! ```text
//! ok mp-fork: 312000 rounds; both old 811, new after old 64, both new 311125
//! FAILED mprotect-read in round 17: a write after the call has returned worked (value 0x1101)
//! skipped many-spaces: this kernel has no futex
//! ```
//!
//! The outcomes are counted since a race that never took place shows nothing. The exit status is 0
//! when nothing failed, 1 when something did, 2 for a wrong command line.
//!
//! In reading order: [`trial`] has the run of a case, [`shapes`] what several of them race, the
//! others the cases, one family each.
#![no_std]
#![no_main]

extern crate alloc;

mod case;
mod catalogue;
mod command_line;
mod shapes;
mod trial;

mod counts;
mod dirty;
mod failing;
mod frames;
mod freeze;
mod killed;
mod order;
mod revoke;
mod spaces;

use case::Case;
use command_line::Options;
use trial::{Stop, Trial};
use user::sys::process::{self, Forked, Pid, Status};
use user::sys::signal::{self, Signal};
use user::sys::thread as bare;
use user::testing::{Failure, watch};
use user::{Arguments, print, println, program};

program!(main);

/// How much longer than its time a case may take before it is given up.
const PATIENCE: u64 = 60_000_000_000;

fn main(arguments: Arguments) -> i32 {
    let options = match command_line::parse(arguments) {
        Ok(options) => options,
        Err(status) => return status,
    };
    signal::set_all_to_default();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in catalogue::all().filter(|case| options.wants(case)) {
        let trial = match Trial::new(options.cpus, options.nanoseconds) {
            Ok(trial) => trial,
            Err(failure) => {
                println!("FAILED {}: {failure}", case.name);
                failed += 1;
                continue;
            }
        };
        match run(case, trial, &options) {
            Ok(()) => {
                passed += 1;
                print!("ok {}: {} rounds", case.name, trial.rounds());
                for (number, outcome) in case.outcomes.iter().enumerate() {
                    let mark = if number == 0 { ';' } else { ',' };
                    print!("{mark} {outcome} {}", trial.seen(number));
                }
                println!();
            }
            Err(Stop::Failed(failure)) => {
                failed += 1;
                println!(
                    "FAILED {} in round {}: {failure}",
                    case.name,
                    trial.rounds() + 1
                );
            }
            Err(Stop::Skipped(reason)) => {
                skipped += 1;
                println!("skipped {}: {reason}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    i32::from(failed > 0)
}

/// Exit status of a case's process that cannot run.
const SKIPPED: u8 = 3;

/// Runs one case in a process of its own.
fn run(case: &Case, trial: Trial, options: &Options) -> Result<(), Stop> {
    let failed = |arguments| Err(Stop::Failed(Failure::new(arguments)));
    let pid = match process::fork() {
        Ok(Forked::Child) => in_case(case, trial, options),
        Ok(Forked::Parent(pid)) => pid,
        Err(errno) => return failed(format_args!("fork for the case: {errno:?}")),
    };
    let status = watch(pid, options.nanoseconds + PATIENCE);
    // What a failed case has left must not burden the next.
    let _ = process::kill(Pid(-pid.0), Signal::SIGKILL);
    match (status, trial.witness()) {
        (Ok(Some(Status::Exited(0))), None) => Ok(()),
        (Ok(Some(Status::Exited(SKIPPED))), Some(reason)) => Err(Stop::Skipped(reason)),
        (_, Some(failure)) => Err(Stop::Failed(failure)),
        (Ok(Some(status)), None) => failed(format_args!("ended with {status}")),
        (Ok(None), None) => failed(format_args!("not done long after its time")),
        (Err(errno), None) => failed(format_args!("wait for the case: {errno:?}")),
    }
}

/// The case's own process.
fn in_case(case: &Case, trial: Trial, options: &Options) -> ! {
    let _ = process::lead_group();
    // Where a process cannot be kept to some CPUs it uses all.
    let _ = bare::allowed_cpus().and_then(|set| bare::run_on(&set.first(options.cpus)));
    let status = match (case.run)(&trial.start()) {
        Ok(()) => 0,
        Err(Stop::Failed(failure)) => {
            trial.fail(failure);
            1
        }
        Err(Stop::Skipped(reason)) => {
            trial.fail(reason);
            i32::from(SKIPPED)
        }
    };
    process::exit(status)
}
