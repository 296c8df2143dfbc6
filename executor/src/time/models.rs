//! A timer without an executor, for the models.

use super::entry::TimerEntry;
use super::timers::{Inserted, Timers};
use alloc::boxed::Box;
use core::pin::Pin;
use core::task::Waker;
use std::sync::Arc;

pub(crate) fn timers() -> Timers {
    Timers::new()
}

/// What [`Sleep`](super::Sleep) does, with the wheel at hand.
pub(crate) struct Timer {
    timers: Arc<Timers>,
    entry: Pin<Box<TimerEntry>>,
}

impl Timer {
    pub(crate) fn insert(timers: &Arc<Timers>, deadline: u64, waker: &Waker) -> Self {
        let entry = Box::pin(TimerEntry::new(deadline));
        // SAFETY: the entry is new, and cancelled when it is dropped.
        let inserted = unsafe { timers.insert(entry.as_ref(), waker) };
        assert!(matches!(inserted, Inserted::Nearest(_)));
        Self {
            timers: timers.clone(),
            entry,
        }
    }

    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        // SAFETY: the entry was inserted there.
        unsafe { self.timers.poll(self.entry.as_ref(), waker) }
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.entry.has_fired()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the entry was inserted there.
        unsafe { self.timers.cancel(self.entry.as_ref()) };
        // Now it is ours alone: `loom` looks for any other use of it.
        self.entry.assert_own();
    }
}
