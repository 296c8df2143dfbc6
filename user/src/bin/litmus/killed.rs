//! Threads that end in the middle of what they do: faults, forks, changes of mappings, the start and
//! end of other threads (rules M1, M11).
//!
//! A process that ends takes back what it has begun, and no other notices: the pages that the victims
//! share with their parent stay as they are, the wait tells the right end, and no descendant is
//! left. What a kernel leaks here it shows at the end (cowfork's audit), or never. On Linux the hard
//! one was a fork that is killed or fails half-way: `dup_mmap` leaves a child's map of areas that is
//! not complete, and its tear-down, and others that look at it meanwhile, have to cope with that.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Relaxed, Release};

use user::ensure;
use user::random::Random;
use user::sys::process::{self, Forked, Status};
use user::sys::signal::Signal;
use user::sys::{file, system};
use user::testing::{Explain, Failure, Mapping, shared};
use user::thread;

use crate::case::Case;
use crate::shapes::delay;
use crate::trial::{Ended, Need, Trial};

pub const CASES: &[Case] = &[Case {
    name: "killed-threads",
    summary: "threads end in the middle of faults, forks, mappings and other threads' ends",
    outcomes: &["killed", "exit_group", "execve", "last thread's end"],
    run: killed_threads,
}];

/// How a victim ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    /// One of its threads calls `exit_group`.
    Exit,
    /// One of its threads calls `execve`.
    Exec,
    /// Its threads end one by one.
    OneByOne,
}

const ENDS: [End; 4] = [End::Killed, End::Exit, End::Exec, End::OneByOne];

const PAGES: usize = 64;
const THREADS: usize = 5;
const CODE: u8 = 7;

fn killed_threads(trial: &Trial) -> Ended {
    let probe = thread::scope(|scope| scope.spawn(|| ()).map(|_| ()));
    probe.or_skip("threads")?;
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    let started = shared::place(AtomicU32::new(0))?;
    let mut random = Random::new(17);
    while trial.goes_on() {
        let end = random.below(ENDS.len() as u64) as usize;
        started.store(0, Relaxed);
        // All descendants have the writing end, so the reader learns when the last has gone.
        let alive = file::pipe().or_fail("pipe")?;
        let seed = random.draw();
        let pid = match process::fork().or_fail("fork")? {
            Forked::Child => victim(ENDS[end], &area, started, seed),
            Forked::Parent(pid) => pid,
        };
        file::close(alive.write).or_fail("close")?;
        // It is killed at any moment, mostly when all its threads are at work.
        if random.below(8) != 0 {
            trial.wait_until(|| started.load(Relaxed) >= THREADS as u32);
        }
        delay(random.below(30_000));
        if ENDS[end] == End::Killed {
            process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        }
        let (_, status) = process::wait_for(pid).or_fail("wait")?;
        check_end(ENDS[end], status)?;
        let count = file::read(alive.read, &mut [0]).or_fail("read")?;
        check_nothing_came(count)?;
        file::close(alive.read).or_fail("close")?;
        area.check_all(1)?;
        trial.saw(end);
        trial.count(1);
    }
    Ok(())
}

fn check_end(end: End, status: Status) -> Result<(), Failure> {
    let expected = match end {
        End::Killed => Status::Killed(Signal::SIGKILL),
        End::Exit => Status::Exited(CODE),
        End::Exec | End::OneByOne => Status::Exited(0),
    };
    ensure!(
        status == expected,
        "a victim ended with {status}, not {expected}"
    );
    Ok(())
}

fn check_nothing_came(count: usize) -> Result<(), Failure> {
    ensure!(count == 0, "{count} bytes came from no writer");
    Ok(())
}

/// A process whose threads do all that can be interrupted.
fn victim(end: End, area: &Mapping, started: &AtomicU32, seed: u64) -> ! {
    let stop = AtomicU32::new(0);
    let goes_on = || stop.load(Relaxed) == 0;
    let begin = |number: usize| {
        started.fetch_add(1, Relaxed);
        Random::new(seed ^ number as u64)
    };
    let fault = |number| {
        let mut random = begin(number);
        while goes_on() {
            area.fill(random.below(PAGES as u64) as usize, 2);
        }
    };
    let fork = || {
        begin(2);
        while goes_on() {
            match process::fork() {
                Ok(Forked::Child) => {
                    area.set(3, 0, 3);
                    process::exit_now(0)
                }
                Ok(Forked::Parent(pid)) => drop(process::wait_for(pid)),
                Err(_) => process::sched_yield(),
            }
        }
    };
    let map = || {
        begin(3);
        while goes_on() {
            if let Ok(other) = Mapping::private(20) {
                other.fill(7, 4);
            }
        }
    };
    let spawn = || {
        begin(4);
        while goes_on() {
            thread::scope(|scope| drop(scope.spawn(|| area.set(9, 0, 5))));
        }
    };
    thread::scope(|scope| {
        let _ = scope.spawn(|| fault(0));
        let _ = scope.spawn(|| fault(1));
        let _ = scope.spawn(fork);
        let _ = scope.spawn(map);
        let _ = scope.spawn(spawn);
        if end != End::Killed {
            while started.load(Relaxed) < THREADS as u32 {
                process::sched_yield();
            }
            delay(seed % 20_000);
        }
        match end {
            End::Killed => loop {
                system::sleep_ms(1000);
            },
            End::Exit => process::exit_now(i32::from(CODE)),
            End::Exec => {
                process::execute(c"/bin/true", &[c"true"]);
            }
            End::OneByOne => stop.store(1, Release),
        }
    });
    process::exit_now(if end == End::OneByOne { 0 } else { 99 })
}
