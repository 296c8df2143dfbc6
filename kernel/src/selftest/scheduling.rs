//! Tasks that begin, take turns, wait for time to pass, and end.

use super::{MILLISECOND, TASK, cpus, here, join, join_all, totals, visit_all_cpus};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use executor::sync::Notify;
use executor::{JoinError, JoinHandle, yield_now};

/// Longer than the machine runs.
const LONG: u64 = 24 * 3600 * 1000 * MILLISECOND;

/// Each task runs, once, and its output reaches the task that joins it.
pub(super) async fn spawn_and_join() {
    const TASKS: usize = 4000;
    let sum = Arc::new(AtomicUsize::new(0));
    let spawn = |number| {
        let sum = sum.clone();
        here().spawn(TASK, async move {
            yield_now().await;
            sum.fetch_add(number, Relaxed);
            number
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
    for (number, task) in tasks.into_iter().enumerate() {
        assert!(join(task).await == number, "selftest: another's output");
    }
    let wanted = TASKS * (TASKS - 1) / 2;
    assert!(sum.load(Relaxed) == wanted, "selftest: a task ran not once");
}

/// Timers go off, not early and once each; those that are cancelled do not.
pub(super) async fn timers() {
    const TASKS: u64 = 600;
    visit_all_cpus().await;
    let before = totals().timers;
    let spawn = |number| {
        here().spawn(TASK, async move {
            let time = MILLISECOND + number * 7919 * 1000 % (80 * MILLISECOND);
            let start = here().now();
            if number % 2 == 0 {
                here().sleep(time).await;
            } else {
                let late = here().timeout(time, here().sleep(LONG)).await;
                assert!(late.is_err(), "selftest: a day has passed");
            }
            let took = here().now() - start;
            assert!(took >= time, "selftest: a timer went off early");
        })
    };
    join_all((0..TASKS).map(spawn).collect()).await;
    // A timer wakes its task before it is counted.
    visit_all_cpus().await;
    let fired = totals().timers - before;
    assert!(fired == TASKS, "selftest: {fired} timers of {TASKS}");
}

/// Tasks that are always ready: each gets its polls, and those in the background and on one
/// CPU are not starved by the others, which never end by themselves.
pub(super) async fn yields() {
    let forever = |_| {
        here().spawn(TASK, async {
            loop {
                yield_now().await;
            }
        })
    };
    let busy: Vec<JoinHandle<()>> = cpus().chain(cpus()).map(forever).collect();
    let storm = || async {
        for _ in 0..100 {
            yield_now().await;
        }
    };
    let mut tasks: Vec<_> = (0..300).map(|_| here().spawn(TASK, storm())).collect();
    for cpu in cpus() {
        tasks.push(here().spawn_on(cpu, TASK, storm()));
        tasks.push(here().spawn_background(TASK, storm()));
    }
    join_all(tasks).await;
    abort_all(busy).await;
}

/// An aborted task is dropped, wherever it waits, with all that it owns.
pub(super) async fn abort() {
    const TASKS: usize = 1000;
    let (never, alive) = (Arc::new(Notify::new()), Arc::new(()));
    let spawn = |number| {
        let (never, alive) = (never.clone(), alive.clone());
        here().spawn(TASK, async move {
            match number % 3 {
                0 => never.notified().await,
                1 => here().sleep(LONG).await,
                // It may end before it is aborted.
                _ => yield_now().await,
            }
            drop(alive);
        })
    };
    let (ends, waits): (Vec<_>, Vec<_>) = (0..TASKS).partition(|number| number % 3 == 2);
    let ends: Vec<_> = ends.into_iter().map(spawn).collect();
    let waits = waits.into_iter().map(spawn).collect();
    yield_now().await;
    abort_all(waits).await;
    for task in ends {
        task.abort();
        let _ = task.await;
    }
    let left = Arc::strong_count(&alive) - 1;
    assert!(left == 0, "selftest: {left} aborted tasks are still there");
}

async fn abort_all(tasks: Vec<JoinHandle<()>>) {
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        let end = task.await;
        assert!(
            matches!(end, Err(JoinError::Cancelled)),
            "selftest: a task that waits for ever has ended"
        );
    }
}
