//! Guest instructions an operation: numbers without noise.
//!
//! QEMU's `-icount shift=0` lets the machine's clock go on by a nanosecond with
//! each instruction, so the time-stamp counter counts instructions, and with one
//! CPU, a fixed seed and a fixed date a run repeats to the digit. The counts of
//! cowfork are kept in the tree; a test holds that none grows by more than
//! [`TOLERANCE`] unless the file is changed with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::bench::bars;
use crate::bench::guest::{Guest, Setting};
use crate::bench::linux::Linux;
use crate::bench::options::Bench;
use crate::bench::report::Report;
use crate::bench::round::Machine;
use crate::bench::table::{Align, Table, grouped};
use crate::bench::{document, json};
use crate::error::{Doing, Error, Result};
use crate::progress::note;
use crate::workspace::Workspace;

/// By how much a count may be above the one in the tree.
pub const TOLERANCE: f64 = 0.10;

/// The one machine that is counted in.
///
/// Without x2APIC: QEMU 10 stops with "Bad icount read" when a guest writes the
/// APIC's timer by its register instruction, after which it cannot tell the time
/// in the middle of a translated block.
const MACHINE: &[&str] = &[
    "-smp",
    "1",
    "-m",
    "1G",
    "-cpu",
    "max,-erms,-fsrm,-x2apic",
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=0,sleep=off",
    "-rtc",
    "base=2020-01-01,clock=vm",
    "-seed",
    "1",
];

/// Where things are, without chance: the first word that is not a command is read
/// by Linux's loader, which looks for it all over the command line.
const COMMAND: &str = ": nokaslr ; forkbench --count --lines";

/// The file in the tree.
#[must_use]
pub fn file(workspace: &Workspace) -> PathBuf {
    workspace.root().join("tests/instructions.txt")
}

/// Counts by name of the operation.
pub type Counts = BTreeMap<String, u64>;

/// Counts what cowfork's operations take.
pub fn count(workspace: &Workspace, only: &[String], timeout: Duration) -> Result<Report> {
    let machine = Machine::new(workspace, timeout)?;
    count_in(&machine, Guest::Cowfork, only)
}

fn count_in(machine: &Machine, guest: Guest, only: &[String]) -> Result<Report> {
    let mut command = COMMAND.to_owned();
    for name in only {
        command.push_str(&format!(" --only {name}"));
    }
    let qemu: Vec<String> = MACHINE.iter().map(|word| (*word).into()).collect();
    let title = format!("Counting the instructions of {}", guest.name());
    machine.boot(guest, &qemu, &command, &title)
}

/// The medians of a report.
#[must_use]
pub fn counts(report: &Report) -> Counts {
    let metrics = report.metrics.iter();
    metrics
        .map(|metric| (metric.name.clone(), metric.median().round() as u64))
        .collect()
}

/// The counts in the tree.
pub fn read(workspace: &Workspace) -> Result<Counts> {
    let path = file(workspace);
    let text = fs::read_to_string(&path).on("read", &path)?;
    parse(&text).ok_or_else(|| Error::Malformed(format!("{}: not understood", path.display())))
}

fn parse(text: &str) -> Option<Counts> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, count) = line.split_once(char::is_whitespace)?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        })
        .collect()
}

fn text(report: &Report) -> String {
    let mut text = String::from(
        "# Guest instructions an operation, as `cargo bootimage bench --count` counts them.\n\
         # A test fails when one grows by more than 10 %. To accept what is counted now:\n\
         #     cargo bootimage bench --count --update\n",
    );
    let counts = counts(report);
    for metric in &report.metrics {
        let count = counts.get(&metric.name).copied().unwrap_or(0);
        text.push_str(&format!("{:<22} {count:>10}\n", metric.name));
    }
    text
}

/// What is wrong with `now`, compared with what is in the tree: an operation that
/// takes more than it may, or that is not the same set of operations.
#[must_use]
pub fn complaints(tree: &Counts, now: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, count) in now {
        match tree.get(name) {
            None => complaints.push(format!("{name} is not in the file")),
            Some(old) if has_grown(*old, *count) => complaints.push(format!(
                "{name}: {} instructions, {} in the file",
                grouped(*count),
                grouped(*old)
            )),
            Some(_) => {}
        }
    }
    let gone = tree.keys().filter(|name| !now.contains_key(*name));
    complaints.extend(gone.map(|name| format!("{name} is in the file and was not counted")));
    complaints
}

fn has_grown(old: u64, now: u64) -> bool {
    // A count of a few instructions is not judged by single ones.
    const SLACK: f64 = 10.0;
    now as f64 > old as f64 * (1.0 + TOLERANCE) + SLACK
}

/// `bench --count`.
pub fn run(workspace: &Workspace, bench: &Bench) -> Result<u8> {
    let machine = Machine::new(workspace, bench.timeout)?;
    let ours = count_in(&machine, Guest::Cowfork, &bench.only)?;
    let linux = if bench.vs_linux() {
        let linux = match &bench.linux_kernel {
            Some(file) => Linux::at(file)?,
            None => Linux::debian(workspace)?,
        };
        let mut reports = Vec::new();
        for setting in [Setting::AsBooted, Setting::Bare] {
            let guest = Guest::Linux(&linux, setting);
            reports.push((guest.name(), count_in(&machine, guest, &bench.only)?));
        }
        reports
    } else {
        Vec::new()
    };
    let tree = read(workspace).unwrap_or_default();
    let table = table(&ours, &linux, &tree);
    print!("{}", table.text());
    if let Some(path) = &bench.json {
        json::write_counts(path, &machine.qemu_version(), &ours, &linux)?;
    }
    if bench.document {
        document::write_counts(workspace, &machine.qemu_version(), &table)?;
    }
    if bench.update {
        let path = file(workspace);
        fs::write(&path, text(&ours)).on("write", &path)?;
        note(&format!("written: {}", workspace.short(&path).display()));
        return Ok(0);
    }
    let mut tree = tree;
    if !bench.only.is_empty() {
        tree.retain(|name, _| ours.get(name).is_some());
    }
    let complaints = complaints(&tree, &counts(&ours));
    for complaint in &complaints {
        note(complaint);
    }
    Ok(u8::from(!complaints.is_empty()))
}

fn table(ours: &Report, linux: &[(String, Report)], tree: &Counts) -> Table {
    let mut table = Table::new();
    table.column("guest instructions", Align::Left);
    table.column("in the file", Align::Right);
    table.column("cowfork", Align::Right);
    for (name, _) in linux {
        table.column(name, Align::Right);
        table.column("ratio", Align::Right);
    }
    if !linux.is_empty() {
        table.column("wanted", Align::Left);
    }
    for metric in &ours.metrics {
        let count = metric.median();
        let mut row = vec![
            metric.name.clone(),
            tree.get(&metric.name)
                .map_or("-".into(), |old| grouped(*old)),
            grouped(count.round() as u64),
        ];
        let mut ratios = Vec::new();
        for (_, report) in linux {
            let theirs = report.get(&metric.name).map(|metric| metric.median());
            row.push(theirs.map_or("-".into(), |theirs| grouped(theirs.round() as u64)));
            let ratio = theirs.map(|theirs| theirs / count.max(1.0));
            row.push(ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
            ratios.extend(ratio);
        }
        if !linux.is_empty() {
            row.push(bars::verdict(bars::count(&metric.name), &ratios));
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        let pairs = pairs.iter();
        pairs
            .map(|(name, count)| (String::from(*name), *count))
            .collect()
    }

    #[test]
    fn the_file_is_read_as_it_is_written() {
        let report = Report::parse(
            "metric fork.0M ticks n=1 mean=9.0 p50=1234.4\n\
             metric cow.copy ticks n=1 mean=9.0 p50=99.6\nend 0\n",
        )
        .expect("a report");
        let read = parse(&text(&report)).expect("counts");
        assert_eq!(read, counts(&[("fork.0M", 1234), ("cow.copy", 100)]));
        assert_eq!(parse("fork.0M many\n"), None);
    }

    #[test]
    fn growth_is_complained_of_and_shrinking_is_not() {
        let tree = counts(&[("a", 1000), ("b", 1000), ("c", 5)]);
        assert!(complaints(&tree, &counts(&[("a", 1100), ("b", 10), ("c", 9)])).is_empty());
        let grown = complaints(&tree, &counts(&[("a", 1120), ("b", 1000), ("c", 5)]));
        assert_eq!(grown, ["a: 1,120 instructions, 1,000 in the file"]);
    }

    #[test]
    fn file_and_benchmark_must_name_the_same_operations() {
        let tree = counts(&[("a", 1), ("b", 1)]);
        let complaints = complaints(&tree, &counts(&[("a", 1), ("c", 1)]));
        assert_eq!(
            complaints,
            [
                "c is not in the file",
                "b is in the file and was not counted"
            ]
        );
    }
}
