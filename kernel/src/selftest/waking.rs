//! Tasks that wait for each other, by each of the ways to wake one.

use super::{TASK, cpus, here, join_all};
use crate::arch;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use executor::sync::{Notify, Semaphore, mpsc, oneshot};
use executor::yield_now;

/// On each CPU a server, asked by a client on the next CPU. A task that waits leaves its
/// CPU halted when there is no other task, so each call is two reschedule IPIs.
pub(super) async fn calls_between_cpus() {
    const CALLS: usize = 500;
    let mut tasks = Vec::new();
    for cpu in cpus() {
        let (sender, mut receiver) = mpsc::channel::<(usize, oneshot::Sender<usize>)>(1);
        tasks.push(here().spawn_on(cpu, TASK, async move {
            let mut calls = 0;
            while let Some((question, answer)) = receiver.recv().await {
                assert!(arch::cpu().0 == cpu, "selftest: a task has left its CPU");
                let sent = answer.send(question + 1);
                assert!(sent.is_ok(), "selftest: who awaits the answer is gone");
                calls += 1;
            }
            assert!(calls == CALLS, "selftest: {calls} calls of {CALLS}");
        }));
        let client = (cpu + 1) % arch::cpu_count();
        tasks.push(here().spawn_on(client, TASK, async move {
            for question in 0..CALLS {
                let (answer, answered) = oneshot::channel();
                let sent = sender.send((question, answer)).await;
                assert!(sent.is_ok(), "selftest: the server is gone");
                let answered = answered.await;
                assert!(answered == Ok(question + 1), "selftest: a wrong answer");
            }
        }));
    }
    join_all(tasks).await;
}

/// What each sender sends arrives, all of it and in order.
pub(super) async fn many_to_one() {
    const SENDERS: usize = 16;
    const VALUES: usize = 500;
    let (sender, mut receiver) = mpsc::channel(8);
    let spawn = |number| {
        let sender = sender.clone();
        here().spawn(TASK, async move {
            for value in 0..VALUES {
                let sent = sender.send((number, value)).await;
                assert!(sent.is_ok(), "selftest: the receiver is gone");
            }
        })
    };
    let tasks = (0..SENDERS).map(spawn).collect();
    drop(sender);
    let mut next = [0; SENDERS];
    while let Some((number, value)) = receiver.recv().await {
        assert!(next[number] == value, "selftest: a value out of order");
        next[number] += 1;
    }
    assert!(next == [VALUES; SENDERS], "selftest: a value is lost");
    join_all(tasks).await;
}

/// Two tasks on neighbouring CPUs that notify each other in turn.
pub(super) async fn notify_between_cpus() {
    const ROUNDS: usize = 500;
    let mut tasks = Vec::new();
    for cpu in cpus() {
        let turns = Arc::new([Notify::new(), Notify::new()]);
        let rounds = Arc::new(AtomicUsize::new(0));
        for side in 0..2 {
            let (turns, rounds) = (turns.clone(), rounds.clone());
            let target = (cpu + side) % arch::cpu_count();
            tasks.push(here().spawn_on(target, TASK, async move {
                for round in 0..ROUNDS {
                    turns[side].notified().await;
                    let done = rounds.fetch_add(1, Relaxed);
                    assert!(done == 2 * round + side, "selftest: not its turn");
                    turns[1 - side].notify_one();
                }
            }));
        }
        turns[0].notify_one();
    }
    join_all(tasks).await;
}

/// There are never more permits out than there are, and all come back: from those too that
/// were given up while they were waited for.
pub(super) async fn permits() {
    const PERMITS: usize = 3;
    // Nanoseconds: as soon as the timers are looked at.
    const GIVEN_UP: u64 = 1;
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let out = Arc::new(AtomicUsize::new(0));
    let spawn = |number: usize| {
        let (semaphore, out) = (semaphore.clone(), out.clone());
        here().spawn(TASK, async move {
            let count = 1 + number % PERMITS;
            for round in 0..60 {
                let acquire = semaphore.acquire(count);
                let permit = if number.is_multiple_of(4) && round % 8 == 0 {
                    here().timeout(GIVEN_UP, acquire).await.ok()
                } else {
                    Some(acquire.await)
                };
                let Some(permit) = permit else { continue };
                let now = out.fetch_add(count, Relaxed) + count;
                assert!(now <= PERMITS, "selftest: {now} permits of {PERMITS}");
                yield_now().await;
                out.fetch_sub(count, Relaxed);
                drop(permit);
            }
        })
    };
    join_all((0..32).map(spawn).collect()).await;
    let back = semaphore.available();
    assert!(back == PERMITS, "selftest: {back} permits of {PERMITS}");
}
