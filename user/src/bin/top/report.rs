//! What is shown: the difference between two samples.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Display, Formatter, Write};

use crate::sample::{Sample, Task};

/// The report of what was done between two moments. Its lines may be cut where there is no room.
pub fn of(before: &Sample, now: &Sample) -> String {
    let mut text = String::new();
    // A String takes everything.
    let _ = report(&mut text, before, now);
    text
}

fn report(text: &mut String, before: &Sample, now: &Sample) -> fmt::Result {
    let elapsed = now.time.saturating_sub(before.time).max(1);
    let count = |state| now.tasks.iter().filter(|task| task.state == state).count();
    writeln!(
        text,
        "up {} s, {} CPUs, {} tasks: {} running, {} ready, {} waiting",
        now.time / 1_000_000_000,
        now.cpus.len(),
        now.tasks.len(),
        count("running"),
        count("ready"),
        count("waiting"),
    )?;
    writeln!(
        text,
        "\n  CPU   BUSY%    POLLS   STEALS     IPIS    PARKS   TIMERS  a second"
    )?;
    for cpu in &now.cpus {
        let old = before.cpu(cpu.number);
        // Of counters that have wrapped nothing is known.
        let since = |new: u64, old: Option<u64>| new.saturating_sub(old.unwrap_or(0));
        let rate = |new, old| {
            let more = u128::from(since(new, old)) * 1_000_000_000;
            more / u128::from(elapsed)
        };
        let idle = since(cpu.idle, old.map(|old| old.idle));
        writeln!(
            text,
            "{:>5} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8}",
            cpu.number,
            Percent(elapsed.saturating_sub(idle), elapsed),
            rate(cpu.polls, old.map(|old| old.polls)),
            rate(cpu.steals, old.map(|old| old.steals)),
            rate(cpu.resched_ipis, old.map(|old| old.resched_ipis)),
            rate(cpu.parks, old.map(|old| old.parks)),
            rate(cpu.timers, old.map(|old| old.timers)),
        )?;
    }
    // What matters least is last, where a narrow terminal cuts.
    writeln!(
        text,
        "\n  TASK   PID NAME            STATE   CPU  BUSY%  BUSY-MS    POLLS WAITS FOR      CLASS"
    )?;
    for (busy, task) in busiest(before, now) {
        writeln!(
            text,
            "{:>6} {:>5} {:<15} {:<7} {:>3} {:>6} {:>8} {:>8} {:<14} {}",
            task.id,
            task.pid,
            task.name,
            task.state,
            task.cpu,
            Percent(busy, elapsed),
            task.busy / 1_000_000,
            task.polls,
            task.waits_for,
            task.class,
        )?;
    }
    writeln!(text)
}

/// The tasks with the time that each kept a CPU, those first that did so longest.
fn busiest<'a>(before: &Sample, now: &'a Sample) -> Vec<(u64, &'a Task)> {
    let busy = |task: &Task| {
        let old = before.task(task.id).map_or(0, |old| old.busy);
        task.busy.saturating_sub(old)
    };
    let mut tasks: Vec<_> = now.tasks.iter().map(|task| (busy(task), task)).collect();
    tasks.sort_by_key(|&(busy, task)| (core::cmp::Reverse(busy), task.id));
    tasks
}

/// A share with one decimal.
struct Percent(u64, u64);

impl Display for Percent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tenths = u128::from(self.0) * 1000 / u128::from(self.1.max(1));
        let width = f.width().unwrap_or(0).saturating_sub(2);
        write!(f, "{:>width$}.{}", tenths / 10, tenths % 10)
    }
}
