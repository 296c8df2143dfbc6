//! The memory system through many interleavings on a machine that is as nasty as the
//! architecture allows (rules M1 to M7, M9, M11).
//!
//! A run follows from its seed: the number of CPUs, what each thread does, when each CPU
//! stops and goes on, what the TLBs forget and learn, how late interrupts are. A seed that
//! finds something is printed with all that repeats it. By hand:
//!
//! ```text
//! SIM_SEED=1 SIM_RUNS=10000 SIM_STEPS=300 cargo test --release -p kernel as_long_as -- --nocapture
//! ```

mod entering;
mod model;
mod planted;
mod program;
mod takeover;
mod unsharing;
mod world;

use super::super::{audit, free_frames, is_settled, reclaim, shootdown, tags};
use super::*;
use crate::arch::sim::random::Random;
use crate::arch::sim::schedule;
use program::Thread;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Instant;
use world::{Process, World};

/// Scheduling points after which a run must have come to its end, for each operation.
const POINTS: u64 = 20_000;

/// What a run came to.
struct Run {
    seed: u64,
    operations: usize,
    points: u64,
    wrong: Option<String>,
}

/// Runs the workload that follows from `seed`.
fn simulate(seed: u64, operations: usize) -> Run {
    let mut shape = Random::new(seed);
    let cpus = [1, 2, 2, 3, 3, 4, 4, 4][shape.below(8)];
    let threads = [20, 50, 80][shape.below(3)];
    let childhood = [usize::MAX, 2][shape.below(2)];
    let pcids = [0, 1, 3, 6][shape.below(4)];
    let _machine = sim::Machine::start(cpus, 2048);
    tags::set_pcids(pcids);
    let start = free_frames();
    let world = World::new(operations, threads, childhood);
    let mut pages = program::universe();
    if shape.one_in(2) {
        // Little memory and many who want it.
        pages.truncate(3);
    }
    let pages = Rc::new(pages);
    let process = Rc::new(Process {
        space: AddressSpace::new().unwrap(),
        model: program::empty_model(&pages),
    });
    let first = Thread {
        world: world.clone(),
        process: process.clone(),
        pages: pages.clone(),
        operations: usize::MAX,
    };
    world.spawn(process, program::first(first));
    let bodies = (0..cpus).map(|_| {
        let world = world.clone();
        Box::new(move || world.run_cpu()) as Box<dyn FnOnce()>
    });
    let limit = POINTS * (operations as u64 + 100);
    let outcome = schedule::run(seed, pages.to_vec(), limit, bodies.collect());
    Run {
        seed,
        operations: world.operations_done.get(),
        points: outcome.steps,
        wrong: outcome.broken.or_else(|| {
            catch_unwind(|| left_over(cpus, start))
                .unwrap_or_else(|_| Some("M11: a panic when all was over".into()))
        }),
    }
}

/// What is not as it was when all processes are gone (rules M1, M11).
fn left_over(cpus: usize, start: usize) -> Option<String> {
    for cpu in 0..cpus {
        sim::on(cpu, || {
            shootdown::serve();
            while reclaim::help(1) {}
        });
    }
    let found = audit(&[], &[]);
    if !is_settled() || !found.is_clean() || found.held != 0 || free_frames() != start {
        let free = free_frames();
        return Some(format!("M11: {found:?}, {free} free frames of {start}"));
    }
    None
}

/// Runs all seeds, each for so many operations, and says how it went. Ends with the first
/// seed that finds something.
fn simulate_all(seeds: impl Iterator<Item = u64>, operations: usize) {
    let begin = Instant::now();
    let (mut runs, mut done, mut points) = (0, 0, 0);
    for seed in seeds {
        let run = simulate(seed, operations);
        (runs, done, points) = (runs + 1, done + run.operations, points + run.points);
        if let Some(wrong) = run.wrong {
            panic!("SIM_SEED={} SIM_STEPS={operations}: {wrong}", run.seed);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{runs} runs, {done} operations and {points} scheduling points in {seconds:.1} s: \
         {:.0} operations and {:.0} points per second",
        done as f64 / seconds,
        points as f64 / seconds,
    );
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_fixed_set_of_seeds() {
    simulate_all(0..200, 300);
}

/// `SIM_SEED`: the seed, or the first of them; `SIM_RUNS`: how many; `SIM_STEPS`: operations
/// in each.
#[test]
fn as_long_as_one_likes() {
    let seed = from_environment("SIM_SEED");
    let Some(runs) = from_environment("SIM_RUNS").or(seed.map(|_| 1)) else {
        return;
    };
    let first = seed.unwrap_or(1 << 32);
    let operations = from_environment("SIM_STEPS").unwrap_or(200) as usize;
    simulate_all(first..first + runs, operations);
}

#[test]
fn a_seed_repeats_itself() {
    let runs = [simulate(7, 300), simulate(7, 300)];
    assert_eq!(runs[0].points, runs[1].points);
    assert_eq!(runs[0].wrong, None);
    assert_ne!(runs[0].points, simulate(8, 300).points);
}
