//! What a task is given of its CPU: weights and urgent tasks, on a machine whose time is the tasks'
//! own work (rule E6).
#![cfg(not(loom))]

use executor::{Executor, Platform, Share, sync::Notify, yield_now};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;

const MS: u64 = 1_000_000;

thread_local! {
    /// The CPU that this thread plays at the moment.
    static CPU: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[derive(Clone, Default)]
struct Machine(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: AtomicU64,
    preempted: Mutex<Vec<usize>>,
}

// SAFETY: one thread plays all CPUs, and never in the middle of what another one does.
unsafe impl Platform for Machine {
    fn cpu(&self) -> usize {
        CPU.get()
    }

    fn now(&self) -> u64 {
        self.0.now.load(SeqCst)
    }

    fn set_timer(&self, _: Option<u64>) {}

    fn wake_cpu(&self, _: usize) {}

    fn idle(&self) {}

    fn preempt(&self, cpu: usize) {
        self.0.preempted.lock().unwrap().push(cpu);
    }
}

type Runtime = Arc<Executor<Machine>>;

fn machine(cpus: usize) -> (Machine, Runtime) {
    CPU.set(0);
    let machine = Machine::default();
    (machine.clone(), Arc::new(Executor::fair(machine, cpus)))
}

/// The task that polls gets this share.
async fn becomes(executor: &Runtime, share: Share) {
    poll_fn(|context| {
        executor.set_share(context, share);
        Poll::Ready(())
    })
    .await;
}

/// Starts a task of CPU 0 with a share that works `slice` in each poll; returns what it has worked.
fn spin(machine: &Machine, executor: &Runtime, share: Share, slice: u64) -> Arc<AtomicU64> {
    let worked = Arc::new(AtomicU64::new(0));
    let (machine, counted) = (machine.clone(), worked.clone());
    // A weak one, so that the executor can go.
    let weak = Arc::downgrade(executor);
    let task = async move {
        if let Some(executor) = weak.upgrade() {
            becomes(&executor, share).await;
        }
        loop {
            machine.0.now.fetch_add(slice, SeqCst);
            counted.fetch_add(slice, SeqCst);
            yield_now().await;
        }
    };
    executor.spawn_on(0, "spinner", task).detach();
    worked
}

/// Runs this CPU for that long, or until it has been idle for a while: time is the tasks' work.
fn run_for(executor: &Runtime, ns: u64) {
    let end = executor.now() + ns;
    let (mut last, mut idle) = (0, 0);
    executor.block_on(poll_fn(|context| {
        context.waker().wake_by_ref();
        let now = executor.now();
        idle = if now == last { idle + 1 } else { 0 };
        last = now;
        match now < end && idle < 100 {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }));
}

const NICE_19: Share = Share::Weight(15);
const NICE_MINUS_20: Share = Share::Weight(88761);

fn ratio(of: &AtomicU64, to: &AtomicU64) -> f64 {
    of.load(SeqCst) as f64 / to.load(SeqCst) as f64
}

#[test]
fn time_goes_by_weight() {
    for (share, wanted) in [
        (Share::Weight(2048), 2.0),
        (Share::Weight(335), 335.0 / 1024.0),
        (NICE_19, 15.0 / 1024.0),
        (Share::Weight(3), 3.0 / 1024.0),
    ] {
        let (machine, executor) = machine(1);
        let other = spin(&machine, &executor, share, 10 * MS);
        let usual = spin(&machine, &executor, Share::ORDINARY, 10 * MS);
        run_for(&executor, 60_000 * MS);
        let got = ratio(&other, &usual);
        assert!((0.9..1.12).contains(&(got / wanted)), "{share:?}: {got}");
    }
}

#[test]
fn the_extremes_share_by_weight_too() {
    let (machine, executor) = machine(1);
    let light = spin(&machine, &executor, NICE_19, 10 * MS);
    let heavy = spin(&machine, &executor, NICE_MINUS_20, 10 * MS);
    run_for(&executor, 300_000 * MS);
    let got = ratio(&heavy, &light);
    assert!((4_500.0..7_500.0).contains(&got), "{got}");
}

#[test]
fn many_light_tasks_share_among_each_other() {
    let (machine, executor) = machine(1);
    let spin = |share| spin(&machine, &executor, share, MS);
    let light: Vec<_> = (0..8).map(|_| spin(NICE_19)).collect();
    let usual = spin(Share::ORDINARY);
    run_for(&executor, 60_000 * MS);
    for one in light {
        let got = ratio(&one, &usual) * 1024.0 / 15.0;
        assert!((0.8..1.25).contains(&got), "{got}");
    }
}

#[test]
fn an_urgent_task_leaves_a_twentieth_to_the_others() {
    let (machine, executor) = machine(1);
    let urgent = Share::Urgent {
        level: 1,
        takes_turns: false,
    };
    let usual = spin(&machine, &executor, NICE_MINUS_20, 10 * MS);
    let urgent = spin(&machine, &executor, urgent, 10 * MS);
    run_for(&executor, 20_000 * MS);
    let got = ratio(&usual, &urgent);
    assert!((0.04..0.07).contains(&got), "{got}");
}

/// Two tasks of one level, which work for 10 ms a poll: in which order they do.
fn order_of_equals(takes_turns: bool, gives_turn: bool, polls: usize) -> String {
    let (machine, executor) = machine(1);
    let share = Share::Urgent {
        level: 5,
        takes_turns,
    };
    let order = Arc::new(Mutex::new(String::new()));
    let start = Arc::new(Notify::new());
    for name in ["a", "b"] {
        let (weak, order, machine) = (Arc::downgrade(&executor), order.clone(), machine.clone());
        let start = start.clone();
        let task = async move {
            becomes(&weak.upgrade().unwrap(), share).await;
            start.notified().await;
            for _ in 0..polls {
                order.lock().unwrap().push_str(name);
                machine.0.now.fetch_add(10 * MS, SeqCst);
                if gives_turn {
                    weak.upgrade().unwrap().give_turn();
                }
                yield_now().await;
            }
        };
        executor.spawn_on(0, name, task).detach();
    }
    run_for(&executor, MS);
    start.notify_waiters();
    run_for(&executor, 2 * polls as u64 * 10 * MS + MS);
    order.lock().unwrap().clone()
}

#[test]
fn urgent_tasks_take_turns_only_if_they_are_to() {
    assert_eq!(
        order_of_equals(false, false, 20),
        ["a"; 20].concat() + &["b"; 20].concat()
    );
    assert_eq!(
        order_of_equals(true, false, 20),
        ["a", "b", "a", "b"].map(|name| name.repeat(10)).concat()
    );
}

#[test]
fn a_task_that_gives_its_turn_goes_behind_its_equals() {
    assert_eq!(order_of_equals(false, true, 3), "ababab");
}

/// A task of this share waits on CPU 0, and CPU 1 wakes it while one of the other share runs there.
fn preempts(woken: Share, running: Share) -> bool {
    let (machine, executor) = machine(2);
    let notify = Arc::new(Notify::new());
    let (wakes, inner) = (notify.clone(), executor.clone());
    let woken = executor.spawn_on(0, "woken", async move {
        becomes(&inner, woken).await;
        wakes.notified().await;
    });
    run_for(&executor, MS);
    let inner = executor.clone();
    let worker = machine.clone();
    let running = executor.spawn_on(0, "running", async move {
        becomes(&inner, running).await;
        worker.0.now.fetch_add(5 * MS, SeqCst);
        CPU.set(1);
        notify.notify_one();
        CPU.set(0);
    });
    executor.block_on(async {
        running.await.unwrap();
        woken.await.unwrap();
    });
    let preempted = machine.0.preempted.lock().unwrap().clone();
    preempted == [0]
}

#[test]
fn the_more_urgent_preempts() {
    let urgent = |level| Share::Urgent {
        level,
        takes_turns: false,
    };
    assert!(preempts(urgent(1), Share::ORDINARY));
    assert!(preempts(urgent(2), urgent(1)));
    assert!(!preempts(urgent(1), urgent(1)));
    assert!(!preempts(urgent(1), urgent(2)));
    assert!(!preempts(NICE_MINUS_20, urgent(1)));
}

#[test]
fn a_cpu_fetches_an_urgent_task_that_waits_behind_another() {
    let (machine, executor) = machine(2);
    let weak = Arc::downgrade(&executor);
    let (runs_on, counted) = (
        Arc::new(AtomicUsize::new(usize::MAX)),
        Arc::new(Notify::new()),
    );
    let (seen, wakes) = (runs_on.clone(), counted.clone());
    let waits = async move {
        let share = Share::Urgent {
            level: 1,
            takes_turns: false,
        };
        becomes(&weak.upgrade().unwrap(), share).await;
        wakes.notified().await;
        seen.store(CPU.get(), SeqCst);
    };
    executor.spawn("waits", waits).detach();
    run_for(&executor, MS);
    let weak = Arc::downgrade(&executor);
    let worker = machine.clone();
    let running = executor.spawn_on(0, "more urgent", async move {
        let share = Share::Urgent {
            level: 2,
            takes_turns: false,
        };
        becomes(&weak.upgrade().unwrap(), share).await;
        counted.notify_one();
        CPU.set(1);
        let executor = weak.upgrade().unwrap();
        spin(&worker, &executor, Share::ORDINARY, MS);
        executor.block_on(yield_now());
        executor.block_on(yield_now());
        CPU.set(0);
    });
    executor.block_on(running).unwrap();
    assert_eq!(runs_on.load(SeqCst), 1);
}
