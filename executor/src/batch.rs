//! Wakers taken out of a list under its lock, woken after it is released.

use core::mem::MaybeUninit;
use core::task::Waker;

/// How many wakers are taken in one go.
pub(crate) const CAPACITY: usize = if cfg!(loom) { 2 } else { 32 };

pub(crate) struct WakeBatch {
    /// The first `len` are there. Not `Option`s: an empty batch is made at each
    /// wake-up, and shall cost nothing.
    wakers: [MaybeUninit<Waker>; CAPACITY],
    len: usize,
}

impl WakeBatch {
    pub(crate) const fn new() -> Self {
        Self {
            wakers: [const { MaybeUninit::uninit() }; CAPACITY],
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
        if let Some(waker) = waker
            && let Some(place) = self.wakers.get_mut(self.len)
        {
            place.write(waker);
            self.len += 1;
        }
    }

    /// Wakes them, in order. No lock is held.
    pub(crate) fn wake(&mut self) {
        let len = core::mem::take(&mut self.len);
        for waker in self.wakers.iter().take(len) {
            // SAFETY: it is one of the first `len`, and the length is 0 now, so
            // it is read once. (Should a waker panic, the rest is leaked.)
            unsafe { waker.assume_init_read() }.wake();
        }
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        // A batch that was not woken has lost wake-ups.
        debug_assert_eq!(self.len, 0, "wakers were taken and not woken");
    }
}
