//! Moving tasks between CPUs that are all busy, in an executor that shares time (rule E6).
//!
//! A CPU without work steals. Among CPUs that have some, each knows its load: the weight of what was
//! ready, averaged over some [`WINDOW`]. Now and then a CPU compares, and takes a task of the one with
//! the most if that makes the two more equal.

use super::shared::Shared;
use super::worker::Worker;
use crate::facade::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::platform::Platform;

/// A CPU compares this often, in nanoseconds.
const EVERY: u64 = 4_000_000;
/// Over how long the load is averaged, in nanoseconds: two slices of a kernel.
const WINDOW: u64 = 20_000_000;

/// The load of a CPU. The CPU itself stores; others load it, and change it when they take a task, so
/// that not all of them come for the same one. A change that is lost is made up for by the average.
pub(super) struct Load {
    weight: AtomicU32,
    /// Until when it is known.
    until: AtomicU64,
    /// When the CPU compares next.
    next: AtomicU64,
}

impl Load {
    pub(super) fn new() -> Self {
        Self {
            weight: AtomicU32::new(0),
            until: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }

    fn get(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// A poll that took so long has ended, beside ready tasks of that weight. Before it the CPU was
    /// idle since the last one.
    pub(super) fn add(&self, weight: usize, ns: u64, now: u64) {
        let began = now.saturating_sub(ns);
        let idle = began.saturating_sub(self.until.load(Ordering::Relaxed));
        self.until.store(now, Ordering::Relaxed);
        let mut load = u64::from(self.get());
        for (weight, ns) in [(0, idle), (weight as u64, ns)] {
            let part = ns.min(WINDOW);
            load = (load * (WINDOW - part) + weight * part) / WINDOW;
        }
        let load = load.min(u32::MAX.into()) as u32;
        self.weight.store(load, Ordering::Relaxed);
    }

    fn change(&self, by: impl Fn(u32) -> u32) {
        self.weight.store(by(self.get()), Ordering::Relaxed);
    }

    /// Is it time to compare?
    fn is_due(&self, now: u64) -> bool {
        let is_due = now >= self.next.load(Ordering::Relaxed);
        if is_due {
            self.next.store(now + EVERY, Ordering::Relaxed);
        }
        is_due
    }
}

impl<P: Platform> Shared<P> {
    /// Takes a task of the CPU with the most load, if it is time to compare.
    pub(super) fn balance(&self, cpu: usize, worker: &Worker, now: u64) {
        let Some(ours) = worker.fair.as_deref() else {
            return;
        };
        if self.workers.len() == 1 || !ours.load.is_due(now) {
            return;
        }
        let others = self.workers.iter().enumerate();
        let others = others.filter_map(|(other, worker)| Some((other, worker.fair.as_deref()?)));
        let busiest = others
            .filter(|&(other, fair)| other != cpu && fair.has_stealable())
            .max_by_key(|(_, fair)| fair.load.get());
        let Some((victim, theirs)) = busiest else {
            return;
        };
        let more = theirs.load.get().saturating_sub(ours.load.get());
        // It has to be less than the difference by some, or the task would go back and forth.
        let Some((task, weight)) = theirs.steal_lighter(ours, more / 5 * 4) else {
            return;
        };
        theirs.load.change(|load| load.saturating_sub(weight));
        ours.load.change(|load| load.saturating_add(weight));
        worker.tally.steals.add(1);
        worker.tally.stolen.add(1);
        self.platform.stole(victim, 1);
        ours.push(task, false);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_an_average_and_idle_time_counts() {
        let load = Load::new();
        load.add(4096, WINDOW / 2, WINDOW);
        assert_eq!(load.get(), 2048);
        load.add(4096, WINDOW, 2 * WINDOW);
        assert_eq!(load.get(), 4096);
        load.add(4096, WINDOW / 4, 3 * WINDOW);
        assert_eq!(load.get(), 1792);
    }
}
