//! The locks' hand-over.

use super::{counting, explore};
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, Notify, RwLock, Semaphore, WaitQueue};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use loom::future::block_on;
use loom::thread;
use std::sync::Arc;

/// Polls a future once, then drops it: a waiter that goes away.
fn poll_and_drop(future: impl Future) -> bool {
    let (_, waker) = counting();
    pin!(future)
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
}

/// A mutex that is released goes to the first waiter; there is one holder at a time,
/// and each sees what the one before it did.
///
/// Fault: in `Handoff::hand_over`, no `grant`; or `Handoff::take_or_enrol`
/// enrols whether or not the lock is free (`let taken = None`).
#[test]
fn a_mutex_is_handed_over() {
    explore(None, || {
        let mutex = Arc::new(Mutex::new(0));
        let other = {
            let mutex = mutex.clone();
            thread::spawn(move || block_on(async { *mutex.lock().await += 1 }))
        };
        block_on(async { *mutex.lock().await += 1 });
        other.join().unwrap();
        assert_eq!(*mutex.try_lock().expect("no task holds it"), 2);
    });
}

/// A waiter that goes away while the mutex is handed to it hands it on.
///
/// Fault: `Taking::drop` does not release when the phase is `Granted`.
#[test]
fn a_cancelled_waiter_hands_the_mutex_on() {
    explore(None, || {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.try_lock().unwrap();
        let leaver = {
            let mutex = mutex.clone();
            thread::spawn(move || poll_and_drop(mutex.lock()))
        };
        drop(guard);
        leaver.join().unwrap();
        assert!(mutex.try_lock().is_some(), "no task holds the mutex");
    });
}

/// Readers share, a writer is alone, and each release hands over.
///
/// Fault: `Holders::give_back` of a reader hands over only `if before == READER`.
#[test]
fn a_read_write_lock_is_handed_over() {
    explore(Some(3), || {
        let lock = Arc::new(RwLock::new(0));
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || block_on(async { *lock.read().await }))
        };
        let writer = {
            let lock = lock.clone();
            thread::spawn(move || block_on(async { *lock.write().await += 1 }))
        };
        block_on(async { *lock.write().await += 1 });
        assert!((0..=2).contains(&reader.join().unwrap()));
        writer.join().unwrap();
        assert_eq!(*lock.try_write().expect("no task holds it"), 2);
    });
}

/// A writer that goes away lets the readers behind it in, which share the lock
/// with the reader that the writer waited for.
///
/// Fault: `Taking::drop` does not call `grant`.
#[test]
fn a_cancelled_writer_lets_readers_in() {
    explore(None, || {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.try_read().unwrap();
        let (_, waker) = counting();
        let mut context = Context::from_waker(&waker);
        let mut writer = std::boxed::Box::pin(lock.write());
        assert!(writer.as_mut().poll(&mut context).is_pending());
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || block_on(async { *lock.read().await }))
        };
        drop(writer);
        reader.join().unwrap();
        drop(guard);
        assert!(lock.try_write().is_some());
    });
}

/// A writer's downgrade lets waiting readers in and no writer between.
///
/// Fault: `RawLock::downgrade` does not hand over.
#[test]
fn a_downgrade_lets_readers_in() {
    explore(None, || {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.try_write().unwrap();
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || block_on(async { *lock.read().await }))
        };
        let guard = guard.downgrade();
        reader.join().unwrap();
        drop(guard);
        assert!(lock.try_write().is_some());
    });
}

/// Permits that are given back go to the waiters, and none is lost.
///
/// Fault: `Permits::give_back` does not look at `WAITERS`.
#[test]
fn a_semaphore_hands_permits_out() {
    explore(None, || {
        let semaphore = Arc::new(Semaphore::new(2));
        let other = {
            let semaphore = semaphore.clone();
            thread::spawn(move || block_on(async { drop(semaphore.acquire(2).await) }))
        };
        block_on(async { drop(semaphore.acquire(1).await) });
        other.join().unwrap();
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire(2).is_some(), "a task still waits");
    });
}

/// A waiter that goes away while permits are given to it gives them back.
///
/// Fault: `Taking::drop` does not release when the phase is `Granted`.
#[test]
fn a_cancelled_acquire_gives_permits_back() {
    explore(None, || {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.try_acquire(1).unwrap();
        let leaver = {
            let semaphore = semaphore.clone();
            thread::spawn(move || poll_and_drop(semaphore.acquire(1)))
        };
        drop(permit);
        leaver.join().unwrap();
        assert!(semaphore.try_acquire(1).is_some());
    });
}

/// A notification reaches a waiter, or is kept for the next one.
///
/// Fault: `Notified::poll` looks at `kept` before it takes the lock to enrol
/// (two `with` instead of one).
#[test]
fn a_notification_is_not_lost() {
    explore(None, || {
        let notify = Arc::new(Notify::new());
        let waiter = {
            let notify = notify.clone();
            thread::spawn(move || block_on(notify.notified()))
        };
        notify.notify_one();
        waiter.join().unwrap();
    });
}

/// A notification that was given to a waiter that is dropped reaches the next.
///
/// Fault: `Notified::drop` does not call `notify_one`.
#[test]
fn a_cancelled_waiter_passes_the_notification_on() {
    explore(None, || {
        let notify = Arc::new(Notify::new());
        let leaver = {
            let notify = notify.clone();
            thread::spawn(move || poll_and_drop(notify.notified()))
        };
        notify.notify_one();
        let used = leaver.join().unwrap();
        if !used {
            block_on(notify.notified());
        }
    });
}

/// A task that waits for a condition sees the change that was made before a wake-up.
///
/// Fault: `WaitUntil::poll` does not look again after it has enrolled.
#[test]
fn a_wait_against_wake_sees_the_change() {
    explore(None, || {
        let queue = Arc::new(WaitQueue::new());
        let items = Arc::new(AtomicUsize::new(0));
        let waiter = {
            let (queue, items) = (queue.clone(), items.clone());
            thread::spawn(move || {
                block_on(queue.wait_until(|| (items.load(Ordering::Relaxed) == 1).then_some(())));
            })
        };
        // Relaxed on purpose: the order is for the queue to see to.
        items.store(1, Ordering::Relaxed);
        queue.wake_one();
        waiter.join().unwrap();
    });
}

/// A wake-up that chose a waiter which goes away passes to the next one.
///
/// Fault: `WaitUntil::leave` does not call `wake_one`.
#[test]
fn a_cancelled_waiter_passes_the_wake_up_on() {
    explore(None, || {
        let queue = Arc::new(WaitQueue::new());
        let items = Arc::new(AtomicUsize::new(0));
        let take = |items: &AtomicUsize| {
            items
                .compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst)
                .ok()
        };
        let (_, waker) = counting();
        let mut context = Context::from_waker(&waker);
        let mut leaver = std::boxed::Box::pin(queue.wait_until(|| None::<()>));
        assert!(leaver.as_mut().poll(&mut context) == Poll::Pending);
        let waiter = {
            let (queue, items) = (queue.clone(), items.clone());
            thread::spawn(move || block_on(queue.wait_until(|| take(&items))))
        };
        let producer = {
            let (queue, items) = (queue.clone(), items.clone());
            thread::spawn(move || {
                items.store(1, Ordering::SeqCst);
                queue.wake_one();
            })
        };
        drop(leaver);
        waiter.join().unwrap();
        producer.join().unwrap();
    });
}

/// All waiters are woken, once each, beyond the size of a batch (two, under
/// `loom`).
///
/// Fault: `WaitQueue::wake_while` returns after the first batch.
#[test]
fn wake_all_wakes_all() {
    explore(None, || {
        let queue = WaitQueue::new();
        let counts: std::vec::Vec<_> = (0..3).map(|_| counting()).collect();
        let mut waiters: std::vec::Vec<_> = (0..3)
            .map(|_| std::boxed::Box::pin(queue.wait_until(|| None::<()>)))
            .collect();
        for (waiter, (_, waker)) in waiters.iter_mut().zip(&counts) {
            assert!(
                waiter
                    .as_mut()
                    .poll(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        assert_eq!(queue.wake_all(), 3);
        for (count, _) in &counts {
            assert_eq!(count.get(), 1);
        }
    });
}
