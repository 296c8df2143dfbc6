//! Memory as seen from outside: how much there is, and what happens without any.

use tests::{Boot, PROMPT};

/// What is not free at the prompt of a machine with 128 MiB: the kernel with all
/// its tables, the root file system, the shell, and what the firmware keeps.
#[test]
fn the_kernel_uses_less_than_16_mib_at_the_prompt() {
    const MEMORY: u64 = 128 << 20;
    let mut machine = Boot::new().memory("128M").start();
    machine.wait_for(PROMPT);
    let table = machine.command("free");
    machine.send("exit\n");
    let outcome = machine.end();
    outcome.assert_status(0);
    let number = |line: &str| {
        line.trim()
            .strip_prefix("free ")?
            .strip_suffix(" KiB")?
            .parse()
            .ok()
    };
    let free: Option<u64> = table.lines().find_map(number);
    outcome.assert(free.is_some(), "to be told how much memory is free");
    let used = MEMORY - (free.unwrap_or(0) << 10);
    println!("not free at the prompt: {} KiB", used >> 10);
    outcome.assert(used < 16 << 20, "less than 16 MiB in use");
}

/// Rule M10: out of memory is an error or a kill, and the others go on.
#[test]
fn a_program_that_takes_all_memory_does_not_take_the_others_along() {
    let outcome = Boot::new()
        .memory("64M")
        .exec("memhog; echo ended $?; memhog 8; echo then $?; cowforktest")
        .run();
    outcome.assert_status(0);
    // Refused by an error, or killed: 128 + SIGKILL.
    let console = outcome.console();
    let refused = console.contains("ended 1\n");
    let killed = console.contains("ended 137\n");
    outcome.assert(refused || killed, "an error or SIGKILL for `memhog`");
    if killed {
        outcome.assert_logs("Out of memory: Killed process");
    }
    outcome.assert_shows("memhog: touched 8 MiB\nthen 0\n");
}

#[test]
fn several_programs_at_the_limit_at_once() {
    let outcome = Boot::new()
        .cpus(4)
        .memory("64M")
        .exec("memhog & memhog & memhog & memhog & wait; memhog 8; echo then $?")
        .run();
    outcome.assert_status(0);
    outcome.assert_shows("then 0\n");
}

/// Rule M10 in the middle of everything: each 97th frame cannot be had. What is asked for is
/// tried again or refused, what the programs see is right, and nothing leaks.
#[test]
fn frames_that_cannot_be_had_now_and_then_hurt_nobody() {
    // One of these will not be hit itself.
    let look = "cat /proc/vmstat; cat /proc/vmstat; cat /proc/vmstat";
    let outcome = Boot::new()
        .cpus(4)
        .kernel_arg("fail_allocation", "3000,97")
        .exec(&format!(
            "forkstorm --forkers 4 --seconds 5; {look}; echo over"
        ))
        .run();
    outcome.assert_status(0);
    outcome.assert_shows("mismatches 0\n");
    outcome.assert_shows("over\n");
    let console = outcome.console();
    let failed = console.lines().find_map(|line| {
        line.strip_prefix("allocations_failed ")?
            .trim()
            .parse()
            .ok()
    });
    outcome.assert(failed.is_some_and(|n: u64| n > 50), "many to fail");
}

/// `fork` costs the same whatever the size of the process. The times are printed
/// and not judged: a host that is busy would decide.
#[test]
fn the_cost_of_fork_is_shown() {
    let outcome = Boot::new().memory("1G").exec("forksize").run();
    outcome.assert_status(0);
    outcome.assert_shows("ratio 256 MiB : 1 MiB, fork+exit+wait");
    println!("{}", outcome.console());
}
