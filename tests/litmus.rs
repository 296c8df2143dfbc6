//! The litmus suite: known ways to get copy-on-write and the coherence of translations
//! wrong, raced for a moment each on every number of CPUs. `litmus --all --seconds 60`
//! goes on for longer.

use tests::Boot;

fn all_cases(cpus: usize) {
    let boot = Boot::new().cpus(cpus).memory("512M");
    // For the case that lets allocations fail.
    let boot = boot.kernel_arg("fail_nth", "yes");
    let outcome = boot.exec("litmus --all --milliseconds 300").run();
    outcome.assert_status(0);
    let console = outcome.console();
    outcome.assert(!console.contains("FAILED"), "no case to fail");
    outcome.assert_shows(" passed, 0 failed, 0 skipped\n");
}

#[test]
fn one_cpu() {
    all_cases(1);
}

#[test]
fn two_cpus() {
    all_cases(2);
}

#[test]
fn four_cpus() {
    all_cases(4);
}

#[test]
fn eight_cpus() {
    all_cases(8);
}
