//! The channels.

use super::{counting, explore};
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::sync::models::Doorbell;
use crate::sync::{Barrier, CancellationToken, OnceCell, broadcast, mpsc, oneshot, watch};
use loom::future::block_on;
use loom::thread;
use std::sync::Arc;

/// A value that is sent is received, whatever the receiver does meanwhile.
///
/// Fault: `Receiver::enrol` returns true always.
#[test]
fn a_oneshot_send_against_receive_is_woken() {
    explore(None, || {
        let (sender, receiver) = oneshot::channel();
        let receiving = thread::spawn(move || block_on(receiver));
        sender.send(7).unwrap();
        assert_eq!(receiving.join().unwrap(), Ok(7));
    });
}

/// A sender that goes away without sending ends the wait.
///
/// Fault: `Sender::drop` does nothing.
#[test]
fn a_oneshot_close_against_receive_is_woken() {
    explore(None, || {
        let (sender, receiver) = oneshot::channel::<u32>();
        let receiving = thread::spawn(move || block_on(receiver));
        drop(sender);
        assert_eq!(receiving.join().unwrap(), Err(oneshot::Closed));
    });
}

/// A value that is sent to a receiver that goes away this moment comes back, or
/// is dropped with the channel: exactly one of the two.
///
/// Fault: `Sender::send` returns `Ok` whatever `finish` says, and forgets the
/// value.
#[test]
fn a_oneshot_send_against_drop_loses_no_value() {
    explore(None, || {
        let value = std::sync::Arc::new(());
        let (sender, receiver) = oneshot::channel();
        let dropper = thread::spawn(move || drop(receiver));
        let back = sender.send(value.clone());
        dropper.join().unwrap();
        let held = usize::from(back.is_err());
        assert_eq!(std::sync::Arc::strong_count(&value), 1 + held);
    });
}

/// A receiver that is about to wait sees what is sent this moment, or is woken.
///
/// The queue itself is `crossbeam_queue`'s, whose atomics `loom` does not see;
/// what is modelled is the bell, with a relaxed counter as the queue.
///
/// Fault: no fence in `Doorbell::set`, or none in `Doorbell::ring`.
#[test]
fn a_ring_against_set_is_heard() {
    explore(None, || {
        let bell = Arc::new(Doorbell::new());
        let items = Arc::new(AtomicUsize::new(0));
        let (count, waker) = counting();
        let sender = {
            let (bell, items) = (bell.clone(), items.clone());
            thread::spawn(move || {
                items.store(1, Ordering::Relaxed);
                bell.ring();
            })
        };
        bell.set(&waker);
        let seen = items.load(Ordering::Relaxed) == 1;
        sender.join().unwrap();
        assert!(seen || count.get() == 1, "the receiver waits for ever");
    });
}

/// All that is sent before the last sender goes is received before the end.
///
/// Fault: `Receiver::try_recv` does not look into the queue again after it has
/// seen that no sender is left.
#[test]
fn the_end_of_a_channel_comes_after_its_values() {
    explore(Some(3), || {
        let (sender, mut receiver) = mpsc::unbounded();
        let sending = thread::spawn(move || sender.send(7).unwrap());
        let received = block_on(async { (receiver.recv().await, receiver.recv().await) });
        sending.join().unwrap();
        assert_eq!(received, (Some(7), None));
    });
}

/// A sender that waits for room goes on when a value is taken.
///
/// Fault: `Channel::pop` does not call `wake_one`.
#[test]
fn a_full_channel_lets_the_next_in() {
    explore(Some(3), || {
        let (sender, mut receiver) = mpsc::channel(1);
        let sending = thread::spawn(move || {
            block_on(async {
                sender.send(1).await.unwrap();
                sender.send(2).await.unwrap();
            });
        });
        let received = block_on(async { (receiver.recv().await, receiver.recv().await) });
        sending.join().unwrap();
        assert_eq!(received, (Some(1), Some(2)));
    });
}

/// Every receiver of a broadcast is woken.
///
/// Fault: `Sender::send` calls `wake_one` instead of `wake_all`.
#[test]
fn a_broadcast_reaches_all() {
    explore(Some(3), || {
        let (sender, first) = broadcast::channel(2);
        let receivers = [sender.subscribe(), first].map(|mut receiver| {
            thread::spawn(move || block_on(async { receiver.recv().await.unwrap() }))
        });
        sender.send(7);
        for receiver in receivers {
            assert_eq!(receiver.join().unwrap(), 7);
        }
    });
}

/// A task that waits for a change sees the last one, and the end after it.
///
/// Fault: `Sender::drop` does not wake.
#[test]
fn a_watch_shows_the_last_value_and_the_end() {
    explore(None, || {
        let (sender, mut receiver) = watch::channel(0);
        let watching = thread::spawn(move || {
            block_on(async {
                while receiver.changed().await.is_ok() {}
                *receiver.borrow()
            })
        });
        sender.send(1);
        drop(sender);
        assert_eq!(watching.join().unwrap(), 1);
    });
}

/// All tasks that wait at a barrier go on, and one of them leads.
///
/// Fault: `Barrier::wait` of the last one does not wake.
#[test]
fn a_barrier_lets_all_go_on() {
    explore(None, || {
        let barrier = Arc::new(Barrier::new(2));
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || block_on(barrier.wait()))
        };
        let leads = block_on(barrier.wait());
        assert_ne!(other.join().unwrap(), leads);
    });
}

/// A cell is filled once, and a task that gets the value sees all of it.
///
/// Fault: `OnceCell::fill` sets `filled` before it writes the value; or
/// `get_or_try_init` does not look again with the mutex held.
#[test]
fn a_once_cell_is_filled_once() {
    explore(None, || {
        let cell = Arc::new(OnceCell::new());
        let other = {
            let cell = cell.clone();
            thread::spawn(move || block_on(async { *cell.get_or_init(async { 1 }).await }))
        };
        let mine = block_on(async { *cell.get_or_init(async { 2 }).await });
        assert_eq!(other.join().unwrap(), mine);
    });
}

/// A cancellation reaches a child that is made this moment.
///
/// Fault: `CancellationToken::cancel` takes the children with the lock held, and
/// sets the flag after it.
#[test]
fn a_cancellation_reaches_a_new_child() {
    explore(None, || {
        let token = CancellationToken::new();
        let task = {
            let token = token.clone();
            thread::spawn(move || {
                let child = token.child();
                block_on(child.cancelled());
            })
        };
        token.cancel();
        task.join().unwrap();
    });
}
