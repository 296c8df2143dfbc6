//! `forkbench [--list] [--only NAME]... [--quick] [--count] [--lines]`: what a kernel's calls
//! around `fork` and copy-on-write cost, on cowfork and on Linux alike.
//!
//! Each benchmark runs in a process of its own and reports one metric or more: median and 99th
//! percentile in a table, or with `--lines` more of the distribution, for programs. `--count`
//! reports ticks of the time-stamp counter, which QEMU's `-icount shift=0` makes the number of
//! guest instructions; it repeats less, and leaves out what only makes sense in time.
//!
//! In reading order: [`mod@list`] names the benchmarks; [`mod@bench`] is what each is given to measure
//! and report with, made of [`clock`], [`series`] and [`output`]; [`region`] is memory to touch,
//! [`sleeper`] a child that shares it;
//! the benchmarks themselves are in [`forks`], [`faults`], [`calls`], [`programs`], [`threads`],
//! [`storms`], [`children`] and [`snapshot`].
#![no_std]
#![no_main]

extern crate alloc;

mod bench;
mod calls;
mod children;
mod clock;
mod faults;
mod forks;
mod list;
mod output;
mod programs;
mod region;
mod series;
mod sleeper;
mod snapshot;
mod storms;
mod threads;

use alloc::vec::Vec;

use user::sys::process::{self, Status};
use user::sys::system;
use user::{Arguments, eprintln, println, program};

use bench::{Bench, Benchmark, Effort};
use clock::Clock;
use list::BENCHMARKS;
use output::Form;

program!(main);

const USAGE: &str = "forkbench [--list] [--only NAME]... [--quick] [--count] [--lines]";

/// What is wanted.
struct Options {
    list: bool,
    /// Benchmarks or metrics; all when there is none.
    only: Vec<&'static str>,
    effort: Effort,
    form: Form,
}

fn main(arguments: Arguments) -> i32 {
    if let Some(code) = programs::play_part(arguments) {
        return code;
    }
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(word) => {
            eprintln!("forkbench: {word}: not understood\nusage: {USAGE}");
            return 2;
        }
    };
    if options.list {
        return list();
    }
    let clock = match options.effort {
        Effort::Count => Clock::ticks(),
        Effort::Quick | Effort::Full => Clock::nanoseconds(),
    };
    options.form.begin(&clock);
    let mut code = 0;
    for benchmark in BENCHMARKS.iter().filter(|each| is_chosen(each, &options)) {
        let bench = Bench::new(benchmark, options.effort, clock, options.form, arguments);
        if !run(benchmark, bench) {
            code = 1;
        }
    }
    options.form.end(code);
    code
}

/// The error is the word that makes no sense.
fn parse(arguments: Arguments) -> Result<Options, &'static str> {
    let mut options = Options {
        list: false,
        only: Vec::new(),
        effort: Effort::Full,
        form: Form::Table,
    };
    let mut words = arguments
        .rest()
        .map(|word| word.to_str().unwrap_or("a word"));
    while let Some(word) = words.next() {
        match word {
            "--list" => options.list = true,
            "--quick" => options.effort = Effort::Quick,
            "--count" => options.effort = Effort::Count,
            "--lines" => options.form = Form::Lines,
            "--only" => {
                let name = words.next().ok_or(word)?;
                let is_known = BENCHMARKS.iter().any(|benchmark| benchmark.is_named(name));
                options.only.push(is_known.then_some(name).ok_or(name)?);
            }
            _ => return Err(word),
        }
    }
    Ok(options)
}

fn is_chosen(benchmark: &Benchmark, options: &Options) -> bool {
    let named = |name: &&str| benchmark.is_named(name);
    (options.only.is_empty() || options.only.iter().any(named))
        && (benchmark.counts || options.effort != Effort::Count)
}

fn list() -> i32 {
    for benchmark in BENCHMARKS {
        println!("{:<12} {}", benchmark.name, benchmark.about);
        for metric in benchmark.metrics {
            println!("    {metric}");
        }
    }
    0
}

/// How long a kernel gets for that.
const SETTLING_MS: u64 = 10;

/// Runs one in a process of its own. False when that did not come to its end.
fn run(benchmark: &Benchmark, mut bench: Bench) -> bool {
    // The kernel may still take apart what the last one has left.
    system::sleep_ms(SETTLING_MS);
    let pid = process::spawn(|| {
        if let Err(failure) = (benchmark.run)(&mut bench) {
            bench.give_up(&failure);
        }
        0
    });
    match pid.and_then(process::wait_for) {
        Ok((_, Status::Exited(0))) => true,
        Ok((_, status)) => {
            eprintln!("forkbench: {}: {status}", benchmark.name);
            false
        }
        Err(errno) => {
            eprintln!("forkbench: {}: fork: {errno:?}", benchmark.name);
            false
        }
    }
}
