//! `oomstorm [--seconds S] [--seed N] [--limit MIB] [--hogs H] [--kind K]`, `oomstorm --list`:
//! programs that take all there is of something, and whether the machine stays useful.
//!
//! In each round some hogs run at once, of kinds that the seed chooses ([`hogs`]): memory, VMA
//! splits, full pipes, queued signals, files and more. Then they are killed, what they left in
//! `/tmp` is removed, and the next round begins. A prober ([`prober`]) forks, executes a program,
//! creates a file and removes it all the while.
//!
//! While hogs live the prober may be refused. What is wrong: it is killed; a call that frees
//! something is refused; it is still refused more than [`PATIENCE`] after the last hog has died; a
//! hog sees an error that no shortage explains. The exit status is 0 when nothing was wrong, 1
//! otherwise, 2 for a wrong command line.
//!
//! A hog takes `--limit` MiB at most, so that the program can run on a machine with other work.
//! Give more than there is to see memory run out.
#![no_std]
#![no_main]

extern crate alloc;

mod files;
mod hogs;
mod ledger;
mod prober;
mod round;

use core::sync::atomic::Ordering::Relaxed;

use user::random::Random;
use user::sys::process::{self, Status};
use user::sys::{signal, system};
use user::testing::vmstat::quiesce;
use user::testing::{Explain, Failure};
use user::{Arguments, options, println, program};

use ledger::Ledger;

program!(main);

const USAGE: &str = "oomstorm [--seconds S] [--seed N] [--limit MIB] [--hogs H] [--kind K] (H up to 8), oomstorm --list";

/// How long the prober may still be refused after the last hog has died.
const PATIENCE: u64 = 1_000_000_000;

/// What the prober executes is this program with this argument, which does nothing.
const NOTHING: &core::ffi::CStr = c"--nothing";

struct Options {
    seconds: u64,
    seed: u64,
    limit: u64,
    hogs: u64,
    /// One more than the index of the only kind; 0 for all.
    kind: u64,
}

fn main(arguments: Arguments) -> i32 {
    if arguments.get(1) == Some(NOTHING) {
        return 0;
    }
    if arguments.get(1) == Some(c"--list") {
        for (index, kind) in hogs::KINDS.iter().enumerate() {
            println!("{} {}", index + 1, kind.name);
        }
        return 0;
    }
    let mut options = Options {
        seconds: 10,
        seed: 1,
        limit: 16,
        hogs: 4,
        kind: 0,
    };
    let Options {
        seconds,
        seed,
        limit,
        hogs,
        kind,
    } = &mut options;
    let known = &mut [
        ("seconds", seconds),
        ("seed", seed),
        ("limit", limit),
        ("hogs", hogs),
        ("kind", kind),
    ];
    if !options::parse(arguments, known, USAGE) {
        return 2;
    }
    let hogs_fit = (1..=round::MOST_HOGS as u64).contains(&options.hogs);
    if !hogs_fit || options.kind > hogs::KINDS.len() as u64 {
        println!("usage: {USAGE}");
        return 2;
    }
    signal::set_all_to_default();
    match storm(arguments, &options) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(failure) => {
            println!("oomstorm: {failure}");
            1
        }
    }
}

/// Runs it all and prints the figures; says whether all was well.
fn storm(arguments: Arguments, options: &Options) -> Result<bool, Failure> {
    let ledger = Ledger::shared()?;
    files::make_directory().or_fail("mkdir")?;
    let before = system::free_memory().or_fail("sysinfo")?;
    let probing = process::spawn(|| prober::run(arguments, ledger)).or_fail("fork")?;
    let mut random = Random::new(options.seed);
    let deadline = system::now() + options.seconds * 1_000_000_000;
    let mut killed = None;
    while killed.is_none() && system::now() < deadline {
        round::run(ledger, options, &mut random)?;
        killed = process::try_wait(probing).or_fail("wait")?;
    }
    ledger.stop.store(1, Relaxed);
    let status = match killed {
        Some((_, status)) => status,
        None => process::wait_for(probing).or_fail("wait")?.1,
    };
    if status != Status::Exited(0) {
        ledger.fail(format_args!("the prober ended with {status}"));
    }
    files::remove_directory(ledger);
    quiesce();
    let after = system::free_memory().or_fail("sysinfo")?;
    Ok(report(ledger, before, after))
}

fn report(ledger: &Ledger, before: u64, after: u64) -> bool {
    let longest = ledger.longest.load(Relaxed);
    if longest > PATIENCE {
        ledger.fail(format_args!(
            "refused {} ms after the hogs were dead",
            longest / 1_000_000
        ));
    }
    println!("rounds {}", ledger.rounds.load(Relaxed));
    println!("hogs {}", ledger.hogs.load(Relaxed));
    println!("hogs killed by the kernel {}", ledger.killed.load(Relaxed));
    println!("probes {}", ledger.probes.load(Relaxed));
    println!("refused {}", ledger.refused.load(Relaxed));
    println!(
        "refused without hogs {}",
        ledger.refused_alone.load(Relaxed)
    );
    println!("longest refusal without hogs {} ms", longest / 1_000_000);
    println!("free before {} KiB", before >> 10);
    println!("free after {} KiB", after >> 10);
    let failures = ledger.failures.load(Relaxed);
    println!("failures {failures}");
    failures == 0
}
