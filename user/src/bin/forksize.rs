//! `forksize [--max MIB] [--rounds N] [--forks N]`: what a fork costs a process that has touched
//! so much memory: fork alone, and fork with the child's exit and the wait for it.
//!
//! Each measurement is made by a fresh process that touches its memory and then forks some
//! times; the sizes take turns, and what is shown is the median over all.
#![no_std]
#![no_main]

use core::fmt;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use user::sys::memory::PAGE;
use user::sys::process::{self, Forked, Status};
use user::sys::system;
use user::testing::{Explain, Failure, Mapping, shared};
use user::{Arguments, options, println, program};

program!(main);

const USAGE: &str = "forksize [--max MIB] [--rounds N] [--forks N]  (at most 512 forks in all)";

/// The sizes, in MiB.
const SIZES: [u64; 5] = [0, 1, 16, 64, 256];
/// How many times each size is measured at most.
const MOST_SAMPLES: usize = 512;

const PAGES_PER_MIB: usize = (1 << 20) / PAGE;

/// The measurements of one size.
struct Series {
    mib: u64,
    count: usize,
    fork: [u64; MOST_SAMPLES],
    whole: [u64; MOST_SAMPLES],
    /// Why there are no more.
    stopped: Option<Stopped>,
}

#[derive(Clone, Copy)]
enum Stopped {
    TooBig,
    DoesNotFit(Status),
}

/// Where a measuring process leaves its results: fork and whole, alternating.
type Results = [AtomicU64; 2 * MOST_SAMPLES];

fn main(arguments: Arguments) -> i32 {
    let (mut max, mut rounds, mut forks) = (256, 5, 20);
    let options = &mut [
        ("max", &mut max),
        ("rounds", &mut rounds),
        ("forks", &mut forks),
    ];
    if !options::parse(arguments, options, USAGE) {
        return 2;
    }
    let total = rounds.saturating_mul(forks);
    if total == 0 || total > MOST_SAMPLES as u64 {
        println!("usage: {USAGE}");
        return 2;
    }
    match measure(max, rounds, forks as usize) {
        Ok(series) => {
            report(&series);
            0
        }
        Err(failure) => {
            println!("forksize: {failure}");
            1
        }
    }
}

fn measure(max: u64, rounds: u64, forks: usize) -> Result<[Series; SIZES.len()], Failure> {
    let results: &Results = shared::counters()?;
    let mut all = SIZES.map(|mib| Series {
        mib,
        count: 0,
        fork: [0; MOST_SAMPLES],
        whole: [0; MOST_SAMPLES],
        stopped: (mib > max).then_some(Stopped::TooBig),
    });
    for _ in 0..rounds {
        for series in all.iter_mut().filter(|series| series.stopped.is_none()) {
            let pid =
                process::spawn(|| i32::from(sample(series.mib as usize, forks, results).is_err()))
                    .or_fail("fork")?;
            let (_, status) = process::wait_for(pid).or_fail("wait")?;
            if status != Status::Exited(0) {
                series.stopped = Some(Stopped::DoesNotFit(status));
                continue;
            }
            for pair in results.chunks_exact(2).take(forks) {
                series.fork[series.count] = pair[0].load(Relaxed);
                series.whole[series.count] = pair[1].load(Relaxed);
                series.count += 1;
            }
        }
    }
    Ok(all)
}

/// Touches the memory and forks, in a process of its own.
fn sample(mib: usize, forks: usize, results: &Results) -> Result<(), Failure> {
    let area = Mapping::private((mib * PAGES_PER_MIB).max(1))?;
    if mib > 0 {
        (0..area.pages()).for_each(|page| area.set(page, 0, page as u64));
    }
    // The first fork finds the kernel's caches cold and is not counted.
    time_fork()?;
    for pair in results.chunks_exact(2).take(forks) {
        let (fork, whole) = time_fork()?;
        pair[0].store(fork, Relaxed);
        pair[1].store(whole, Relaxed);
    }
    Ok(())
}

/// Nanoseconds until fork returned to the parent, and until the child was waited for.
fn time_fork() -> Result<(u64, u64), Failure> {
    let start = system::now();
    let pid = match process::fork().or_fail("fork")? {
        Forked::Child => process::exit_now(0),
        Forked::Parent(pid) => pid,
    };
    let forked = system::now();
    process::wait_for(pid).or_fail("wait")?;
    let done = system::now();
    Ok((forked.saturating_sub(start), done.saturating_sub(start)))
}

fn report(all: &[Series]) {
    println!("  touched        fork   fork+exit+wait");
    for series in all {
        match series.stopped {
            None => println!(
                "{:>5} MiB {} {:>16}",
                series.mib,
                Microseconds(median(&series.fork, series.count)),
                Microseconds(median(&series.whole, series.count)),
            ),
            Some(Stopped::TooBig) => println!("{:>5} MiB  skipped: more than --max", series.mib),
            Some(Stopped::DoesNotFit(status)) => {
                println!("{:>5} MiB  skipped: does not fit ({status})", series.mib);
            }
        }
    }
    let complete = |series: &&Series| series.stopped.is_none();
    let small = all.iter().find(|series| series.mib == 1).filter(complete);
    let large = all
        .iter()
        .rev()
        .find(complete)
        .filter(|series| series.mib > 1);
    if let (Some(small), Some(large)) = (small, large) {
        let ratio = |of: fn(&Series) -> &[u64; MOST_SAMPLES]| Hundredths {
            value: median(of(large), large.count) * 100 / median(of(small), small.count).max(1),
        };
        println!(
            "ratio {} MiB : 1 MiB, fork {}",
            large.mib,
            ratio(|series| &series.fork)
        );
        println!(
            "ratio {} MiB : 1 MiB, fork+exit+wait {}",
            large.mib,
            ratio(|series| &series.whole)
        );
    }
}

fn median(samples: &[u64; MOST_SAMPLES], count: usize) -> u64 {
    let mut sorted = *samples;
    let sorted = sorted.get_mut(..count).unwrap_or_default();
    sorted.sort_unstable();
    sorted.get(count / 2).copied().unwrap_or(0)
}

/// Nanoseconds, shown as microseconds with one decimal.
struct Microseconds(u64);

impl fmt::Display for Microseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{} us", self.0 / 1000, self.0 % 1000 / 100)
    }
}

/// A number with two decimals.
struct Hundredths {
    value: u64,
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.value / 100, self.value % 100)
    }
}
