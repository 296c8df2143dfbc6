//! A lock around a value (Drepper, "Futexes Are Tricky", mutex 2).

use core::cell::UnsafeCell;
use core::hint;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use super::SPINS;
use crate::sys::{Errno, futex, process};

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and a thread may sleep for it.
const CONTENDED: u32 = 2;

/// A value that one thread at a time can get at.
pub struct Mutex<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the one guard that there is at a time, so it is as if it were
// sent from thread to thread.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self {
            state: AtomicU32::new(FREE),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the lock. A thread that has it already waits for ever.
    pub fn lock(&self) -> Guard<'_, T> {
        for _ in 0..SPINS {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            hint::spin_loop();
        }
        // Acquire: pairs with the release in `drop`; so in `try_lock`.
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            if futex::wait(&self.state, CONTENDED) == Err(Errno::ENOSYS) {
                process::sched_yield();
            }
        }
        Guard(self)
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.state
            .compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            // Not `then_some`: a guard that is made for nothing unlocks when it is dropped.
            .then(|| Guard(self))
    }
}

/// The right to the value, until it is dropped.
pub struct Guard<'a, T>(&'a Mutex<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is one guard at a time, and this is it.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is one guard at a time, and it is borrowed alone.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // Release: what was done under the lock comes before the next owner's acquire.
        if self.0.state.swap(FREE, Ordering::Release) == CONTENDED {
            let _ = futex::wake(&self.0.state, 1);
        }
    }
}
