//! Timers.

use super::{counting, explore};
use crate::time::models::{Timer, timers};
use loom::thread;
use std::sync::Arc;

/// A timer that is cancelled while it goes off wakes at most once, and no CPU
/// touches its memory after the cancel.
///
/// Fault: in `Timers::fire`, `Entry::mark_fired` comes before
/// `Entry::take_waker`.
#[test]
fn a_cancel_against_fire_touches_nothing_afterwards() {
    explore(None, || {
        let timers = Arc::new(timers());
        let (count, waker) = counting();
        let timer = Timer::insert(&timers, 1_000_000, &waker);
        let firing = {
            let timers = timers.clone();
            thread::spawn(move || timers.fire(2_000_000))
        };
        // Dropping cancels and frees.
        drop(timer);
        let fired = firing.join().unwrap();
        assert_eq!(count.get() as u64, fired);
        assert_eq!(timers.next(), None);
    });
}

/// A task that polls a timer that goes off at the same time is woken, or finds it fired.
///
/// Fault: `Timers::poll` does not look at `has_fired` again with the lock held.
#[test]
fn a_poll_against_fire_is_woken_or_sees_it() {
    explore(None, || {
        let timers = Arc::new(timers());
        let (_, first) = counting();
        let (count, second) = counting();
        let timer = Timer::insert(&timers, 1_000_000, &first);
        let firing = {
            let timers = timers.clone();
            thread::spawn(move || timers.fire(2_000_000))
        };
        let fired = timer.poll(&second);
        firing.join().unwrap();
        assert!(fired || count.get() == 1);
        assert!(timer.has_fired());
    });
}
