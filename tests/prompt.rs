//! The idle machine.

use std::thread;
use std::time::Duration;

use tests::{Boot, Machine, PROMPT};

/// An idle kernel uses less than this share of one host CPU.
const IDLE_SHARE: f64 = 0.05;

/// How long the machine is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// Rule E3: a CPU without work halts.
#[test]
fn an_idle_machine_burns_no_host_cpu() {
    let mut machine = Boot::new().cpus(4).start();
    machine.wait_for(PROMPT);
    println!("from the start of QEMU to the prompt: {:?}", machine.age());
    let share = share_used(&machine);
    machine.send("exit\n");
    let outcome = machine.end();
    outcome.assert_status(0);
    outcome.assert(share < IDLE_SHARE, "less than 5 % of a host CPU in use");
}

/// Nor does one that only waits for time to pass; and it wakes.
#[test]
fn sleeping_programs_burn_no_host_cpu() {
    let mut machine = Boot::new().cpus(4).start();
    machine.wait_for(PROMPT);
    machine.send("sleep 8 & sleep 8 & sleep 8; wait; echo all awake\n");
    machine.wait_for("all awake\r\n");
    let share = share_used(&machine);
    machine.wait_for("\r\nall awake\r\n");
    machine.send("exit\n");
    let outcome = machine.end();
    outcome.assert_status(0);
    outcome.assert(share < IDLE_SHARE, "less than 5 % of a host CPU in use");
    outcome.assert(outcome.took() > Duration::from_secs(8), "8 seconds to pass");
}

/// The share of one host CPU that the machine uses.
fn share_used(machine: &Machine) -> f64 {
    // What was started before has to settle.
    thread::sleep(Duration::from_millis(500));
    let Some(before) = machine.cpu_time() else {
        println!("not checked: this host does not tell CPU times as Linux does");
        return 0.0;
    };
    thread::sleep(WATCHED);
    let used = machine
        .cpu_time()
        .unwrap_or_default()
        .saturating_sub(before);
    let share = used.as_secs_f64() / WATCHED.as_secs_f64();
    println!("idle: {:.1} % of a host CPU", share * 100.0);
    share
}
