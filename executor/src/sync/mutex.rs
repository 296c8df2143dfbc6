//! A mutex whose guard may be held across an `.await`.

use super::raw_lock::{Acquiring, Mode, RawLock};
use crate::facade::{UnsafeCell, const_unless_loom};
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll};

/// A mutual exclusion lock that tasks await. Fair: first come, first served.
///
/// Taking it costs one atomic operation when it is free.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// use executor::sync::Mutex;
/// static TOTAL: Mutex<u32> = Mutex::new(0);
/// runtime.block_on(async {
///     *TOTAL.lock().await += 1;
///     assert_eq!(*TOTAL.lock().await, 1);
/// });
/// ```
pub struct Mutex<T> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the value to one task at a time, on any CPU.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_unless_loom! {
        /// A free mutex around `value`.
        pub const fn new(value: T) -> Self {
            Self { raw: RawLock::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Waits until the mutex is free and takes it.
    ///
    /// Cancellation-safe: a task that stops waiting gives up its place. If the mutex
    /// has been handed to it already, it hands the mutex on.
    pub fn lock(&self) -> LockFuture<'_, T> {
        LockFuture {
            mutex: self,
            acquiring: self.raw.acquire(Mode::Exclusive),
        }
    }

    /// Takes the mutex if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw
            .try_acquire(Mode::Exclusive)
            .then(|| MutexGuard::new(self))
    }

    /// The value, which needs no lock when it is had exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` is the only access.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => f.field("value", &*guard).finish(),
            None => f.finish_non_exhaustive(),
        }
    }
}

/// The future of [`Mutex::lock`].
#[must_use = "futures do nothing unless awaited"]
pub struct LockFuture<'a, T> {
    mutex: &'a Mutex<T>,
    acquiring: Acquiring<'a>,
}

impl<'a, T> Future for LockFuture<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mutex = self.mutex;
        // SAFETY: the field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.acquiring) };
        acquiring.poll(context).map(|()| MutexGuard::new(mutex))
    }
}

impl<T> fmt::Debug for LockFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockFuture").finish_non_exhaustive()
    }
}

/// The right to the value of a [`Mutex`], until it is dropped.
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// A shared guard gives `&T` away, so it is `Sync` only if `T` is.
    value: PhantomData<&'a mut T>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// The caller holds the lock.
    fn new(mutex: &'a Mutex<T>) -> Self {
        Self {
            mutex,
            value: PhantomData,
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.raw.release(Mode::Exclusive);
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
