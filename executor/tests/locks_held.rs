//! Nothing allocates, frees, wakes or sends an IPI while a spin lock is held (rule E1). The debug
//! build of the crate counts the locks that a thread holds; wakers and IPIs check it everywhere,
//! and here the allocator does too.
#![cfg(all(debug_assertions, feature = "std", not(loom)))]

use executor::host::{Runtime, assert_no_lock_held};
use executor::sync::{
    Barrier, CancellationToken, Key, Mutex, Notify, ParkingLot, RwLock, Semaphore, WaitQueue,
    broadcast, mpsc, oneshot, watch,
};
use executor::yield_now;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;

struct Checked;

// SAFETY: the system's allocator, after a check.
unsafe impl GlobalAlloc for Checked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        assert_no_lock_held("an allocation");
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        assert_no_lock_held("a deallocation");
        // SAFETY: passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Checked = Checked;

#[derive(Clone, PartialEq, Eq)]
struct Address(usize);

impl Key for Address {
    fn hash(&self) -> usize {
        self.0
    }
}

/// Runs on executors of both policies, with two CPUs.
fn on_both<F>(test: impl Fn(Arc<executor::Executor<executor::host::Host>>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for start in [Runtime::new, Runtime::fair] {
        let runtime = start(2);
        let executor = runtime.executor().clone();
        let task = executor.spawn("test", test(executor.clone()));
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn the_scheduler_holds_no_lock_when_it_allocates_or_wakes() {
    on_both(|executor| async move {
        let tasks: Vec<_> = (0..500)
            .map(|index| {
                let inner = executor.clone();
                let work = async move {
                    yield_now().await;
                    inner.sleep(index * 10_000).await;
                };
                match index % 3 {
                    0 => executor.spawn("interactive", work),
                    1 => executor.spawn_background("background", work),
                    _ => executor.spawn_on(1, "pinned", work),
                }
            })
            .collect();
        assert!(executor.try_tasks(300).unwrap().len() <= 300);
        for task in tasks {
            task.await.unwrap();
        }
        let aborted = executor.spawn("aborted", std::future::pending::<()>());
        aborted.abort();
        assert!(aborted.await.is_err());
    });
}

#[test]
fn locks_hold_no_spin_lock_when_they_wake() {
    on_both(|executor| async move {
        let (mutex, lock) = (Arc::new(Mutex::new(0)), Arc::new(RwLock::new(0)));
        let (permits, barrier) = (Arc::new(Semaphore::new(2)), Arc::new(Barrier::new(40)));
        let lot = Arc::new(ParkingLot::<Address>::new(4));
        let tasks: Vec<_> = (0..40)
            .map(|index| {
                let (mutex, lock) = (mutex.clone(), lock.clone());
                let (permits, barrier, lot) = (permits.clone(), barrier.clone(), lot.clone());
                executor.spawn("task", async move {
                    for _ in 0..20 {
                        *mutex.lock().await += 1;
                        if index % 4 == 0 {
                            *lock.write().await += 1;
                        } else {
                            let _ = *lock.read().await;
                        }
                        let permit = permits.acquire(index % 2 + 1).await;
                        yield_now().await;
                        drop(permit);
                    }
                    barrier.wait().await;
                    lot.unpark(&Address(0), 1, !0);
                    let busy = || Err::<(), _>("busy");
                    assert_eq!(lot.park(Address(0), !0, busy).await, Err("busy"));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*mutex.lock().await, 800);
    });
}

#[test]
fn channels_hold_no_spin_lock_when_they_wake() {
    on_both(|executor| async move {
        let (sender, mut receiver) = mpsc::channel(2);
        let (values, mut copies) = broadcast::channel(4);
        let (latest, mut seen) = watch::channel(0);
        let (answer, question) = oneshot::channel();
        let (notify, queue) = (Arc::new(Notify::new()), Arc::new(WaitQueue::new()));
        let token = CancellationToken::new();
        let (told, waits, end) = (notify.clone(), queue.clone(), token.child());
        let reader = executor.spawn("reader", async move {
            let mut sum = 0;
            while let Some(value) = receiver.recv().await {
                sum += value;
            }
            while copies.recv().await != Err(broadcast::RecvError::Closed) {}
            while seen.changed().await.is_ok() {}
            told.notified().await;
            let mut looks = 0;
            waits
                .wait_until(|| {
                    looks += 1;
                    (looks > 2).then_some(())
                })
                .await;
            answer.send(sum).unwrap();
            end.cancelled().await;
        });
        for value in 0..100 {
            sender.send(value).await.unwrap();
            // The reader waits for each kind in its turn.
            yield_now().await;
            values.send(vec![value]);
            latest.send(value);
        }
        drop(sender);
        // Now the reader waits for these.
        executor.sleep(2_000_000).await;
        values.send(vec![1]);
        executor.sleep(2_000_000).await;
        drop(values);
        executor.sleep(2_000_000).await;
        latest.send(1);
        drop(latest);
        notify.notify_one();
        while !reader.is_finished() {
            queue.wake_all();
            token.cancel();
            yield_now().await;
        }
        assert_eq!(question.await, Ok(4_950));
        reader.await.unwrap();
    });
}
