//! Makes a workload that fails smaller while it still fails: fewer CPUs, fewer threads and
//! processes, fewer operations.
//!
//! With an operation less the same seed gives another order, so each candidate is tried with
//! several; what counts is that it can fail, not how.

use super::plan::Plan;
use super::{Run, simulate};

/// Orders in which a candidate is tried.
const ORDERS: u64 = 24;
/// Runs after which what has been reached is good enough.
const RUNS: usize = 6000;

/// A workload, and an order in which it fails.
pub struct Small {
    pub plan: Plan,
    pub order: u64,
}

/// The smallest workload that is found to fail, from one that fails with the order `order`.
pub fn shrink(plan: Plan, order: u64) -> Small {
    let mut shrinker = Shrinker {
        best: Small { plan, order },
        runs: 0,
    };
    loop {
        let before = shrinker.size();
        shrinker.fewer_cpus();
        shrinker.fewer_threads();
        shrinker.fewer_operations();
        if shrinker.size() == before || shrinker.runs >= RUNS {
            return shrinker.best;
        }
    }
}

struct Shrinker {
    best: Small,
    runs: usize,
}

impl Shrinker {
    fn size(&self) -> (usize, usize) {
        (self.best.plan.cpus, self.best.plan.operations())
    }

    /// Takes the candidate if it fails.
    fn try_out(&mut self, plan: Plan) -> bool {
        let first = self.best.order;
        for order in first..first + ORDERS {
            if self.runs >= RUNS {
                return false;
            }
            self.runs += 1;
            if let Run { wrong: Some(_), .. } = simulate(&plan, order, false) {
                self.best = Small { plan, order };
                return true;
            }
        }
        false
    }

    fn fewer_cpus(&mut self) {
        for cpus in 1..self.best.plan.cpus {
            let mut plan = self.best.plan.clone();
            plan.cpus = cpus;
            if self.try_out(plan) {
                return;
            }
        }
    }

    /// Without the threads and children that a script starts, with all that they start.
    fn fewer_threads(&mut self) {
        for script in (1..self.best.plan.scripts.len()).rev() {
            if !self.best.plan.scripts[script].is_empty() {
                let mut plan = self.best.plan.clone();
                remove_script(&mut plan, script);
                self.try_out(plan);
            }
        }
    }

    /// Without some operations on end, in each script, fewer and fewer at a time.
    fn fewer_operations(&mut self) {
        for script in 0..self.best.plan.scripts.len() {
            let mut length = self.best.plan.scripts[script].len();
            while length != 0 {
                let mut at = 0;
                while at < self.best.plan.scripts[script].len() {
                    let mut plan = self.best.plan.clone();
                    let end = (at + length).min(plan.scripts[script].len());
                    let gone: Vec<_> = plan.scripts[script].drain(at..end).collect();
                    for started in gone.iter().filter_map(|step| step.operation.starts()) {
                        remove_script(&mut plan, started);
                    }
                    if !self.try_out(plan) {
                        at += length;
                    }
                }
                length /= 2;
            }
        }
    }
}

/// Empties a script and those that it starts, and takes out what starts it.
fn remove_script(plan: &mut Plan, script: usize) {
    let gone = core::mem::take(&mut plan.scripts[script]);
    for started in gone.iter().filter_map(|step| step.operation.starts()) {
        remove_script(plan, started);
    }
    for other in &mut plan.scripts {
        other.retain(|step| step.operation.starts() != Some(script));
    }
}
