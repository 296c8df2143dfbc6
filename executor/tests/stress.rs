//! Stress on host threads: 1, 2, 4 and 8 CPUs, with task statistics and
//! without, sharing turns and sharing time, each case with a time limit, so that a lost wake-up fails instead of hanging.
#![cfg(all(feature = "std", not(loom)))]

use executor::host::Runtime;
use executor::sync::{Mutex, Notify, RwLock, Semaphore, WaitQueue, oneshot};
use executor::{JoinError, yield_now};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

/// Miri is a thousand times slower.
const SCALE: usize = if cfg!(miri) { 100 } else { 1 };
const CPUS: &[usize] = if cfg!(miri) { &[1, 2] } else { &[1, 2, 4, 8] };

/// Runs `test` on each number of CPUs, with a time limit.
fn on_all<F, Fut>(test: F)
where
    F: Fn(Arc<executor::Executor<executor::host::Host>>) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    for &cpus in CPUS {
        for start in [Runtime::new, Runtime::lean, Runtime::fair] {
            run_on(cpus, start, test);
        }
    }
}

fn run_on<F, Fut>(cpus: usize, start: fn(usize) -> Runtime, test: F)
where
    F: Fn(Arc<executor::Executor<executor::host::Host>>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = start(cpus);
        let executor = runtime.executor().clone();
        let task = executor.spawn("test", test(executor.clone()));
        let result = runtime.block_on(task);
        drop(executor);
        drop(runtime);
        done.send(result).ok();
    });
    let limit = Duration::from_secs(if cfg!(miri) { 3600 } else { 60 });
    match wait.recv_timeout(limit) {
        Ok(result) => result.unwrap_or_else(|error| panic!("{cpus} CPUs: {error:?}")),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{cpus} CPUs: a wake-up was lost"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
    thread.join().unwrap();
}

#[test]
fn many_tasks_are_spawned_and_joined() {
    on_all(|executor| async move {
        let count = 20_000 / SCALE;
        let sum = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..count)
            .map(|i| {
                let sum = sum.clone();
                executor.spawn("adder", async move {
                    sum.fetch_add(i, SeqCst);
                    yield_now().await;
                    i
                })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), i);
        }
        assert_eq!(sum.load(SeqCst), count * (count - 1) / 2);
    });
}

#[test]
fn ping_pong_over_oneshot_ends() {
    on_all(|executor| async move {
        for round in 0..5_000 / SCALE {
            let (ping, pinged) = oneshot::channel();
            let (pong, ponged) = oneshot::channel();
            executor
                .spawn("player", async move {
                    let value: usize = pinged.await.unwrap();
                    pong.send(value + 1).unwrap();
                })
                .detach();
            ping.send(round).unwrap();
            assert_eq!(ponged.await.unwrap(), round + 1);
        }
    });
}

#[test]
fn a_wait_queue_loses_no_item() {
    on_all(|executor| async move {
        struct Shelf {
            items: AtomicU64,
            queue: WaitQueue,
        }
        let shelf = Arc::new(Shelf {
            items: AtomicU64::new(0),
            queue: WaitQueue::new(),
        });
        let each = 2_000 / SCALE;
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (a, b) = (shelf.clone(), shelf.clone());
            tasks.push(executor.spawn("producer", async move {
                for i in 0..each {
                    a.items.fetch_add(1, SeqCst);
                    a.queue.wake_one();
                    if i % 16 == 0 {
                        yield_now().await;
                    }
                }
            }));
            tasks.push(executor.spawn("consumer", async move {
                for _ in 0..each {
                    b.queue
                        .wait_until(|| {
                            b.items
                                .fetch_update(SeqCst, SeqCst, |items| items.checked_sub(1))
                                .ok()
                        })
                        .await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(shelf.items.load(SeqCst), 0);
        assert!(shelf.queue.is_empty());
    });
}

#[test]
fn locks_exclude() {
    on_all(|executor| async move {
        let mutex = Arc::new(Mutex::new(0_usize));
        let lock = Arc::new(RwLock::new((0_usize, 0_usize)));
        let semaphore = Arc::new(Semaphore::new(3));
        let inside = Arc::new(AtomicUsize::new(0));
        let each = 500 / SCALE;
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let (mutex, lock) = (mutex.clone(), lock.clone());
                let (semaphore, inside) = (semaphore.clone(), inside.clone());
                executor.spawn("locker", async move {
                    for round in 0..each {
                        {
                            let mut guard = mutex.lock().await;
                            let value = *guard;
                            if round % 8 == 0 {
                                yield_now().await;
                            }
                            *guard = value + 1;
                        }
                        if number % 4 == 0 {
                            let mut guard = lock.write().await;
                            guard.0 += 1;
                            yield_now().await;
                            guard.1 += 1;
                        } else {
                            let guard = lock.read().await;
                            assert_eq!(guard.0, guard.1);
                            yield_now().await;
                            assert_eq!(guard.0, guard.1);
                        }
                        let permits = semaphore.acquire(1 + number % 3).await;
                        let now = inside.fetch_add(1 + number % 3, SeqCst);
                        assert!(now + 1 + number % 3 <= 3);
                        yield_now().await;
                        inside.fetch_sub(1 + number % 3, SeqCst);
                        drop(permits);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*mutex.lock().await, 16 * each);
        assert_eq!(lock.read().await.0, 4 * each);
        assert_eq!(semaphore.available(), 3);
    });
}

#[test]
fn cancelled_waiters_leave_nothing_behind() {
    on_all(|executor| async move {
        let mutex = Arc::new(Mutex::new(0_usize));
        let notify = Arc::new(Notify::new());
        for _ in 0..200 / SCALE.min(50) {
            let guard = mutex.lock().await;
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (mutex, notify) = (mutex.clone(), notify.clone());
                    executor.spawn("waiter", async move {
                        *mutex.lock().await += 1;
                        notify.notified().await;
                    })
                })
                .collect();
            yield_now().await;
            for task in tasks.iter().step_by(2) {
                task.abort();
            }
            drop(guard);
            for task in tasks.iter().skip(1).step_by(2) {
                while !task.is_finished() {
                    notify.notify_one();
                    yield_now().await;
                }
            }
            for task in tasks {
                assert!(matches!(task.await, Ok(()) | Err(JoinError::Cancelled)));
            }
        }
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn timers_go_off_in_time_and_leave_when_cancelled() {
    on_all(|executor| async move {
        let tasks: Vec<_> = (0..300 / SCALE)
            .map(|i| {
                let inner = executor.clone();
                executor.spawn("sleeper", async move {
                    let ns = (i as u64 * 7919) % 20_000_000;
                    let start = inner.now();
                    if i % 3 == 0 {
                        let long = inner.sleep(3_600_000_000_000);
                        assert!(inner.timeout(ns, long).await.is_err());
                    } else {
                        inner.sleep(ns).await;
                    }
                    assert!(inner.now() >= start + ns, "a timer went off early");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn pinned_tasks_stay_and_background_tasks_run() {
    on_all(|executor| async move {
        let mut tasks = Vec::new();
        for cpu in 0..executor.cpus() {
            let inner = executor.clone();
            tasks.push(executor.spawn_on(cpu, "pinned", async move {
                use executor::Platform;
                for _ in 0..200 / SCALE {
                    assert_eq!(inner.platform().cpu(), cpu);
                    yield_now().await;
                }
            }));
            tasks.push(executor.spawn_background("background", async move {
                for _ in 0..200 / SCALE {
                    yield_now().await;
                }
            }));
        }
        // Interactive work that never ends by itself does not starve the rest.
        let busy: Vec<_> = (0..executor.cpus())
            .map(|_| {
                executor.spawn("busy", async {
                    loop {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for task in busy {
            task.abort();
            assert!(matches!(task.await, Err(JoinError::Cancelled)));
        }
    });
}

#[test]
fn shutdown_drops_every_task() {
    for &cpus in CPUS {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        let alive = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::new(cpus);
        let executor = runtime.executor();
        let never = Arc::new(Notify::new());
        let mut handles = Vec::new();
        for i in 0..1_000 / SCALE {
            alive.fetch_add(1, SeqCst);
            let (counted, never) = (Counted(alive.clone()), never.clone());
            let inner = Arc::downgrade(executor);
            let task = async move {
                let _counted = counted;
                match i % 3 {
                    0 => never.notified().await,
                    1 => loop {
                        yield_now().await;
                    },
                    _ => {
                        if let Some(executor) = inner.upgrade() {
                            executor
                                .spawn("child", core::future::pending::<()>())
                                .detach();
                        }
                        core::future::pending().await
                    }
                }
            };
            match i % 4 {
                0 => handles.push(executor.spawn_on(i % cpus, "pinned", task)),
                1 => handles.push(executor.spawn_background("background", task)),
                2 => executor.spawn("detached", task).detach(),
                _ => handles.push(executor.spawn("task", task)),
            }
        }
        drop(runtime);
        assert_eq!(alive.load(SeqCst), 0, "{cpus} CPUs");
        for handle in handles {
            let result: Result<(), _> = executor::host::block_on(handle);
            assert!(matches!(result, Err(JoinError::Cancelled)));
        }
    }
}

#[test]
fn a_panic_is_the_error_of_its_task_alone() {
    on_all(|executor| async move {
        let bad = executor.spawn("bad", async { panic!("on purpose") });
        let good = executor.spawn("good", async { 1 });
        let error: JoinError = bad.await.map(|(): ()| ()).unwrap_err();
        assert_eq!(format!("{error:?}"), "Panicked(\"on purpose\")");
        assert_eq!(good.await.unwrap(), 1);
    });
}

#[test]
fn what_is_spawned_after_the_end_is_dropped_at_once() {
    let runtime = Runtime::new(2);
    let executor = runtime.executor().clone();
    drop(runtime);
    let held = Arc::new(());
    for cpu in [None, Some(0), Some(1)] {
        let inside = held.clone();
        let task = async move { drop(inside) };
        let handle = match cpu {
            None => executor.spawn("late", task),
            Some(cpu) => executor.spawn_on(cpu, "late", task),
        };
        assert_eq!(Arc::strong_count(&held), 1);
        let result = executor::host::block_on(handle);
        assert!(matches!(result, Err(JoinError::Cancelled)));
    }
}

#[test]
fn a_wake_up_against_the_end_of_the_executor_leaks_nothing() {
    for _ in 0..200 / SCALE {
        let runtime = Runtime::new(1);
        let notify = Arc::new(Notify::new());
        let held = Arc::new(());
        for _ in 0..4 {
            let (notify, inside) = (notify.clone(), held.clone());
            runtime
                .executor()
                .spawn("waiter", async move {
                    let _inside = inside;
                    loop {
                        notify.notified().await;
                    }
                })
                .detach();
        }
        let waker = std::thread::spawn(move || {
            for _ in 0..50 {
                notify.notify_waiters();
            }
        });
        drop(runtime);
        waker.join().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
