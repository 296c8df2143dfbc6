//! One round: hogs are started, live for a while, and are killed.

use core::sync::atomic::Ordering::Relaxed;

use user::random::Random;
use user::sys::file::{self, Fd};
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::sys::system;
use user::testing::{Explain, Failure};

use crate::hogs::{Hog, KINDS, Kind};
use crate::ledger::Ledger;
use crate::prober::is_shortage;
use crate::{Options, files};

pub const MOST_HOGS: usize = 8;

/// How long a hog lives at least and at most.
const LIFE_MS: (u64, u64) = (100, 1500);

/// So many probes in a row have to work before the next round.
const STREAK: u64 = 4;

/// After so long without them the storm goes on; that is a failure.
const WAIT_NS: u64 = 10_000_000_000;

pub fn run(ledger: &Ledger, options: &Options, random: &mut Random) -> Result<(), Failure> {
    // Every hog and all below it have the writing end: its reader sees the end when the last has
    // gone.
    let alive = file::pipe().or_fail("pipe")?;
    let mut pids = [None; MOST_HOGS];
    let count = 1 + random.below(options.hogs) as usize;
    for slot in pids.iter_mut().take(count) {
        let only = (options.kind as usize).checked_sub(1);
        let index = only.unwrap_or(random.below(KINDS.len() as u64) as usize);
        if let Some(kind) = KINDS.get(index) {
            *slot = start(ledger, kind, options, random, alive.read);
        }
        system::sleep_ms(random.below(100));
    }
    // A reader that has the writing end too would never see the end.
    file::close(alive.write).or_fail("close")?;
    system::sleep_ms(LIFE_MS.0 + random.below(LIFE_MS.1 - LIFE_MS.0));
    for pid in pids.into_iter().flatten() {
        stop(ledger, pid)?;
    }
    let last = file::read(alive.read, &mut [0]).or_fail("read of the pipe without writers")?;
    if last != 0 {
        ledger.fail(format_args!("a pipe without writers has {last} bytes"));
    }
    file::close(alive.read).or_fail("close")?;
    files::remove_all(ledger);
    rest(ledger);
    ledger.rounds.fetch_add(1, Relaxed);
    Ok(())
}

fn start(
    ledger: &Ledger,
    kind: &'static Kind,
    options: &Options,
    random: &mut Random,
    alive: Fd,
) -> Option<Pid> {
    let hog = Hog {
        kind,
        limit: (options.limit as usize) << 20,
        random: Random::new(random.draw()),
    };
    let started = process::spawn(|| {
        let _ = process::lead_group();
        let _ = file::close(alive);
        hog.live(ledger)
    });
    match started {
        Ok(pid) => {
            ledger.hogs.fetch_add(1, Relaxed);
            Some(pid)
        }
        Err(errno) => {
            if !is_shortage(errno) {
                ledger.fail(format_args!("fork of a hog: {errno:?}"));
            }
            None
        }
    }
}

/// Kills a hog and all below it.
fn stop(ledger: &Ledger, pid: Pid) -> Result<(), Failure> {
    let ended = process::try_wait(pid).or_fail("wait")?;
    // What is in the group goes, whether or not its leader is there.
    let _ = process::kill(Pid(-pid.0), Signal::SIGKILL);
    let status = match ended {
        Some((_, status)) => status,
        None => {
            // It may not have been in its group yet.
            process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
            process::wait_for(pid).or_fail("wait")?;
            return Ok(());
        }
    };
    match status {
        Status::Killed(Signal::SIGKILL | Signal::SIGBUS) => {
            ledger.killed.fetch_add(1, Relaxed);
        }
        // It has said why.
        Status::Exited(_) => {}
        status => ledger.fail(format_args!("a hog ended with {status}")),
    }
    Ok(())
}

/// Waits until the machine is useful again.
fn rest(ledger: &Ledger) {
    ledger.streak.store(0, Relaxed);
    let start = system::now();
    ledger.quiet_since.store(start, Relaxed);
    while ledger.streak.load(Relaxed) < STREAK {
        if system::now() - start > WAIT_NS {
            ledger.fail(format_args!(
                "no probe works, long after the hogs were dead"
            ));
            break;
        }
        system::sleep_ms(2);
    }
    ledger.quiet_since.store(0, Relaxed);
}
