//! The table of `docs/performance.md`:
//!
//! ```text
//! cargo bench --package executor --bench table
//! ```
//!
//! The three executors do the same work in turns, round by round, so that what
//! else goes on on the machine hits all of them; the best rounds are compared,
//! since that can only add to a time.
//! An argument picks the rows whose name contains it.

mod workloads;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use workloads::{Ours, Runtime, Smol, Tokio, Workload};

const ROUNDS: usize = 15;
const IDLE_TASKS: usize = 10_000;

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

fn best(times: Vec<Duration>) -> Option<Duration> {
    times.into_iter().min()
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or("-".into(), |time| {
        format!("{:.2}", time.as_secs_f64() * 1e3)
    })
}

fn ratio(other: Option<Duration>, ours: Option<Duration>) -> String {
    match (other, ours) {
        (Some(other), Some(ours)) => format!("{:.2}", other.as_secs_f64() / ours.as_secs_f64()),
        _ => "-".into(),
    }
}

/// Bytes per task that waits for ever and keeps `KEPT` bytes meanwhile.
fn idle_task<R: Runtime, const KEPT: usize>() -> usize {
    let runtime = R::new(1);
    let spawn = |count| {
        for _ in 0..count {
            runtime.spawn_detached(async {
                let kept = std::hint::black_box([0_u8; KEPT]);
                pending::<()>().await;
                std::hint::black_box(&kept);
            });
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    // What grows in steps has grown before.
    spawn(IDLE_TASKS);
    let before = ALLOCATED.load(Ordering::Relaxed);
    spawn(IDLE_TASKS);
    (ALLOCATED.load(Ordering::Relaxed) - before) / IDLE_TASKS
}

fn memory<const KEPT: usize>() {
    let (ours, tokio, smol) = (
        idle_task::<Ours, KEPT>(),
        idle_task::<Tokio, KEPT>(),
        idle_task::<Smol, KEPT>(),
    );
    println!(
        "| memory per idle task that keeps {KEPT} bytes | 1 | {ours} | {tokio} | {smol} | {:.2} | {:.2} |",
        tokio as f64 / ours as f64,
        smol as f64 / ours as f64,
    );
}

fn main() {
    // `cargo test` builds and starts this too; only `cargo bench` asks for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    println!(
        "| work | threads | executor, ms | tokio, ms | async-executor, ms | tokio / executor | async-executor / executor |"
    );
    println!("|---|---|---|---|---|---|---|");
    for threads in [1, 2] {
        for workload in Workload::ALL {
            if only
                .as_ref()
                .is_some_and(|only| !workload.name().contains(only))
            {
                continue;
            }
            let (ours, tokio, smol) = (Ours::new(threads), Tokio::new(threads), Smol::new(threads));
            let mut times = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                times[0].extend(workload.run(&ours));
                times[1].extend(workload.run(&tokio));
                times[2].extend(workload.run(&smol));
            }
            let [ours, tokio, smol] = times.map(best);
            println!(
                "| {} | {threads} | {} | {} | {} | {} | {} |",
                workload.name(),
                milliseconds(ours),
                milliseconds(tokio),
                milliseconds(smol),
                ratio(tokio, ours),
                ratio(smol, ours),
            );
        }
    }
    if only.is_none_or(|only| "memory".contains(&only)) {
        memory::<0>();
        memory::<64>();
        memory::<256>();
    }
}
