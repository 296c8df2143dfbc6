//! CPU time is shared, not turns: the fair policy on a machine whose time is the tasks' own
//! (rule E6).
#![cfg(not(loom))]

use executor::{Executor, Platform, sync::Notify, yield_now};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;

const MS: u64 = 1_000_000;

thread_local! {
    /// The CPU that this thread plays at the moment.
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// A machine on whose clock only the tasks' own work counts. It halts to the next timer.
#[derive(Clone, Default)]
struct Machine(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: AtomicU64,
    timer: Mutex<Option<u64>>,
    preempted: Mutex<Vec<usize>>,
}

impl Machine {
    fn work(&self, ns: u64) {
        self.0.now.fetch_add(ns, SeqCst);
    }

    fn preempted(&self) -> Vec<usize> {
        std::mem::take(&mut *self.0.preempted.lock().unwrap())
    }
}

// SAFETY: one thread plays all CPUs, and never in the middle of what another one does.
unsafe impl Platform for Machine {
    fn cpu(&self) -> usize {
        CPU.get()
    }

    fn now(&self) -> u64 {
        self.0.now.load(SeqCst)
    }

    fn set_timer(&self, deadline: Option<u64>) {
        *self.0.timer.lock().unwrap() = deadline;
    }

    fn wake_cpu(&self, _: usize) {}

    fn idle(&self) {
        let deadline = self.0.timer.lock().unwrap().take();
        let deadline = deadline.expect("an idle machine has no way on");
        self.0.now.fetch_max(deadline, SeqCst);
    }

    fn preempt(&self, cpu: usize) {
        self.0.preempted.lock().unwrap().push(cpu);
    }
}

fn machine(cpus: usize) -> (Machine, Arc<Executor<Machine>>) {
    CPU.set(0);
    let machine = Machine::default();
    (machine.clone(), Arc::new(Executor::fair(machine, cpus)))
}

/// A task that works `slice` in each poll, and what it has worked.
fn spinner(
    machine: &Machine,
    slice: u64,
) -> (impl Future<Output = ()> + Send + use<>, Arc<AtomicU64>) {
    let (machine, worked) = (machine.clone(), Arc::new(AtomicU64::new(0)));
    let counted = worked.clone();
    let work = async move {
        loop {
            machine.work(slice);
            counted.fetch_add(slice, SeqCst);
            yield_now().await;
        }
    };
    (work, worked)
}

/// Runs this CPU for that long.
fn run_for(executor: &Executor<Machine>, ns: u64) {
    let end = executor.now() + ns;
    executor.block_on(poll_fn(|context| {
        context.waker().wake_by_ref();
        if executor.now() < end {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
}

fn assert_shares(worked: &[(&AtomicU64, f64)]) {
    let total: u64 = worked.iter().map(|(worked, _)| worked.load(SeqCst)).sum();
    for (index, (worked, share)) in worked.iter().enumerate() {
        let got = worked.load(SeqCst) as f64 / total as f64;
        assert!(
            (got - share).abs() < 0.05,
            "task {index} has {got:.2} of the time"
        );
    }
}

#[test]
fn a_task_that_yields_early_keeps_its_share() {
    let (machine, executor) = machine(1);
    let (long, long_worked) = spinner(&machine, 10 * MS);
    let (short, short_worked) = spinner(&machine, MS / 10);
    executor.spawn("long", long).detach();
    executor.spawn("short", short).detach();
    run_for(&executor, 2_000 * MS);
    assert_shares(&[(&long_worked, 0.5), (&short_worked, 0.5)]);
}

#[test]
fn pinned_and_kept_tasks_share_with_the_others() {
    let (machine, executor) = machine(1);
    let (first, first_worked) = spinner(&machine, 10 * MS);
    let (second, second_worked) = spinner(&machine, MS);
    let (third, third_worked) = spinner(&machine, MS / 5);
    executor.spawn_on(0, "pinned", first).detach();
    executor.spawn_on(0, "pinned", second).detach();
    executor.spawn("free", third).detach();
    run_for(&executor, 3_000 * MS);
    let third = 1.0 / 3.0;
    assert_shares(&[
        (&first_worked, third),
        (&second_worked, third),
        (&third_worked, third),
    ]);
}

#[test]
fn a_background_task_counts_eightfold() {
    let (machine, executor) = machine(1);
    let (front, front_worked) = spinner(&machine, MS);
    let (back, back_worked) = spinner(&machine, MS);
    executor.spawn("front", front).detach();
    executor.spawn_background("back", back).detach();
    run_for(&executor, 3_000 * MS);
    assert_shares(&[(&front_worked, 8.0 / 9.0), (&back_worked, 1.0 / 9.0)]);
}

#[test]
fn a_sleep_gives_no_credit() {
    let (machine, executor) = machine(1);
    let (spin, spin_worked) = spinner(&machine, MS);
    executor.spawn("spinner", spin).detach();
    let (late, late_worked) = spinner(&machine, MS);
    let inner = executor.clone();
    let late = executor.spawn("sleeper", async move {
        inner.sleep(1_000 * MS).await;
        late.await;
    });
    run_for(&executor, 1_000 * MS);
    spin_worked.store(0, SeqCst);
    run_for(&executor, 1_000 * MS);
    assert_shares(&[(&spin_worked, 0.5), (&late_worked, 0.5)]);
    // It holds the executor.
    late.abort();
    executor.block_on(yield_now());
}

/// Two CPUs: `woken` waits on CPU 0, and CPU 1 wakes it when the running task has worked for
/// `ns` there. Returns which CPUs were to preempt.
fn wake_beside_a_task_that_worked(ns: u64) -> Vec<usize> {
    let (machine, executor) = machine(2);
    let notify = Arc::new(Notify::new());
    let wakes = notify.clone();
    let woken = executor.spawn_on(0, "woken", async move { wakes.notified().await });
    run_for(&executor, 0);
    let worker = machine.clone();
    let running = executor.spawn_on(0, "running", async move {
        worker.work(ns);
        CPU.set(1);
        notify.notify_one();
        CPU.set(0);
    });
    executor.block_on(async {
        running.await.unwrap();
        woken.await.unwrap();
    });
    machine.preempted()
}

#[test]
fn a_wake_up_preempts_a_task_that_has_had_more() {
    assert_eq!(wake_beside_a_task_that_worked(5 * MS), [0]);
    assert_eq!(wake_beside_a_task_that_worked(1_000), []);
}

#[test]
fn many_that_sleep_most_of_the_time_keep_none_waiting() {
    let (machine, executor) = machine(1);
    let ring: Arc<Vec<Notify>> = Arc::new((0..200).map(|_| Notify::new()).collect());
    let in_turn = Arc::new(AtomicU64::new(0));
    for index in 0..ring.len() {
        let (ring, machine, worked) = (ring.clone(), machine.clone(), in_turn.clone());
        let one = async move {
            loop {
                ring[index].notified().await;
                machine.work(MS / 20);
                worked.fetch_add(MS / 20, SeqCst);
                ring[(index + 1) % ring.len()].notify_one();
            }
        };
        executor.spawn("in turn", one).detach();
    }
    let (spin, spin_worked) = spinner(&machine, MS);
    executor.spawn("spinner", spin).detach();
    // It is ahead of them when they begin.
    run_for(&executor, 100 * MS);
    spin_worked.store(0, SeqCst);
    in_turn.store(0, SeqCst);
    ring[0].notify_one();
    run_for(&executor, 100 * MS);
    assert_shares(&[(&spin_worked, 0.5), (&in_turn, 0.5)]);
}

#[test]
fn an_outside_spawn_runs_beside_tasks_that_are_always_ready() {
    let (machine, executor) = machine(1);
    for _ in 0..3 {
        executor.spawn("spinner", spinner(&machine, MS).0).detach();
    }
    run_for(&executor, 100 * MS);
    CPU.set(usize::MAX);
    let outside = executor.spawn("outside", async {});
    CPU.set(0);
    run_for(&executor, 40 * MS);
    assert!(outside.is_finished());
}

#[test]
fn a_stolen_task_keeps_its_share_on_its_new_cpu() {
    let (machine, executor) = machine(2);
    // CPU 0 is far ahead of CPU 1.
    let (far, _) = spinner(&machine, MS);
    executor.spawn_on(0, "far", far).detach();
    run_for(&executor, 5_000 * MS);
    let (free, free_worked) = spinner(&machine, MS);
    executor.spawn("free", free).detach();
    run_for(&executor, 100 * MS);
    // CPU 1 steals it, and has a task of its own.
    CPU.set(1);
    run_for(&executor, 10 * MS);
    let (own, own_worked) = spinner(&machine, MS);
    executor.spawn_on(1, "own", own).detach();
    free_worked.store(0, SeqCst);
    run_for(&executor, 1_000 * MS);
    assert_shares(&[(&own_worked, 0.5), (&free_worked, 0.5)]);
}
