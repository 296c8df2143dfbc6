//! The executor under stress on this very machine, with its interrupts, its timer and its
//! clock: `selftest=executor` on the command line runs it before the first program.
//!
//! The crate's own tests have the same aims on host threads; here each part is about what
//! only the machine has: halts that an IPI has to end, timers of several CPUs, and per-CPU
//! queues that rely on interrupts being masked. Each part counts what it does, so that what
//! is lost shows (rule E2), and has a limit of time, so that a lost wake-up is a report and
//! no hang. A property that does not hold is a panic that names it.

mod scheduling;
mod waking;

use crate::arch;
use crate::sched::{self, Machine};
use alloc::vec::Vec;
use core::future::Future;
use core::ops::Range;
use executor::{Counters, Executor, JoinHandle, yield_now};

/// How long it goes on: each round meets other moments.
const DURATION: u64 = 3_000 * MILLISECOND;
/// Far more than any part takes, on an emulated machine with a busy host too.
const PATIENCE: u64 = 60_000 * MILLISECOND;
const MILLISECOND: u64 = 1_000_000;

/// Runs all parts, one after the other, again and again.
pub async fn executor() {
    let start = arch::clock();
    let before = totals();
    let mut rounds = 0;
    while arch::clock() - start < DURATION {
        part("spawn and join", scheduling::spawn_and_join()).await;
        part("calls between CPUs", waking::calls_between_cpus()).await;
        part("many to one", waking::many_to_one()).await;
        part("notify between CPUs", waking::notify_between_cpus()).await;
        part("permits", waking::permits()).await;
        part("timers", scheduling::timers()).await;
        part("yields", scheduling::yields()).await;
        part("abort", scheduling::abort()).await;
        part("end of all tasks", all_ended()).await;
        rounds += 1;
    }
    let after = totals();
    log::info!(
        "selftest executor: ok, {} CPUs, {rounds} rounds, {} polls, {} steals, {} resched IPIs, {} parks, {} timers",
        arch::cpu_count(),
        after.polls - before.polls,
        after.steals - before.steals,
        after.resched_ipis - before.resched_ipis,
        after.parks - before.parks,
        after.timers - before.timers,
    );
}

/// What all tasks here are called.
const TASK: &str = "selftest";

fn here() -> &'static Executor<Machine> {
    sched::executor()
}

fn cpus() -> Range<usize> {
    0..arch::cpu_count()
}

/// The sums of what all CPUs have counted.
fn totals() -> Counters {
    let mut sum = Counters::default();
    for counters in cpus().filter_map(|cpu| here().counters(cpu)) {
        sum.polls += counters.polls;
        sum.steals += counters.steals;
        sum.resched_ipis += counters.resched_ipis;
        sum.parks += counters.parks;
        sum.timers += counters.timers;
    }
    sum
}

async fn part(name: &str, work: impl Future<Output = ()>) {
    let start = arch::clock();
    if here().timeout(PATIENCE, work).await.is_err() {
        panic!("selftest: `{name}` does not end: a wake-up was lost");
    }
    log::debug!(
        "selftest: {name}: {} ms",
        (arch::clock() - start) / MILLISECOND
    );
}

async fn join<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => panic!("selftest: a task that was not aborted has no output: {error}"),
    }
}

async fn join_all<T>(tasks: Vec<JoinHandle<T>>) {
    for task in tasks {
        join(task).await;
    }
}

/// Has each CPU poll a task. Its counters have everything then that it did before.
async fn visit_all_cpus() {
    let visit = |cpu| here().spawn_on(cpu, TASK, async {});
    join_all(cpus().map(visit).collect()).await;
}

/// A task is joined a moment before it is gone from the list of tasks.
async fn all_ended() {
    while here().tasks().iter().any(|task| task.name == TASK) {
        yield_now().await;
    }
}
