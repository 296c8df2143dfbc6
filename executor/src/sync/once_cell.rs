//! A value that is made once, by an async function.

use super::mutex::Mutex;
use crate::facade::atomic::{AtomicBool, Ordering};
use crate::facade::{UnsafeCell, const_unless_loom};
use core::convert::Infallible;
use core::fmt;
use core::future::Future;

/// A cell that is filled once and read from then on without a lock.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// use executor::sync::OnceCell;
/// static CONFIG: OnceCell<u32> = OnceCell::new();
/// runtime.block_on(async {
///     assert_eq!(*CONFIG.get_or_init(async { 1 }).await, 1);
///     assert_eq!(*CONFIG.get_or_init(async { 2 }).await, 1);
/// });
/// ```
pub struct OnceCell<T> {
    /// The value is there. The Release store pairs with the Acquire load of
    /// each reader.
    filled: AtomicBool,
    /// Held by the task that fills the cell.
    filling: Mutex<()>,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written by the holder of the mutex, before `filled` is
// set, and only read afterwards.
unsafe impl<T: Send> Send for OnceCell<T> {}
// SAFETY: as above; a value may be made on one CPU and dropped on another.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_unless_loom! {
        /// An empty cell.
        pub const fn new() -> Self {
            Self {
                filled: AtomicBool::new(false),
                filling: Mutex::new(()),
                value: UnsafeCell::new(None),
            }
        }
    }

    /// The value, if it is there.
    pub fn get(&self) -> Option<&T> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the value is not written any more.
        self.value.with(|value| unsafe { &*value }.as_ref())
    }

    /// Fills the cell, unless it is filled or a task is about to.
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.filling.try_lock() {
            Some(_filling) if !self.filled.load(Ordering::Acquire) => {
                // SAFETY: the mutex is held and the cell is empty.
                unsafe { self.fill(value) };
                Ok(())
            }
            _ => Err(value),
        }
    }

    /// The value, which `make` makes if it is not there. One maker runs at a
    /// time.
    ///
    /// Cancellation-safe: if the task that makes it is dropped, the next maker
    /// runs.
    pub async fn get_or_init(&self, make: impl Future<Output = T>) -> &T {
        let made: Result<&T, Infallible> = self.get_or_try_init(async { Ok(make.await) }).await;
        match made {
            Ok(value) => value,
        }
    }

    /// As [`get_or_init`](Self::get_or_init), with a maker that may fail; the
    /// cell stays empty then.
    pub async fn get_or_try_init<E>(
        &self,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let _filling = self.filling.lock().await;
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let value = make.await?;
        // SAFETY: the mutex is held and the cell is empty.
        Ok(unsafe { self.fill(value) })
    }

    /// # Safety
    ///
    /// The caller holds the mutex, and the cell is empty.
    unsafe fn fill(&self, value: T) -> &T {
        let value = self.value.with_mut(|place| {
            // SAFETY: by the contract no other task looks at the value.
            unsafe { &mut *place }.insert(value) as &T
        });
        self.filled.store(true, Ordering::Release);
        value
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.get()).finish()
    }
}
