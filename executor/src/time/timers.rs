//! The timers of one CPU: a wheel under its lock, and the time of its next event, which is
//! read without the lock.

use super::entry::TimerEntry;
use super::wheel::{Due, Turned, Wheel};
use crate::batch::WakeBatch;
use crate::facade::Lock;
use crate::facade::atomic::{AtomicU64, Ordering};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::Waker;

const NEVER: u64 = u64::MAX;

/// The steps of the wheel for which its lock is held in one go.
const STEPS: usize = crate::batch::CAPACITY;

pub(crate) struct Timers {
    wheel: Lock<Wheel>,
    /// The wheel's next event, so that the worker need not lock to see that
    /// there is nothing to do. Written with the lock held.
    next: AtomicU64,
}

/// What inserting a timer did.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It is in the wheel.
    Later,
    /// It is in the wheel, whose next event is now this one, earlier than
    /// before: the hardware timer has to be armed for it.
    Nearest(u64),
    /// Its time has come already: it counts as gone off.
    Due,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            wheel: Lock::new(Wheel::new()),
            next: AtomicU64::new(NEVER),
        }
    }

    /// When the wheel wants to be turned next.
    pub(crate) fn next(&self) -> Option<u64> {
        // Relaxed: the owner CPU observes its own stores. A CPU that inserts here from elsewhere
        // goes through the parking protocol afterwards, whose fences order its store.
        Some(self.next.load(Ordering::Relaxed)).filter(|&next| next != NEVER)
    }

    fn publish(&self, wheel: &Wheel) {
        self.next
            .store(wheel.next_event().unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Puts a timer in that wakes `waker` at its deadline.
    ///
    /// # Safety
    ///
    /// The entry is in no wheel. It is given to [`cancel`](Self::cancel) before
    /// it is dropped, unless it has fired.
    pub(super) unsafe fn insert(&self, entry: Pin<&TimerEntry>, waker: &Waker) -> Inserted {
        let entry = NonNull::from(entry.get_ref());
        // SAFETY: in no wheel yet, so it is the caller's alone.
        let old = unsafe { TimerEntry::set_waker(entry, waker) };
        drop(old);
        self.wheel.with(|wheel| {
            let before = self.next.load(Ordering::Relaxed);
            // SAFETY: the entry is pinned, and by the contract taken out
            // before it is dropped.
            match unsafe { wheel.insert(entry) } {
                Err(Due) => {
                    // SAFETY: it is in no wheel.
                    unsafe { TimerEntry::mark_fired(entry) };
                    Inserted::Due
                }
                Ok(()) => {
                    self.publish(wheel);
                    let after = self.next.load(Ordering::Relaxed);
                    if after < before {
                        Inserted::Nearest(after)
                    } else {
                        Inserted::Later
                    }
                }
            }
        })
    }

    /// Has the timer gone off? If not, it will wake `waker`.
    ///
    /// # Safety
    ///
    /// The entry was inserted here.
    pub(super) unsafe fn poll(&self, entry: Pin<&TimerEntry>, waker: &Waker) -> bool {
        if entry.has_fired() {
            return true;
        }
        let (fired, old) = self.wheel.with(|_| {
            if entry.has_fired() {
                return (true, None);
            }
            // SAFETY: the lock is held.
            let old = unsafe { TimerEntry::set_waker(NonNull::from(entry.get_ref()), waker) };
            (false, old)
        });
        drop(old);
        fired
    }

    /// Takes a timer out, unless it has gone off.
    ///
    /// # Safety
    ///
    /// The entry was inserted here.
    pub(super) unsafe fn cancel(&self, entry: Pin<&TimerEntry>) {
        if entry.has_fired() {
            return;
        }
        let pointer = NonNull::from(entry.get_ref());
        let waker = self.wheel.with(|wheel| {
            if entry.has_fired() {
                return None;
            }
            // SAFETY: the lock is held, and an entry that was inserted and has
            // not fired is in the wheel.
            unsafe {
                wheel.remove(pointer, TimerEntry::position(pointer));
                self.publish(wheel);
                TimerEntry::take_waker(pointer)
            }
        });
        drop(waker);
    }

    /// Turns the wheel to `now` and wakes the tasks whose deadlines have passed. Returns how
    /// many.
    pub(crate) fn fire(&self, now: u64) -> u64 {
        let mut count = 0;
        loop {
            let mut batch = WakeBatch::new();
            let more = self.wheel.with(|wheel| {
                let mut more = true;
                for _ in 0..STEPS {
                    match wheel.turn(now) {
                        Some(Turned::Fired(entry)) => {
                            count += 1;
                            // SAFETY: the lock is held; the flag is set last.
                            unsafe {
                                batch.push(TimerEntry::take_waker(entry));
                                TimerEntry::mark_fired(entry);
                            }
                        }
                        Some(Turned::MovedDown) => {}
                        None => {
                            more = false;
                            break;
                        }
                    }
                }
                self.publish(wheel);
                more
            });
            // With the lock released (rule E1).
            batch.wake();
            if !more {
                return count;
            }
        }
    }
}
