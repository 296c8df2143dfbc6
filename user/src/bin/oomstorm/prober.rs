//! The prober: an ordinary small program that goes on while others take everything.

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use linux_raw_sys::auxvec::AT_EXECFN;

use user::Arguments;
use user::sys::file::{self, O_CLOEXEC, O_CREAT, O_RDWR};
use user::sys::process::{self, Status};
use user::sys::signal::Signal;
use user::sys::{Errno, system};

use crate::NOTHING;
use crate::files::Path;
use crate::ledger::Ledger;

/// Between two probes.
const PAUSE_MS: u64 = 5;

/// Exit status of a child that could not execute the program, for want of something.
const REFUSED: u8 = 99;

/// How a probe ended.
enum Outcome {
    Worked,
    /// There was not enough of something.
    Refused,
}

/// The prober's process.
pub fn run(arguments: Arguments, ledger: &Ledger) -> i32 {
    let Some(address) = arguments.auxiliary(AT_EXECFN) else {
        ledger.fail(format_args!("no AT_EXECFN"));
        return 1;
    };
    // SAFETY: the kernel points to a string on the initial stack, which stays.
    let program = unsafe { CStr::from_ptr(address as *const _) };
    let mut number = 0;
    while ledger.stop.load(Relaxed) == 0 {
        number += 1;
        probe(ledger, || execute(ledger, program));
        probe(ledger, || create(ledger, number));
        system::sleep_ms(PAUSE_MS);
    }
    0
}

/// One probe, and what it says about the machine.
fn probe(ledger: &Ledger, work: impl FnOnce() -> Outcome) {
    let quiet = ledger.quiet_since.load(Relaxed);
    let outcome = work();
    ledger.probes.fetch_add(1, Relaxed);
    // If the hogs died or came back in the middle, it says nothing about either time.
    let alone = quiet != 0 && ledger.quiet_since.load(Relaxed) == quiet;
    match outcome {
        Outcome::Worked if alone => {
            ledger.streak.fetch_add(1, Relaxed);
        }
        Outcome::Worked => {}
        Outcome::Refused => {
            ledger.refused.fetch_add(1, Relaxed);
            ledger.streak.store(0, Relaxed);
            if alone {
                ledger.refused_alone.fetch_add(1, Relaxed);
                let late = system::now().saturating_sub(quiet);
                ledger.longest.fetch_max(late, Relaxed);
            }
        }
    }
}

/// Whether a shortage explains the error.
pub fn is_shortage(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOMEM
            | Errno::EAGAIN
            | Errno::ENOSPC
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::EFBIG
            | Errno::E2BIG
    )
}

fn refused(ledger: &Ledger, what: &str, errno: Errno) -> Outcome {
    if !is_shortage(errno) {
        ledger.fail(format_args!("prober: {what}: {errno:?}"));
    }
    Outcome::Refused
}

/// Forks, executes a program, and waits for it.
fn execute(ledger: &Ledger, program: &CStr) -> Outcome {
    let child = process::spawn(|| {
        let errno = process::execute(program, &[c"oomstorm", NOTHING]);
        match is_shortage(errno) {
            true => i32::from(REFUSED),
            false => 1,
        }
    });
    let pid = match child {
        Ok(pid) => pid,
        Err(errno) => return refused(ledger, "fork", errno),
    };
    match process::wait_for(pid) {
        Ok((_, Status::Exited(0))) => Outcome::Worked,
        // Killed for want of memory while it was started.
        Ok((_, Status::Exited(REFUSED) | Status::Killed(Signal::SIGKILL))) => Outcome::Refused,
        Ok((_, status)) => {
            ledger.fail(format_args!("prober: its child ended with {status}"));
            Outcome::Refused
        }
        Err(errno) => {
            ledger.fail(format_args!("prober: wait: {errno:?}"));
            Outcome::Refused
        }
    }
}

/// Creates a file, writes it, and removes it. Removing frees, so it is never refused.
fn create(ledger: &Ledger, number: u64) -> Outcome {
    let path = Path::new("probe", number);
    let path = path.as_c_str();
    let fd = match file::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) {
        Ok(fd) => fd,
        Err(errno) => return refused(ledger, "open", errno),
    };
    let written = file::write_all(fd, b"a probe");
    for (what, result) in [("close", file::close(fd)), ("unlink", file::unlink(path))] {
        if let Err(errno) = result {
            ledger.fail(format_args!("prober: {what}: {errno:?}"));
        }
    }
    match written {
        Ok(()) => Outcome::Worked,
        Err(errno) => refused(ledger, "write", errno),
    }
}
