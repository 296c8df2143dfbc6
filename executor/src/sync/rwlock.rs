//! A lock for many readers or one writer, whose guards may be held across an
//! `.await` and sent to other CPUs.

use super::raw_lock::{Acquiring, Mode, RawLock};
use crate::facade::{UnsafeCell, const_unless_loom};
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll};

/// A reader-writer lock that tasks await. Fair: first come, first served, so
/// neither readers nor writers starve.
///
/// A task that holds a read guard must not ask for another one: a writer
/// between the two waits for the first, and the second for the writer.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// use executor::sync::RwLock;
/// let lock = RwLock::new(1);
/// runtime.block_on(async {
///     *lock.write().await += 1;
///     let (a, b) = (lock.read().await, lock.try_read());
///     assert_eq!(*a + *b.unwrap(), 4);
/// });
/// ```
pub struct RwLock<T> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the value to one task at a time, on any CPU.
unsafe impl<T: Send> Send for RwLock<T> {}
// SAFETY: as above, and readers share it.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    const_unless_loom! {
        /// A free lock around `value`.
        pub const fn new(value: T) -> Self {
            Self { raw: RawLock::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Waits until no writer has the lock and none waits before us, and takes
    /// it with the other readers. Cancellation-safe, as [`write`](Self::write).
    pub fn read(&self) -> ReadFuture<'_, T> {
        ReadFuture {
            lock: self,
            acquiring: self.raw.acquire(Mode::Shared),
        }
    }

    /// Waits until the lock is free, and takes it alone.
    ///
    /// Cancellation-safe: a task that stops waiting gives up its place. If the lock has
    /// been handed to it already, it hands the lock on.
    pub fn write(&self) -> WriteFuture<'_, T> {
        WriteFuture {
            lock: self,
            acquiring: self.raw.acquire(Mode::Exclusive),
        }
    }

    /// Takes the lock as a reader, if no writer has it or waits for it.
    pub fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        self.raw
            .try_acquire(Mode::Shared)
            .then(|| ReadGuard::new(self))
    }

    /// Takes the lock as the writer, if it is free.
    pub fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        self.raw
            .try_acquire(Mode::Exclusive)
            .then(|| WriteGuard::new(self))
    }

    /// The value, which needs no lock when it is had exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` is the only access.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => f.field("value", &*guard).finish(),
            None => f.finish_non_exhaustive(),
        }
    }
}

/// The future of [`RwLock::read`].
#[must_use = "futures do nothing unless awaited"]
pub struct ReadFuture<'a, T> {
    lock: &'a RwLock<T>,
    acquiring: Acquiring<'a>,
}

impl<'a, T> Future for ReadFuture<'a, T> {
    type Output = ReadGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let lock = self.lock;
        // SAFETY: the field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.acquiring) };
        acquiring.poll(context).map(|()| ReadGuard::new(lock))
    }
}

impl<T> fmt::Debug for ReadFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadFuture").finish_non_exhaustive()
    }
}

/// The future of [`RwLock::write`].
#[must_use = "futures do nothing unless awaited"]
pub struct WriteFuture<'a, T> {
    lock: &'a RwLock<T>,
    acquiring: Acquiring<'a>,
}

impl<'a, T> Future for WriteFuture<'a, T> {
    type Output = WriteGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let lock = self.lock;
        // SAFETY: the field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.acquiring) };
        acquiring.poll(context).map(|()| WriteGuard::new(lock))
    }
}

impl<T> fmt::Debug for WriteFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteFuture").finish_non_exhaustive()
    }
}

/// A reader's right to the value of an [`RwLock`].
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct ReadGuard<'a, T> {
    lock: &'a RwLock<T>,
}

impl<'a, T> ReadGuard<'a, T> {
    /// The caller holds the lock as a reader.
    fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock }
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.raw.release(Mode::Shared);
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The writer's right to the value of an [`RwLock`].
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct WriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    value: PhantomData<&'a mut T>,
}

impl<'a, T> WriteGuard<'a, T> {
    /// The caller holds the lock as the writer.
    fn new(lock: &'a RwLock<T>) -> Self {
        Self {
            lock,
            value: PhantomData,
        }
    }

    /// Lets other readers in and keeps the lock as a reader; no writer comes
    /// in between.
    pub fn downgrade(self) -> ReadGuard<'a, T> {
        let lock = self.lock;
        core::mem::forget(self);
        lock.raw.downgrade();
        ReadGuard::new(lock)
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.raw.release(Mode::Exclusive);
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
