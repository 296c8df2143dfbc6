//! `forkstorm [--forkers K] [--seconds S] [--forks F] [--seed N] [--depth D] [--pages P]
//! [--threads T]`: K processes that build trees of children without rest, all over the same
//! copied-on-write pages. No tree is begun after S seconds, nor after F forks where F is given.
//!
//! Each process first looks whether every word of its pages is what its parent had at the fork,
//! writes patterns of its own over some of them, has children, writes again while they live, and
//! looks again at the end. Children end in random order; some are killed half-way, with children
//! of their own. Any word that is not its owner's is a mismatch. With `--threads` each forker, and
//! each that is killed, has threads besides, which write all the time (`threads`).
//!
//! The verdict travels twice, by exit statuses up the trees and by counters in a shared page,
//! and both must agree that all is well.
#![no_std]
#![no_main]

mod counters;
mod life;
mod memory;
mod threads;

use core::sync::atomic::Ordering::Relaxed;

use user::random::Random;
use user::sys::file;
use user::sys::process::{self, Pid, Status};
use user::sys::system;
use user::testing::vmstat::Vmstat;
use user::testing::{Explain, Failure};
use user::{Arguments, options, println, program};

use counters::Counters;
use life::Storm;
use memory::{MOST_PAGES, Memory};
use threads::{MOST_THREADS, Words};

program!(main);

const USAGE: &str = "forkstorm [--forkers K] [--seconds S] [--forks F] [--seed N] [--depth D] [--pages P] [--threads T]  \
     (K, P up to 64, T up to 16)";

/// How many forkers there may be.
const MOST_FORKERS: usize = 64;

struct Options {
    forkers: u64,
    seconds: u64,
    /// The number of forks after which no tree is begun.
    forks: u64,
    seed: u64,
    depth: u64,
    pages: u64,
    threads: u64,
}

fn main(arguments: Arguments) -> i32 {
    let mut options = Options {
        forkers: 4,
        seconds: 5,
        forks: u64::MAX,
        seed: 1,
        depth: 3,
        pages: 16,
        threads: 0,
    };
    let known = options::parse(
        arguments,
        &mut [
            ("forkers", &mut options.forkers),
            ("seconds", &mut options.seconds),
            ("forks", &mut options.forks),
            ("seed", &mut options.seed),
            ("depth", &mut options.depth),
            ("pages", &mut options.pages),
            ("threads", &mut options.threads),
        ],
        USAGE,
    );
    let within = (1..=MOST_FORKERS as u64).contains(&options.forkers)
        && (1..=MOST_PAGES as u64).contains(&options.pages)
        && options.threads <= MOST_THREADS as u64
        && options.depth <= 16;
    if !known || !within {
        if known {
            println!("usage: {USAGE}");
        }
        return 2;
    }
    match storm(&options) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(failure) => {
            println!("forkstorm: {failure}");
            1
        }
    }
}

/// Runs it all and prints the figures; says whether all was well.
fn storm(options: &Options) -> Result<bool, Failure> {
    let counters = Counters::shared()?;
    let storm = Storm {
        counters,
        depth: options.depth,
    };
    // Every descendant has the writing end, so its reader sees the end when the last has gone,
    // also the descendants of a killed process.
    let alive = file::pipe().or_fail("pipe")?;
    let before = Vmstat::read();
    let start = system::now();
    let deadline = start + options.seconds * 1_000_000_000;
    let mut pids = [Pid(0); MOST_FORKERS];
    let forkers = pids.iter_mut().take(options.forkers as usize);
    let mut started = 0;
    for (number, pid) in forkers.enumerate() {
        let seed = options.seed.wrapping_mul(1_000_003) + number as u64;
        *pid = process::spawn(|| forker(&storm, options, seed, deadline))
            .or_fail("fork of a forker")?;
        started += 1;
    }
    file::close(alive.write).or_fail("close")?;
    let mut well = true;
    for pid in pids.iter().take(started) {
        let (_, status) = process::wait_for(*pid).or_fail("wait")?;
        well &= status == Status::Exited(0);
        if status != Status::Exited(0) {
            println!("forker {pid} ended with {status}");
        }
    }
    let last = file::read(alive.read, &mut [0]).or_fail("read of the pipe without writers")?;
    well &= last == 0;
    let nanoseconds = system::now().saturating_sub(start).max(1);
    report(counters, nanoseconds, &before, &Vmstat::read());
    Ok(well && counters.all_well())
}

/// A forker's process.
fn forker(storm: &Storm<'_>, options: &Options, seed: u64, deadline: u64) -> i32 {
    match trees(storm, options, seed, deadline) {
        Ok(well) => i32::from(!well),
        Err(failure) => {
            println!("forker: {failure}");
            1
        }
    }
}

/// One tree after the other, beside its threads. Says whether all was well.
fn trees(storm: &Storm<'_>, options: &Options, seed: u64, deadline: u64) -> Result<bool, Failure> {
    let area = threads::area()?;
    let words = Words::new(&area, options.threads as usize);
    let mut memory = Memory::new(options.pages as usize, words)?;
    let mut random = Random::new(seed);
    threads::beside(&area, options.threads as usize, storm.counters, || {
        let mut well = true;
        let forks = || storm.counters.forks.load(Relaxed);
        while system::now() < deadline && forks() < options.forks {
            well &= life::live(storm, &mut memory, &mut random, storm.depth);
        }
        well
    })
}

fn report(counters: &Counters, nanoseconds: u64, before: &Vmstat, after: &Vmstat) {
    let forks = counters.forks.load(Relaxed);
    println!("forks {forks}");
    // In 128 bits: billions of nanoseconds times millions of forks.
    let rate = u128::from(forks) * 1_000_000_000 / u128::from(nanoseconds);
    println!("forks per second {rate}");
    println!("killed {}", counters.killed.load(Relaxed));
    println!("refused {}", counters.refused.load(Relaxed));
    println!("pages checked {}", counters.checked.load(Relaxed));
    println!("rounds of threads {}", counters.written.load(Relaxed));
    for (name, key) in [
        ("faults", "cow_faults"),
        ("copies", "cow_copies"),
        ("reuses", "cow_reuses"),
    ] {
        match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) => println!("{name} {}", after.wrapping_sub(before)),
            _ => println!("{name} -"),
        }
    }
    println!("crashes {}", counters.crashes.load(Relaxed));
    println!("mismatches {}", counters.mismatches.load(Relaxed));
}
