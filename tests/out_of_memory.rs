//! When memory runs out: no program stops the machine, and what it took comes back.
//!
//! `oomstorm` is the judge (`user/src/bin/oomstorm`): hogs take all there is of something, and a
//! prober that forks, executes, creates and removes is never killed, and works again within a
//! second of their death. Each kind of hog is run alone, then all of them in random order.

use std::time::Duration;

use tests::{Boot, Outcome};

/// More than any of these machines has: what a hog takes is bounded by the machine.
const ALL_MEMORY: &str = "--limit 4096";

/// The kinds of `oomstorm --list`.
const KINDS: usize = 12;

/// The machine was useful all the while, and free memory is within 2 % of what it was.
fn assert_recovered(outcome: &Outcome) {
    let console = outcome.console();
    outcome.assert(!console.contains("FAILED"), "no failure of the storm");
    let numbers = |name: &str| {
        let lines = console.lines().filter_map(|line| line.strip_prefix(name));
        let number = |line: &str| line.trim().trim_end_matches(" KiB").parse::<u64>().ok();
        lines.filter_map(number).collect::<Vec<_>>()
    };
    let (before, after) = (numbers("free before "), numbers("free after "));
    outcome.assert(!after.is_empty(), "to be told how much memory is free");
    for (before, after) in before.iter().zip(&after) {
        let lost = before.saturating_sub(*after);
        outcome.assert(
            lost <= before / 50,
            &format!("{before} KiB to be free again, not {after}"),
        );
    }
}

fn each_kind(cpus: usize, memory: &str) {
    let run = |kind| {
        format!("oomstorm --seconds 2 --kind {kind} {ALL_MEMORY}; echo status of {kind}: $?; ")
    };
    let all: String = (1..=KINDS).map(run).collect();
    let outcome = Boot::new()
        .cpus(cpus)
        .memory(memory)
        .exec(&format!("oomstorm --list; {all}"))
        .timeout(Duration::from_secs(300))
        .run();
    outcome.assert_status(0);
    for kind in 1..=KINDS {
        outcome.assert_shows(&format!("status of {kind}: 0\n"));
    }
    let unlisted = format!("\n{} ", KINDS + 1);
    outcome.assert(
        !outcome.console().contains(&unlisted),
        "this test to know all kinds",
    );
    assert_recovered(&outcome);
}

fn all_kinds(cpus: usize, memory: &str) {
    let outcome = Boot::new()
        .cpus(cpus)
        .memory(memory)
        .exec(&format!("oomstorm --seconds 60 --hogs 6 {ALL_MEMORY}"))
        .timeout(Duration::from_secs(240))
        .run();
    println!("{}", outcome.console());
    outcome.assert_status(0);
    assert_recovered(&outcome);
}

#[test]
#[ignore = "not yet reliable: the OOM killer may choose the prober, and free memory does not come back to 2 %"]
fn each_kind_on_one_cpu_in_64_mib() {
    each_kind(1, "64M");
}

#[test]
#[ignore = "not yet reliable: the OOM killer may choose the prober, and free memory does not come back to 2 %"]
fn each_kind_on_four_cpus_in_64_mib() {
    each_kind(4, "64M");
}

#[test]
#[ignore = "not yet reliable: the OOM killer may choose the prober, and free memory does not come back to 2 %"]
fn each_kind_on_one_cpu_in_512_mib() {
    each_kind(1, "512M");
}

#[test]
#[ignore = "not yet reliable: the OOM killer may choose the prober, and free memory does not come back to 2 %"]
fn each_kind_on_four_cpus_in_512_mib() {
    each_kind(4, "512M");
}

#[test]
#[ignore = "not yet reliable: the OOM killer may choose the prober, and free memory does not come back to 2 %"]
fn all_kinds_at_once_in_64_mib() {
    all_kinds(4, "64M");
}

#[test]
#[ignore = "not yet reliable: the OOM killer may choose the prober, and free memory does not come back to 2 %"]
fn all_kinds_at_once_in_512_mib() {
    all_kinds(4, "512M");
}
