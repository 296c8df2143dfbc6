//! The memory system through many interleavings on a machine that is as nasty as the
//! architecture allows (rules M1 to M11).
//!
//! A run follows from its seed: the number of CPUs and the memory, what each thread does
//! (`plan`), when each CPU stops and goes on, what the TLBs forget and learn, when stores and
//! interrupts arrive. Threads on `world`'s CPUs do what the plan says (`program`), and what
//! they see is compared with a `model`. Many seeds run on all CPUs of the host (`campaign`);
//! one that finds something is printed with the command that repeats it, and made as small as
//! it goes (`shrink`). Small workloads for single orders that the great mix seldom comes to:
//! `entering`, `reuse`, `cow_break`, `untouched`, `litmus`. That the faults in `memory/planted.rs` are found:
//! `planted`.

mod campaign;
mod cow_break;
mod entering;
mod litmus;
mod model;
mod plan;
mod planted;
mod program;
mod reuse;
mod shrink;
mod untouched;
mod world;

use super::*;
use crate::memory::audit;
use crate::memory::reclaim::reclaimer;
use crate::memory::tlb::asid;
use crate::memory::tlb::shootdown;
use crate::memory::{free_frames, is_quiescent};
use crate::testing::sim::schedule;
use campaign::Campaign;
use model::Model;
use plan::Plan;
use program::Thread;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use world::{Process, World, drive};

/// Scheduling points after which a run must have come to its end, for each operation.
const POINTS: u64 = 4_000;

/// What a run came to.
struct Run {
    operations: usize,
    points: u64,
    wrong: Option<String>,
    /// What has happened, if that was asked for.
    story: Vec<String>,
}

/// Runs the workload, in the order that follows from `order`.
fn simulate(plan: &Plan, order: u64, tells: bool) -> Run {
    let machine = sim::Machine::start(plan.cpus, plan.frames);
    asid::set_pcids(plan.pcids);
    let start = free_frames();
    let world = World::new(plan.clone(), tells);
    let space = AddressSpace::new().expect("a machine with memory for a root");
    let process = Process::new(space, Model::new(&plan.pages));
    let thread = Thread::new(&world, &process, 0);
    world.spawn(process, program::first(thread));
    let bodies = (0..plan.cpus).map(|_| {
        let world = world.clone();
        Box::new(move || world.run_cpu()) as Box<dyn FnOnce()>
    });
    let limit = POINTS * (plan.operations() as u64 + 100);
    let outcome = schedule::run(order, plan.pages.clone(), limit, bodies.collect());
    let (operations, story) = (world.operations_done.get(), world.story());
    let mut wrong = outcome.broken;
    if wrong.is_some() {
        // CPUs stand where they stood, and what they hold is not consistent.
        core::mem::forget(world);
    } else {
        drop(world);
        wrong = catch_unwind(|| left_over(plan.cpus, start))
            .unwrap_or_else(|_| Some("M11: a panic when all was over".into()));
    }
    if wrong.is_none() {
        machine.dismantle();
    }
    Run {
        operations,
        points: outcome.steps,
        wrong,
        story,
    }
}

/// What is not as it was when all processes are gone (rules M1, M11).
fn left_over(cpus: usize, start: usize) -> Option<String> {
    for cpu in 0..cpus {
        sim::on(cpu, || {
            shootdown::serve();
            while reclaimer::reclaim_here(1) {}
        });
    }
    let found = audit(&[], &[]);
    if !is_quiescent() || !found.is_clean() || found.held != 0 || free_frames() != start {
        let free = free_frames();
        return Some(format!("M11: {found:?}, {free} free frames of {start}"));
    }
    None
}

/// Runs of each of the two sets, and operations in each: a million steps together.
const RUNS: u64 = 2300;
const OPERATIONS: usize = 300;

#[test]
fn a_fixed_set_of_seeds() {
    Campaign::new(0, RUNS, OPERATIONS).run();
}

/// Other seeds each time. On a slow or busy host as many as there is time for.
#[test]
fn a_fresh_set_of_seeds() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let first = now.map_or(0, |now| now.as_nanos() as u64) >> 16;
    println!("from seed {first} on");
    let mut campaign = Campaign::new(first, RUNS, OPERATIONS);
    campaign.time = Some(Duration::from_secs(60));
    campaign.run();
}

/// As the environment says; see `campaign`.
#[test]
fn on_request() {
    if let Some(campaign) = Campaign::from_environment() {
        campaign.run();
    }
}

/// Rule M10: this seed takes areas out, which joins siblings to full nodes, and puts one in again.
#[test]
fn m10_an_insertion_after_a_removal_has_reserved_enough() {
    Campaign::new(27_405_989_603_621, 1, 300).run();
}

#[test]
fn a_seed_repeats_itself() {
    let run = |seed| simulate(&Plan::new(seed, 300), seed, false);
    let runs = [run(7), run(7)];
    assert_eq!(runs[0].points, runs[1].points);
    assert_eq!(runs[0].wrong, None);
    assert_ne!(runs[0].points, run(8).points);
}
