//! Runs named cases, each in a child of its own with a limit of time, and reports each.
//!
//! A case's process must end as it began: no child left to wait for, no descriptor more or less.
//! What it leaves of its process group is killed, so that a failed case does not burden the next.

use crate::sys::Errno;
use crate::sys::file::{self, Fd};
use crate::sys::process::{self, Forked, Pid, Status};
use crate::sys::signal::{self, Signal};
use crate::testing::{Explain, Failure, Verdict, watch};
use crate::{Arguments, ensure, eprintln, println};

/// One thing to test.
pub struct Case {
    pub name: &'static str,
    pub run: fn() -> Verdict,
}

/// A list of cases, each named as its function.
#[macro_export]
macro_rules! cases {
    ($($(#[$attribute:meta])* $function:path => $name:literal),* $(,)?) => {
        &[$($crate::testing::Case { name: $name, run: $function }),*]
    };
}

/// How long one case may take. Much more than any needs, on an emulated machine too.
const LIMIT_SECONDS: u64 = 120;

/// Descriptors below this number are looked at for leaks.
const DESCRIPTORS: i32 = 64;

/// The whole of a test program: `[--list | NAME...]`; without a name, all cases.
/// The exit status is 0 when all passed, 1 when one did not, 2 for a wrong name.
pub fn main(arguments: Arguments, groups: &[&[Case]]) -> i32 {
    let all = || groups.iter().copied().flatten();
    if arguments.get(1) == Some(c"--list") {
        all().for_each(|case| println!("{}", case.name));
        return 0;
    }
    if let Some(unknown) = arguments
        .rest()
        .find(|name| !all().any(|case| case.name.as_bytes() == name.to_bytes()))
    {
        eprintln!(
            "no case named {}; --list names them",
            unknown.to_bytes().escape_ascii()
        );
        return 2;
    }
    signal::set_all_to_default();
    let (mut passed, mut failed) = (0, 0);
    for case in all() {
        let named = arguments
            .rest()
            .any(|name| name.to_bytes() == case.name.as_bytes());
        if named || arguments.len() <= 1 {
            if run(case) {
                passed += 1;
            } else {
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    i32::from(failed > 0)
}

/// Runs one case and reports it.
fn run(case: &Case) -> bool {
    let pid = match process::fork() {
        Ok(Forked::Child) => in_case(case),
        Ok(Forked::Parent(pid)) => pid,
        Err(errno) => {
            println!("FAILED {}: fork for the case: {errno:?}", case.name);
            return false;
        }
    };
    let status = watch(pid, LIMIT_SECONDS * 1_000_000_000);
    // Where there are no process groups this does nothing, and a failed case's children stay.
    let _ = process::kill(Pid(-pid.0), Signal::SIGKILL);
    match status {
        Ok(Some(Status::Exited(0))) => {
            println!("ok {}", case.name);
            return true;
        }
        // The case has said why.
        Ok(Some(Status::Exited(1))) => {}
        Ok(Some(status)) => println!("FAILED {}: ended with {status}", case.name),
        Ok(None) => println!("FAILED {}: not done after {LIMIT_SECONDS} s", case.name),
        Err(errno) => println!("FAILED {}: wait for the case: {errno:?}", case.name),
    }
    false
}

/// The case's own process.
fn in_case(case: &Case) -> ! {
    let _ = process::lead_group();
    let before = open_descriptors();
    let verdict = (case.run)().and_then(|()| check_clean(before));
    match verdict {
        Ok(()) => process::exit(0),
        Err(failure) => {
            println!("FAILED {}: {failure}", case.name);
            process::exit(1)
        }
    }
}

fn check_clean(before: u64) -> Verdict {
    match process::try_wait(Pid(-1)) {
        Err(Errno::ECHILD) => {}
        Ok(Some((pid, status))) => {
            return Err(Failure::new(format_args!(
                "left child {pid}, ended with {status}"
            )));
        }
        Ok(None) => return Err(Failure::new(format_args!("left a running child"))),
        Err(errno) => return Err(errno).or_fail("wait at the end"),
    }
    let after = open_descriptors();
    ensure!(
        after == before,
        "descriptors open: {before:#x} at the start, {after:#x} at the end"
    );
    Ok(())
}

/// The open ones of the first [`DESCRIPTORS`] descriptors, a bit each.
fn open_descriptors() -> u64 {
    (0..DESCRIPTORS)
        .filter(|number| file::descriptor_flags(Fd(*number)).is_ok())
        .fold(0, |set, number| set | 1 << number)
}
