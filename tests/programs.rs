//! The test programs, on every number of CPUs and amount of memory that counts.
//!
//! One boot runs all of them, one after the other: what one leaves behind is the
//! other's start, and the audit at the end covers them all.

use tests::Boot;

const PROGRAMS: &[&str] = &[
    "cowforktest",
    "badaccess",
    "forktest",
    "usertests",
    "threadtest",
    "forkstorm --forkers 8 --seconds 2",
    "forkstorm --forkers 4 --seconds 2 --threads 2",
];

fn all_programs(cpus: usize, memory: &str) {
    let run = |program: &&str| format!("{program}; echo status of {program}: $?; ");
    let all: String = PROGRAMS.iter().map(run).collect();
    let outcome = Boot::new().cpus(cpus).memory(memory).exec(&all).run();
    // Of the last `echo`.
    outcome.assert_status(0);
    for program in PROGRAMS {
        outcome.assert_shows(&format!("status of {program}: 0\n"));
    }
    outcome.assert_shows("mismatches 0\n");
    let console = outcome.console();
    outcome.assert(!console.contains("FAILED"), "no case to fail");
    outcome.assert(
        !console.contains("frames not visible"),
        "physical frames to be compared, not only contents",
    );
}

#[test]
fn one_cpu_in_64_mib() {
    all_programs(1, "64M");
}

#[test]
fn one_cpu_in_512_mib() {
    all_programs(1, "512M");
}

#[test]
fn two_cpus_in_64_mib() {
    all_programs(2, "64M");
}

#[test]
fn two_cpus_in_512_mib() {
    all_programs(2, "512M");
}

#[test]
fn four_cpus_in_64_mib() {
    all_programs(4, "64M");
}

#[test]
fn four_cpus_in_512_mib() {
    all_programs(4, "512M");
}

#[test]
fn eight_cpus_in_64_mib() {
    all_programs(8, "64M");
}

#[test]
fn eight_cpus_in_512_mib() {
    all_programs(8, "512M");
}

/// More CPUs than most hosts have: only that they all come up, and go down.
#[test]
fn sixteen_cpus() {
    let boot = Boot::new().cpus(16).memory("256M");
    let outcome = boot.exec("forkstorm --forkers 16 --seconds 1").run();
    outcome.assert_status(0);
    outcome.assert_shows("mismatches 0\n");
}

#[test]
fn several_gigabytes() {
    let outcome = Boot::new().memory("4G").exec("cowforktest").run();
    outcome.assert_status(0);
}
