//! What happens when the kernel fails, or is not done.

use std::time::Duration;

use boot::verdict::{KERNEL_FAILED, TIMED_OUT, Verdict};
use tests::Boot;

#[test]
fn a_panic_stops_the_machine_with_a_symbolised_backtrace() {
    let outcome = Boot::new()
        .cpus(4)
        .kernel_arg("selftest", "panic")
        .exec("true")
        .run();
    outcome.assert(matches!(outcome.verdict(), Verdict::Panicked(_)), "a panic");
    assert_eq!(outcome.verdict().exit_code(), KERNEL_FAILED);
    outcome.assert_logs("PANIC:");
    outcome.assert_logs("cpu");
    // By name, from the symbols in the root file system.
    outcome.assert_logs("kernel::");
}

#[test]
fn what_is_not_done_in_time_is_stopped() {
    let limit = Duration::from_secs(3);
    let outcome = Boot::new().exec("spin").timeout(limit).run();
    outcome.assert(*outcome.verdict() == Verdict::TimedOut(limit), "a time-out");
    assert_eq!(outcome.verdict().exit_code(), TIMED_OUT);
}

/// PID 1 that dies by a signal is no failure of the kernel.
#[test]
fn a_killed_command_has_its_signal_in_the_status() {
    let outcome = Boot::new().exec("kill -9 $$").run();
    outcome.assert_status(128 + 9);
}

/// Rule E4: a task that keeps its CPU in the kernel is visible.
#[test]
fn a_task_that_does_not_yield_in_the_kernel_is_named() {
    let outcome = Boot::new()
        .cpus(2)
        .kernel_arg("selftest", "stuck")
        .exec("sleep 4")
        .run();
    outcome.assert_status(0);
    outcome.assert_logs("(stuck) has not yielded");
}
