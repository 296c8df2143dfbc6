//! The executor on a machine that is a script: what it asks of the platform,
//! and when (rules E3, E5).
#![cfg(not(loom))]

use executor::sync::{Notify, WaitQueue};
use executor::time::MissedTicks;
use executor::{Executor, Label, Phase, Platform, yield_now};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// What the platform was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Timer(Option<u64>),
    WakeCpu(usize),
    Idle,
}

thread_local! {
    /// The CPU that this thread plays at the moment.
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// A machine of several CPUs on one thread, which plays one CPU at a time. Time
/// stands still but in `idle`, which goes on to the armed timer; without one it
/// runs `without_timer`.
#[derive(Clone)]
struct Script(Arc<Inner>);

struct Inner {
    now: AtomicU64,
    armed: Mutex<Vec<Option<u64>>>,
    asked: Mutex<Vec<Asked>>,
    without_timer: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl Script {
    fn new(cpus: usize) -> Self {
        Self(Arc::new(Inner {
            now: AtomicU64::new(0),
            armed: Mutex::new(vec![None; cpus]),
            asked: Mutex::new(Vec::new()),
            without_timer: Mutex::new(None),
        }))
    }

    fn ask(&self, what: Asked) {
        self.0.asked.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.asked.lock().unwrap())
    }

    fn count(&self, what: Asked) -> usize {
        let asked = self.0.asked.lock().unwrap();
        asked.iter().filter(|&&asked| asked == what).count()
    }

    fn without_timer(&self, then: impl FnMut() + Send + 'static) {
        *self.0.without_timer.lock().unwrap() = Some(Box::new(then));
    }
}

// SAFETY: one thread plays all CPUs, one after the other, and never in the
// middle of what another one does.
unsafe impl Platform for Script {
    fn cpu(&self) -> usize {
        CPU.get()
    }

    fn now(&self) -> u64 {
        self.0.now.load(SeqCst)
    }

    fn set_timer(&self, deadline: Option<u64>) {
        self.ask(Asked::Timer(deadline));
        self.0.armed.lock().unwrap()[CPU.get()] = deadline;
    }

    fn wake_cpu(&self, cpu: usize) {
        self.ask(Asked::WakeCpu(cpu));
    }

    fn idle(&self) {
        self.ask(Asked::Idle);
        let deadline = self.0.armed.lock().unwrap()[CPU.get()].take();
        match deadline {
            Some(deadline) => {
                self.0.now.fetch_max(deadline, SeqCst);
            }
            None => {
                let then = self.0.without_timer.lock().unwrap().take();
                let mut then = then.expect("an idle machine has no way on");
                then();
            }
        }
    }
}

fn machine(cpus: usize) -> (Script, Arc<Executor<Script>>) {
    CPU.set(0);
    let script = Script::new(cpus);
    (script.clone(), Arc::new(Executor::new(script, cpus)))
}

#[test]
fn an_idle_cpu_arms_its_timer_for_the_nearest_deadline_and_else_not() {
    let (script, executor) = machine(1);
    let inner = executor.clone();
    executor.block_on(async move {
        let far = inner.spawn("far", {
            let inner = inner.clone();
            async move { inner.sleep_until(1 << 20).await }
        });
        inner.sleep_until(1 << 15).await;
        assert_eq!(inner.now(), 1 << 15);
        far.await.unwrap();
        assert_eq!(inner.now(), 1 << 20);
    });
    assert!(script.count(Asked::Timer(Some(1 << 15))) >= 1);
    assert!(script.count(Asked::Idle) <= 4, "{:?}", script.asked());
    script.asked();

    // Nothing to wait for: no timer is armed, and the machine sleeps until
    // a notification comes.
    let notify = Arc::new(Notify::new());
    let come = notify.clone();
    script.without_timer(move || come.notify_one());
    executor.block_on(notify.notified());
    assert_eq!(script.asked(), [Asked::Idle]);
}

#[test]
fn a_cancelled_timer_wakes_nobody() {
    let (script, executor) = machine(1);
    let inner = executor.clone();
    let notify = Arc::new(Notify::new());
    let come = notify.clone();
    script.without_timer(move || come.notify_one());
    executor.block_on(async move {
        let sleep = inner.sleep_until(1 << 30);
        let mut sleep = std::pin::pin!(sleep);
        let first = core::future::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context)));
        assert!(first.await.is_pending());
        // Dropped here.
    });
    script.asked();
    executor.block_on(notify.notified());
    // The timer that was armed for it is turned off before the halt.
    assert_eq!(script.asked(), [Asked::Timer(None), Asked::Idle]);
    assert_eq!(executor.now(), 0);
}

#[test]
fn a_timer_that_goes_off_early_is_armed_again() {
    let (script, executor) = machine(1);
    let inner = executor.clone();
    let early = script.clone();
    executor.block_on(async move {
        let mut sleep = std::pin::pin!(inner.sleep_until(1 << 20));
        let mut first = true;
        core::future::poll_fn(|context| {
            let polled = sleep.as_mut().poll(context);
            if core::mem::take(&mut first) {
                // The hardware's clock is fast: it goes off before its time.
                early.0.armed.lock().unwrap()[0] = Some(1 << 19);
            }
            polled
        })
        .await;
    });
    assert!(executor.now() >= 1 << 20);
    assert!(script.count(Asked::Timer(Some(1 << 20))) >= 1);
}

#[test]
fn a_halted_cpu_is_woken_once_and_a_busy_one_not() {
    let (script, executor) = machine(2);
    let queue = Arc::new(Notify::new());
    // Two tasks that belong on CPU 1.
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let queue = queue.clone();
            executor.spawn_on(1, "task", async move { queue.notified().await })
        })
        .collect();
    assert_eq!(script.asked(), [], "no CPU is halted yet");
    let (other, inner) = (queue.clone(), executor.clone());
    let wakes = script.clone();
    script.without_timer(move || {
        // CPU 1 is halted now. CPU 0 wakes both tasks, and it is woken once.
        CPU.set(0);
        wakes.asked();
        other.notify_waiters();
        assert_eq!(wakes.asked(), [Asked::WakeCpu(1)]);
        assert_eq!(inner.counters(0).unwrap().resched_ipis, 1);
        CPU.set(1);
    });
    CPU.set(1);
    executor.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(executor.counters(1).unwrap().parks, 1);
}

#[test]
fn a_task_is_woken_where_it_ran_last() {
    let (script, executor) = machine(2);
    let (notify, ran) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(9)));
    let task = {
        let (notify, ran, script) = (notify.clone(), ran.clone(), script.clone());
        executor.spawn("task", async move {
            loop {
                notify.notified().await;
                ran.store(script.cpu(), SeqCst);
            }
        })
    };
    let step = |cpu| {
        CPU.set(cpu);
        executor.block_on(async {
            for _ in 0..20 {
                yield_now().await;
            }
        });
    };
    step(0);
    assert_eq!(executor.tasks()[0].cpu, Some(0));
    CPU.set(1);
    notify.notify_one();
    // It waits for its CPU ...
    assert_eq!(executor.tasks()[0].phase, Phase::Ready);
    step(0);
    assert_eq!(ran.load(SeqCst), 0);
    task.abort();
    step(0);
    assert!(executor.tasks().is_empty());
}

#[test]
fn share_work_shows_a_woken_task_to_others() {
    let (script, executor) = machine(2);
    let (inner, played) = (executor.clone(), script.clone());
    let end = Arc::new(Notify::new());
    let ended = end.clone();
    // CPU 1 halts; meanwhile CPU 0 wakes a task and keeps its CPU.
    script.without_timer(move || {
        CPU.set(0);
        played.asked();
        inner.spawn("woken", async {}).detach();
        assert_eq!(played.asked(), [], "the waker may let go soon");
        assert!(inner.contended());
        inner.share_work();
        assert_eq!(played.asked(), [Asked::WakeCpu(1)]);
        inner.share_work();
        assert_eq!(played.asked(), [], "one wake-up is enough");
        CPU.set(1);
        ended.notify_one();
    });
    CPU.set(1);
    executor.block_on(end.notified());
    assert_eq!(executor.counters(1).unwrap().steals, 1);
}

#[test]
fn background_work_has_a_share_and_no_more() {
    let (_, executor) = machine(1);
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    for index in 0..2 {
        let counts = counts.clone();
        let work = async move {
            loop {
                counts[index].fetch_add(1, SeqCst);
                yield_now().await;
            }
        };
        match index {
            0 => executor.spawn("interactive", work).detach(),
            _ => executor.spawn_background("background", work).detach(),
        }
    }
    let done = counts.clone();
    executor.block_on(core::future::poll_fn(move |context| {
        context.waker().wake_by_ref();
        if done[0].load(SeqCst) < 1_000 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
    let background = counts[1].load(SeqCst);
    assert!((100..200).contains(&background), "{background} of 1,000");
}

/// Spawns with `spawn`, and then from outside all CPUs; that one runs within two rounds of the
/// worker's turns.
fn an_outside_spawn_runs_beside(spawn: impl FnOnce(&Executor<Script>)) {
    let (_, executor) = machine(1);
    spawn(&executor);
    play(&executor, 0);
    CPU.set(usize::MAX);
    let outside = executor.spawn("outside", async {});
    CPU.set(0);
    let before = executor.counters(0).unwrap().polls;
    executor.block_on(poll_fn(|context| {
        context.waker().wake_by_ref();
        let polls = executor.counters(0).unwrap().polls - before;
        if outside.is_finished() || polls > 1_000 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    let polls = executor.counters(0).unwrap().polls - before;
    assert!(polls <= 33, "after {polls} polls");
}

async fn yield_for_ever() {
    loop {
        yield_now().await;
    }
}

#[test]
fn an_outside_spawn_has_its_turn_beside_a_background_task() {
    an_outside_spawn_runs_beside(|executor| {
        executor.spawn("interactive", yield_for_ever()).detach();
        executor
            .spawn_background("background", yield_for_ever())
            .detach();
    });
}

#[test]
fn an_outside_spawn_has_its_turn_beside_a_pinned_task() {
    an_outside_spawn_runs_beside(|executor| {
        executor.spawn("interactive", yield_for_ever()).detach();
        executor.spawn_on(0, "pinned", yield_for_ever()).detach();
    });
}

#[test]
fn an_outside_spawn_has_its_turn_beside_more_tasks_than_the_ring_holds() {
    an_outside_spawn_runs_beside(|executor| {
        for _ in 0..1_500 {
            executor.spawn("interactive", yield_for_ever()).detach();
        }
    });
}

#[test]
fn an_outside_spawn_has_its_turn_beside_tasks_that_wake_each_other() {
    an_outside_spawn_runs_beside(|executor| {
        let ends = Arc::new([Notify::new(), Notify::new()]);
        for index in 0..2 {
            let ends = ends.clone();
            let player = async move {
                loop {
                    ends[1 - index].notify_one();
                    ends[index].notified().await;
                }
            };
            executor.spawn("player", player).detach();
        }
    });
}

#[test]
fn an_outside_spawn_has_its_turn_beside_all_of_them() {
    an_outside_spawn_runs_beside(|executor| {
        for _ in 0..1_500 {
            executor.spawn("interactive", yield_for_ever()).detach();
        }
        executor.spawn_on(0, "pinned", yield_for_ever()).detach();
        executor
            .spawn_background("background", yield_for_ever())
            .detach();
    });
}

#[test]
fn every_class_has_its_turn_beside_all_the_others() {
    let (_, executor) = machine(1);
    let polls = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let count = |class: usize| {
        let polls = polls.clone();
        async move {
            loop {
                polls[class].fetch_add(1, SeqCst);
                yield_now().await;
            }
        }
    };
    executor.spawn("interactive", count(0)).detach();
    executor.spawn_background("background", count(1)).detach();
    executor.spawn_on(0, "pinned", count(2)).detach();
    executor.block_on(poll_fn(|context| {
        context.waker().wake_by_ref();
        if executor.counters(0).unwrap().polls < 1_600 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
    let counts: Vec<_> = polls.iter().map(|count| count.load(SeqCst)).collect();
    assert!(counts.iter().all(|&count| count >= 150), "{counts:?}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri takes an hour for so many polls")]
fn all_that_yield_have_their_turn_however_many_they_are() {
    let (_, executor) = machine(1);
    // More than the CPU's ring holds.
    let polls: Arc<Vec<AtomicUsize>> = Arc::new((0..3_000).map(|_| AtomicUsize::new(0)).collect());
    for index in 0..polls.len() {
        let polls = polls.clone();
        executor
            .spawn("yielder", async move {
                loop {
                    polls[index].fetch_add(1, SeqCst);
                    yield_now().await;
                }
            })
            .detach();
    }
    let end = 20 * polls.len() as u64;
    executor.block_on(core::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if executor.counters(0).unwrap().polls < end {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
    let counts = || polls.iter().map(|count| count.load(SeqCst));
    let (least, most) = (counts().min().unwrap(), counts().max().unwrap());
    assert!(most - least <= 2, "from {least} to {most}");
}

#[test]
fn a_task_that_never_has_to_wait_yields_all_the_same() {
    let (_, executor) = machine(1);
    let queue = Arc::new(WaitQueue::new());
    let rounds = Arc::new(AtomicUsize::new(0));
    let (inner, counted) = (queue.clone(), rounds.clone());
    executor
        .spawn("greedy", async move {
            loop {
                inner.wait_until(|| Some(())).await;
                counted.fetch_add(1, SeqCst);
            }
        })
        .detach();
    executor.block_on(yield_now());
    assert_eq!(rounds.load(SeqCst), 128, "the budget of one poll");
    let other = executor.spawn("other", async { 7 });
    assert_eq!(executor.block_on(other).unwrap(), 7);
}

#[test]
fn a_snapshot_says_who_waits_for_what() {
    static PIPE: Label = Label("pipe");
    let (script, executor) = machine(1);
    let queue = Arc::new(WaitQueue::labelled(&PIPE));
    let inner = queue.clone();
    let reader = executor.spawn("reader", async move {
        inner.wait_until(|| None::<()>).await;
    });
    let inner = executor.clone();
    let sleeper = executor.spawn("sleeper", async move { inner.sleep(1 << 40).await });
    for _ in 0..4 {
        executor.block_on(yield_now());
    }
    let tasks = executor.tasks();
    let seen: Vec<_> = tasks
        .iter()
        .map(|task| (task.name, task.phase, task.waits_for))
        .collect();
    assert_eq!(
        seen,
        [
            ("reader", Phase::Waiting, Some("pipe")),
            ("sleeper", Phase::Waiting, Some("timer")),
        ]
    );
    assert_eq!(tasks[0].id, reader.id());
    assert_eq!(executor.try_tasks(1).unwrap(), tasks[..1]);
    assert_eq!(script.count(Asked::Idle), 0);
    // It holds the executor that holds it.
    sleeper.abort();
    assert!(executor.block_on(sleeper).is_err());
}

#[test]
fn what_does_not_count_leaves_the_name_of_what_is_waited_for() {
    static PIPE: Label = Label("pipe");
    static SIGNAL: Label = Label("");
    let (_, executor) = machine(1);
    executor
        .spawn("reader", async move {
            let pipe = WaitQueue::labelled(&PIPE);
            let signal = WaitQueue::labelled(&SIGNAL);
            let mut reads = pin!(pipe.wait_until(|| None::<()>));
            let mut told = pin!(signal.wait_until(|| None::<()>));
            poll_fn(|context| match reads.as_mut().poll(context) {
                Poll::Pending => told.as_mut().poll(context),
                ready => ready,
            })
            .await;
        })
        .detach();
    for _ in 0..2 {
        executor.block_on(yield_now());
    }
    assert_eq!(executor.tasks()[0].waits_for, Some("pipe"));
}

#[test]
fn a_halt_that_goes_on_counts_as_idle() {
    let (script, executor) = machine(1);
    let (inner, clock) = (executor.clone(), script.clone());
    executor.block_on(async move {
        inner.sleep_until(1 << 20).await;
        assert_eq!(inner.counters(0).unwrap().idle_ns, 1 << 20);
        // Some time of work.
        clock.0.now.fetch_add(1 << 20, SeqCst);
        assert_eq!(inner.counters(0).unwrap().idle_ns, 1 << 20);
    });
    let notify = Arc::new(Notify::new());
    let (inner, clock, waker) = (executor.clone(), script.clone(), notify.clone());
    script.without_timer(move || {
        assert_eq!(inner.counters(0).unwrap().idle_ns, 1 << 20);
        clock.0.now.fetch_add(1 << 20, SeqCst);
        assert_eq!(inner.counters(0).unwrap().idle_ns, 2 << 20);
        waker.notify_one();
    });
    executor.block_on(async move { notify.notified().await });
    assert_eq!(executor.counters(0).unwrap().idle_ns, 2 << 20);
}

#[test]
fn missed_ticks_are_made_up_for_as_asked() {
    for (missed, expected) in [
        (MissedTicks::Burst, [0, 100, 200, 300, 400]),
        (MissedTicks::Delay, [0, 100, 450, 550, 650]),
        (MissedTicks::Skip, [0, 100, 400, 500, 600]),
    ] {
        let ms = 1_000_000;
        let (script, executor) = machine(1);
        let inner = executor.clone();
        let ticks = executor.block_on(async move {
            let mut interval = inner.interval(100 * ms).with_missed_ticks(missed);
            let mut ticks = vec![interval.tick().await / ms];
            // No task asks until 350 ms have passed.
            script.0.now.store(350 * ms, SeqCst);
            while ticks.len() < 5 {
                ticks.push(interval.tick().await / ms);
            }
            ticks
        });
        assert_eq!(ticks, expected, "{missed:?}");
    }
}

#[test]
fn a_pinned_task_need_not_be_send() {
    let (_, executor) = machine(1);
    let shared = std::rc::Rc::new(Cell::new(1));
    let inner = shared.clone();
    let task = executor.spawn_pinned("pinned", async move {
        yield_now().await;
        inner.set(2);
    });
    executor.block_on(task).unwrap();
    assert_eq!(shared.get(), 2);
}

#[test]
fn the_watchdog_sees_the_poll_that_goes_on() {
    let (script, executor) = machine(1);
    let inner = executor.clone();
    let task = executor.spawn("long", async move {
        script.0.now.store(5_000, SeqCst);
        let running = inner.running_since(0).unwrap();
        assert_eq!((running.name, running.since), ("long", 0));
        running.id
    });
    let id = task.id();
    assert_eq!(executor.block_on(task).unwrap(), id);
    assert_eq!(executor.running_since(0), None);
}

/// Plays one CPU for some polls.
fn play(executor: &Executor<Script>, cpu: usize) {
    CPU.set(cpu);
    executor.block_on(async {
        for _ in 0..20 {
            yield_now().await;
        }
    });
}

#[test]
fn a_task_that_is_kept_to_some_cpus_runs_on_no_other() {
    let (script, executor) = machine(3);
    let (notify, cpus) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0b110)));
    let ran = Arc::new(Mutex::new(Vec::new()));
    let kept = {
        let (notify, cpus, ran) = (notify.clone(), cpus.clone(), ran.clone());
        let inner = executor.clone();
        let kept = async move {
            loop {
                poll_fn(|context| inner.set_affinity(context, cpus.load(SeqCst))).await;
                ran.lock().unwrap().push(script.cpu());
                notify.notified().await;
            }
        };
        executor.spawn("kept", kept)
    };
    let ran = || std::mem::take(&mut *ran.lock().unwrap());
    // It begins on CPU 0, which it leaves at once. No CPU may steal it.
    play(&executor, 0);
    assert_eq!(ran(), []);
    play(&executor, 2);
    assert_eq!(ran(), []);
    play(&executor, 1);
    assert_eq!(ran(), [1]);
    // It goes where it was.
    notify.notify_one();
    play(&executor, 2);
    assert_eq!(ran(), []);
    play(&executor, 1);
    assert_eq!(ran(), [1]);
    // Where it may not be any more it is polled once, to move.
    cpus.store(0b100, SeqCst);
    notify.notify_one();
    play(&executor, 1);
    assert_eq!(ran(), []);
    play(&executor, 2);
    assert_eq!(ran(), [2]);
    // Without a limit it is stolen again.
    cpus.store(0, SeqCst);
    notify.notify_one();
    play(&executor, 2);
    assert_eq!(ran(), [2]);
    CPU.set(0);
    notify.notify_one();
    play(&executor, 0);
    assert_eq!(ran(), [0]);
    // It holds the executor.
    kept.abort();
    play(&executor, 0);
    assert!(kept.is_finished());
}

#[test]
fn a_kept_task_goes_to_a_halted_cpu_of_its_own() {
    let (script, executor) = machine(3);
    let (notify, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ran_on = Arc::new(AtomicUsize::new(9));
    {
        let (notify, end, ran_on) = (notify.clone(), end.clone(), ran_on.clone());
        let (inner, script) = (executor.clone(), script.clone());
        let kept = async move {
            poll_fn(|context| inner.set_affinity(context, 0b110)).await;
            notify.notified().await;
            ran_on.store(script.cpu(), SeqCst);
            end.notify_one();
        };
        executor.spawn("kept", kept).detach();
    }
    play(&executor, 0);
    play(&executor, 1);
    // CPU 2 halts; the task, which ran on CPU 1, is woken by CPU 0.
    let played = script.clone();
    script.without_timer(move || {
        CPU.set(0);
        played.asked();
        notify.notify_one();
        assert_eq!(played.asked(), [Asked::WakeCpu(2)]);
        CPU.set(2);
    });
    CPU.set(2);
    executor.block_on(end.notified());
    assert_eq!(ran_on.load(SeqCst), 2);
}

#[test]
fn kept_tasks_are_dropped_with_the_executor() {
    let (_, executor) = machine(2);
    let witness = Arc::new(());
    for _ in 0..2 {
        let (inner, held) = (Arc::downgrade(&executor), witness.clone());
        let kept = async move {
            let keep = |context: &mut std::task::Context<'_>| match inner.upgrade() {
                Some(executor) => executor.set_affinity(context, 0b10),
                None => Poll::Ready(()),
            };
            poll_fn(keep).await;
            drop(held);
        };
        executor.spawn("kept", kept).detach();
    }
    play(&executor, 0);
    assert_eq!(Arc::strong_count(&witness), 3, "they wait for CPU 1");
    drop(executor);
    assert_eq!(Arc::strong_count(&witness), 1);
}
