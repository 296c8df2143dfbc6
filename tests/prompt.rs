//! The machine while nobody asks anything of it.

use std::thread;
use std::time::Duration;

use tests::{Boot, PROMPT};

/// An idle kernel uses less than this share of one host CPU.
const IDLE_SHARE: f64 = 0.05;

/// Rule E3: a CPU without work halts. Four CPUs at the prompt, seen from the
/// host.
#[test]
fn an_idle_machine_burns_no_host_cpu() {
    const WATCHED: Duration = Duration::from_secs(5);
    let mut machine = Boot::new().cpus(4).start();
    machine.wait_for(PROMPT);
    println!("from the start of QEMU to the prompt: {:?}", machine.age());
    // What the boot left to do.
    thread::sleep(Duration::from_millis(500));
    let Some(before) = machine.cpu_time() else {
        println!("not checked: this host does not tell CPU times as Linux does");
        return;
    };
    thread::sleep(WATCHED);
    let used = machine
        .cpu_time()
        .unwrap_or_default()
        .saturating_sub(before);
    let share = used.as_secs_f64() / WATCHED.as_secs_f64();
    println!("idle at the prompt: {:.1} % of a host CPU", share * 100.0);
    machine.send("exit\n");
    let outcome = machine.end();
    outcome.assert_status(0);
    outcome.assert(share < IDLE_SHARE, "less than 5 % of a host CPU in use");
}

/// A sleeping program does not keep its CPU from halting either, and it wakes.
#[test]
fn sleep_ends_when_it_should_and_leaves_the_cpu_idle() {
    let outcome = Boot::new().exec("spin 1").run();
    outcome.assert_status(0);
    outcome.assert(outcome.took() > Duration::from_secs(1), "a second to pass");
}
