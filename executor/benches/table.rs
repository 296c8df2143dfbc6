//! The table of `docs/performance.md`:
//!
//! ```text
//! cargo bench --package executor --bench table
//! ```
//!
//! This executor (without stats of its tasks and with them), tokio and
//! `async-executor` do the same work in turns, round by round, so that what else
//! goes on on the machine hits all of them; the best rounds are compared, since
//! that can only add to a time.
//! An argument picks the rows whose name contains it.

mod workloads;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use workloads::{Full, Idle, Lean, Runtime, Smol, Tokio, Workload};

const ROUNDS: usize = 30;
const IDLE_TASKS: usize = 10_000;
/// Long enough for all of them to wait.
const SETTLE: Duration = Duration::from_millis(200);

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(usable(layout), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(usable(layout), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// An allocation starts at a multiple of its alignment, so this much is gone
/// for others.
fn usable(layout: Layout) -> usize {
    layout.pad_to_align().size()
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn milliseconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64() * 1e3)
}

/// Bytes per task that waits, with what it waits in.
fn idle_task<R: Runtime>(idle: Idle) -> Option<f64> {
    let runtime = R::new(1);
    // What grows in steps has grown before.
    idle.spawn(&runtime, IDLE_TASKS)?;
    std::thread::sleep(SETTLE);
    let before = ALLOCATED.load(Ordering::Relaxed);
    idle.spawn(&runtime, IDLE_TASKS)?;
    std::thread::sleep(SETTLE);
    let grown = ALLOCATED.load(Ordering::Relaxed) - before;
    Some((grown / IDLE_TASKS) as f64)
}

/// The values of the four, and what the others' are of ours.
fn print_row(name: &str, threads: usize, digits: usize, values: [Option<f64>; 4]) {
    let cell = |value: Option<f64>, digits: usize| {
        value.map_or("-".into(), |value| format!("{value:.digits$}"))
    };
    let ratio =
        |other: Option<f64>, ours: Option<f64>| cell(other.zip(ours).map(|(a, b)| a / b), 2);
    let [lean, full, tokio, smol] = values;
    println!(
        "| {name} | {threads} | {} | {} | {} | {} |",
        values.map(|value| cell(value, digits)).join(" | "),
        ratio(tokio, lean),
        ratio(tokio, full),
        ratio(smol, lean),
    );
}

fn print_head(what: &str, unit: &str) {
    println!(
        "| {what} | threads | executor, {unit} | with stats, {unit} | tokio, {unit} | async-executor, {unit} | tokio / executor | tokio / with stats | async-executor / executor |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
}

fn main() {
    // `cargo test` builds and starts this too; only `cargo bench` asks for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only));
    print_head("work", "ms");
    for threads in [1, 2] {
        for workload in Workload::ALL {
            if is_wanted(workload.name()) {
                let best = measure(workload, threads);
                print_row(workload.name(), threads, 2, best.map(milliseconds));
            }
        }
    }
    println!();
    print_head("idle task that", "bytes");
    for idle in Idle::ALL {
        if is_wanted(idle.name()) {
            let bytes = [
                idle_task::<Lean>(idle),
                idle_task::<Full>(idle),
                idle_task::<Tokio>(idle),
                idle_task::<Smol>(idle),
            ];
            print_row(idle.name(), 1, 0, bytes);
        }
    }
}

/// The best rounds of the four.
fn measure(workload: Workload, threads: usize) -> [Option<Duration>; 4] {
    let (lean, full, tokio, smol) = (
        Lean::new(threads),
        Full::new(threads),
        Tokio::new(threads),
        Smol::new(threads),
    );
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        times[0].extend(workload.run(&lean));
        times[1].extend(workload.run(&full));
        times[2].extend(workload.run(&tokio));
        times[3].extend(workload.run(&smol));
    }
    times.map(|times| times.into_iter().min())
}
