//! Wakers taken out of a list under its lock, woken after it is released.

use core::task::Waker;

/// How many wakers are taken in one go.
pub(crate) const CAPACITY: usize = if cfg!(loom) { 2 } else { 32 };

pub(crate) struct WakeBatch {
    wakers: [Option<Waker>; CAPACITY],
    len: usize,
}

impl WakeBatch {
    pub(crate) const fn new() -> Self {
        Self {
            wakers: [const { None }; CAPACITY],
            len: 0,
        }
    }

    /// Is there no room for another?
    pub(crate) fn is_full(&self) -> bool {
        self.len >= CAPACITY
    }

    /// Adds a waker, if there is one. The caller has seen to it that there is
    /// room.
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        if waker.is_some()
            && let Some(place) = self.wakers.get_mut(self.len)
        {
            *place = waker;
            self.len += 1;
        }
    }

    /// Wakes them, in order. No lock is held.
    pub(crate) fn wake(mut self) {
        for waker in self.wakers.iter_mut().take(self.len) {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}
