//! Wakes the one who waits for a queue that others fill.
//!
//! The receiver looks into its queue, sets the bell, and looks again. Who puts
//! something in rings afterwards. Both have a sequentially consistent fence
//! between their two steps, so one of them sees the other; when nobody waits, a
//! ring costs a fence and a load of a line that is rarely written.

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
