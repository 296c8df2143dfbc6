//! Wakes the receiver of a queue that senders fill.
//!
//! The receiver loads its queue, stores that the bell is set, executes a SeqCst fence, and
//! loads the queue again. A sender stores a value into the queue, executes a SeqCst fence, and
//! loads whether the bell is set. One of the two last loads observes the other side's store.
//! While the receiver does not wait, a ring costs a fence and a load of a cache line that is
//! rarely written.

use crate::facade::Lock;
use crate::facade::atomic::{AtomicBool, Ordering, fence};
use core::task::Waker;

pub(crate) struct Doorbell {
    set: AtomicBool,
    waker: Lock<Option<Waker>>,
}

impl Doorbell {
    pub(crate) fn new() -> Self {
        Self {
            set: AtomicBool::new(false),
            waker: Lock::new(None),
        }
    }

    /// The next ring will wake `waker`. The caller looks into its queue
    /// afterwards.
    pub(crate) fn set(&self, waker: &Waker) {
        let old = self.waker.with(|place| match place {
            Some(old) if old.will_wake(waker) => None,
            _ => place.replace(waker.clone()),
        });
        drop(old);
        self.set.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Something was put into the queue.
    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.set.load(Ordering::Relaxed) && self.set.swap(false, Ordering::Relaxed) {
            let waker = self.waker.with(Option::take);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
