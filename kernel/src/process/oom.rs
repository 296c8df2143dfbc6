//! What happens when a program's page fault finds no memory: the process that holds most is killed.
//!
//! A fault comes here only after reclaim has made no progress. One fault at a time chooses a victim:
//! the others wait for it, and try again first. The victim is killed, and the fault waits until it
//! has ended. Then the fault is tried again; if the caller is the victim, a fatal signal is pending
//! for it.
//!
//! The measure is the part of pages and tables that a process holds, as Linux's badness is: a page
//! that four processes share counts a quarter in each. `oom_score_adj` shifts it by thousandths of
//! all memory, and -1000 exempts a process (proc(5)).

use super::ids::{self, Pid};
use super::signal::{self, SigInfo, Signal};
use super::state::Process;
use super::thread::Thread;
use crate::memory::{self, Counter, FRAME_SIZE, Footprint};
use crate::sched;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use executor::sync::{Mutex, MutexGuard};

/// The range of `oom_score_adj`. At the lowest value a process is not killed.
pub(super) const ADJUSTMENTS: core::ops::RangeInclusive<i32> = -1000..=1000;

/// Held by the fault that chooses a victim, until that has ended.
static KILLING: Mutex<()> = Mutex::new(());

/// A victim that does not end within this time, in nanoseconds, is not waited for any longer.
const PATIENCE: u64 = 1_000_000_000;

/// A child of the first program is spared while another process holds this part of what the child
/// holds: it may be a shell or a service, and what it started is the likelier cause.
const SPARED: i64 = 8;

/// Waits for the fault that kills at the moment, if there is one.
pub(super) async fn lock() -> MutexGuard<'static, ()> {
    KILLING.lock().await
}

/// What a process holds, for choosing: frames with the adjustment, and what they are made of. None
/// if it cannot be a victim.
fn badness(process: &Process) -> Option<(i64, Footprint)> {
    let adjustment = process.oom_score_adj.load(Ordering::Relaxed);
    if process.exit_status().is_some() || adjustment <= *ADJUSTMENTS.start() {
        return None;
    }
    let footprint = process.space()?.footprint();
    let held = footprint.share() + process.files().held_pages();
    let shift = i64::from(adjustment) * memory::managed_frames() as i64 / 1000;
    Some((held as i64 + shift, footprint))
}

/// `/proc/PID/oom_score`: 0 to 2000, as Linux works it out.
pub(super) fn score(process: &Process) -> i64 {
    let Some((points, _)) = badness(process) else {
        return 0;
    };
    let of_all = points * 1000 / memory::managed_frames().max(1) as i64;
    ((1000 + of_all) * 2 / 3).max(0)
}

struct Victim {
    process: Arc<Process>,
    points: i64,
    footprint: Footprint,
}

/// The process that holds most.
async fn choose() -> Option<Victim> {
    let mut worst: Option<Victim> = None;
    let mut worst_of_init: Option<Victim> = None;
    let mut last = Pid::INIT;
    while let Some(process) = ids::next(last) {
        last = process.pid;
        if let Some((points, footprint)) = badness(&process) {
            let of_init = process.parent_pid() == Pid::INIT.0;
            let best = if of_init {
                &mut worst_of_init
            } else {
                &mut worst
            };
            if best.as_ref().is_none_or(|best| best.points < points) {
                *best = Some(Victim {
                    process,
                    points,
                    footprint,
                });
            }
        }
        // There can be tens of thousands of processes.
        executor::spend_budget().await;
    }
    match (worst, worst_of_init) {
        (Some(worst), Some(of_init)) if worst.points >= of_init.points / SPARED => Some(worst),
        (worst, of_init) => of_init.or(worst),
    }
}

/// Kills the process that holds most, and waits until it has ended. Returns `false` if there is none,
/// or if it is the caller's own, which does not end while it waits.
pub(super) async fn kill_one(caller: &Thread, _lock: &MutexGuard<'static, ()>) -> bool {
    let Some(victim) = choose().await else {
        return false;
    };
    memory::count(Counter::OutOfMemoryKills);
    report(&victim);
    let process = victim.process;
    let space = process.space();
    // It has no value that could be too much.
    let kill = |process: &Process| {
        let _ = signal::send(process, SigInfo::kernel(Signal::KILL));
    };
    kill(&process);
    // Other processes with the same memory keep it: they go too (vfork(2), clone(2)).
    let mut last = Pid::INIT;
    while let Some(other) = ids::next(last) {
        last = other.pid;
        let shares = match (&space, other.space()) {
            (Some(space), Some(of_other)) => Arc::ptr_eq(space, &of_other),
            _ => false,
        };
        if shares && !Arc::ptr_eq(&other, &process) {
            kill(&other);
        }
    }
    drop(space);
    if Arc::ptr_eq(&process, caller.process()) {
        return false;
    }
    let ended = process.wait_for_end();
    // Whether it has ended or not, the caller tries again.
    let _ = sched::executor().timeout(PATIENCE, ended).await;
    true
}

fn report(victim: &Victim) {
    let kib = |frames: u64| frames * FRAME_SIZE as u64 / 1024;
    let process = &victim.process;
    let mapped = process.space().map_or(0, |space| space.usage_now().0);
    log::error!(
        "Out of memory: Killed process {} ({}) total-vm:{}kB, rss:{}kB, UID:{} pgtables:{}kB \
         oom_score_adj:{}",
        process.pid,
        process.name().escape_ascii(),
        mapped / 1024,
        kib(victim.footprint.pages),
        process.with_credentials(|who| who.uid.real),
        kib(victim.footprint.tables),
        process.oom_score_adj.load(Ordering::Relaxed),
    );
}
