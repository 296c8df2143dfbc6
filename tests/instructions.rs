//! What cowfork's operations cost, counted in guest instructions: a regression shows
//! without a quiet machine, and to the digit.

use boot::bench::counts;
use boot::bench::report::Unit;
use tests::{Boot, count_instructions};

/// To accept new counts: `cargo bootimage bench --count --update`.
#[test]
fn no_operation_takes_many_more_instructions_than_the_file_says() {
    let (tree, now) = count_instructions();
    let complaints = counts::complaints(&tree, &now);
    assert!(
        complaints.is_empty(),
        "{}\nIf this is meant to be: cargo bootimage bench --count --update",
        complaints.join("\n")
    );
}

/// Every benchmark, by time: each comes to its end and says what it measured. The
/// times are printed and not judged: a host that is busy would decide.
#[test]
fn the_benchmarks_run_on_four_cpus() {
    let outcome = Boot::new()
        .cpus(4)
        // Enough for the benchmark with a thousand children.
        .memory("2G")
        .exec("forkbench --quick --lines; forkbench --list")
        .run();
    outcome.assert_status(0);
    let console = outcome.console();
    let report = boot::bench::report::Report::parse(&console);
    let report = report.unwrap_or_else(|error| panic!("{error}: {console}"));
    // The list has benchmarks at the start of the line, and their metrics indented.
    let (_, list) = console.split_once("\nend 0\n").unwrap_or_default();
    let metrics = list.lines().filter_map(|line| line.strip_prefix("    "));
    for name in metrics {
        let metric = report.get(name);
        outcome.assert(metric.is_some(), &format!("{name} to be measured"));
    }
    let fork = report.get("fork-wait.256M").map(|metric| metric.unit);
    assert_eq!(fork, Some(Unit::Nanoseconds));
    println!("{console}");
}
