//! `cargo bootimage bench` as a person runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use boot::bench::counts;
use boot::workspace::Workspace;
use serde_json::Value;

fn bench(arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boot"));
    command.arg("bench").args(arguments).stdin(Stdio::null());
    let output = command.output().expect("the tool");
    println!("{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{table}");
    (output, table)
}

/// A file that is not there yet.
fn new_file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It is there if an earlier run was stopped.
    let _ = fs::remove_file(&path);
    path
}

/// The columns of a metric's row.
fn row<'a>(table: &'a str, metric: &str) -> Vec<&'a str> {
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.first() == Some(&metric))
        .unwrap_or_default()
}

/// Linux boots in the same machine and runs the same program: it has a time for each
/// operation, and there are ratios, a page, and all the numbers.
#[test]
fn linux_is_measured_beside_cowfork() {
    let (page, numbers) = (new_file("bench.html"), new_file("bench.json"));
    let (html, json) = (
        page.to_str().expect("a name"),
        numbers.to_str().expect("a name"),
    );
    let (output, table) = bench(&[
        "--vs", "linux", "--rounds", "1", "--quick", "--bench", "fork-0", "--bench", "memory",
        "--bench", "snapshot", "--html", html, "--json", json, "--", "-smp", "2",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("kernel cannot be had") {
        println!("not checked: there is no Linux kernel to be had here");
        return;
    }
    assert_eq!(output.status.code(), Some(0));
    for metric in ["fork.0M", "fork-wait.0M", "snapshot.write", "memory.used"] {
        let row = row(&table, metric);
        assert!(row.len() > 5 && !row.contains(&"-"), "{metric}: {row:?}");
    }
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.contains("<svg") && page.contains("fork-wait.0M"));
    let numbers = fs::read_to_string(numbers).expect("the numbers");
    let numbers: Value = serde_json::from_str(&numbers).expect("JSON");
    let kernels = numbers["kernels"].as_array().expect("kernels");
    assert_eq!(kernels.len(), 3);
    for kernel in kernels {
        let metric = &kernel["rounds"][0]["metrics"][1];
        assert!(metric["samples"].as_u64() > Some(10), "{metric}");
    }
    assert!(numbers["ratios"][0]["median"].as_f64() > Some(0.0));
}

/// Counts repeat, so two runs of the same kernel say the same.
#[test]
fn counts_repeat_to_the_digit() {
    let arguments = ["--count", "--bench", "fork-0", "--bench", "cow-copy"];
    let runs = [bench(&arguments).1, bench(&arguments).1];
    assert_eq!(runs[0], runs[1]);
    let count = row(&runs[0], "cow.copy");
    assert_eq!(count.len(), 3, "{count:?}");
}

#[test]
fn the_file_in_the_tree_can_be_read() {
    let counts = counts::read(&Workspace::find().expect("a checkout")).expect("the file");
    assert!(
        counts
            .get("fork-wait.0M")
            .is_some_and(|count| *count > 1000)
    );
}

#[test]
fn a_boot_that_is_not_done_in_time_fails_with_what_it_said() {
    let (output, _) = bench(&["--timeout", "1", "--rounds", "1"]);
    assert_eq!(output.status.code(), Some(69));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("error: cowfork: stopped: not done after 1 s"));
}

#[test]
fn an_unknown_benchmark_is_refused() {
    let (output, _) = bench(&["--bench", "no-such", "--rounds", "1"]);
    assert_eq!(output.status.code(), Some(69));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no-such: not understood"));
}
