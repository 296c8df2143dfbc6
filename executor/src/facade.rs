//! Atomics, cells and the spin lock, switched between `core` and `loom`.
//!
//! Everything in this crate that two CPUs may touch goes through this module,
//! so that the code that ships is the code that is model-checked.

#[cfg(not(loom))]
pub(crate) mod atomic {
    pub(crate) use core::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    };
}

#[cfg(loom)]
mod modelled;

#[cfg(loom)]
pub(crate) mod atomic {
    pub(crate) use super::modelled::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    };
    pub(crate) use loom::sync::atomic::{Ordering, fence};
}

/// How many spin locks are held here.
pub(crate) mod held;

/// A cell that is only ever reached through closures, so that `loom` can see
/// each access begin and end.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// What a CPU does while it waits for a few instructions of another one.
///
/// On the host the other "CPU" is a thread that may have been descheduled, so
/// there the time slice is given away.
#[cfg(not(loom))]
pub(crate) fn spin_hint() {
    #[cfg(feature = "std")]
    std::thread::yield_now();
    #[cfg(not(feature = "std"))]
    core::hint::spin_loop();
}

#[cfg(loom)]
pub(crate) fn spin_hint() {
    loom::thread::yield_now();
}

/// A spin lock that is held for a few instructions and never across an
/// `.await` (rule E1): it is only reachable through a closure. The host's debug build counts
/// those that are held (see [`held`]).
///
/// It does not mask interrupts. The platform promises that no interrupt
/// handler calls into this crate while the code that it interrupted is inside
/// it (see [`Platform`](crate::Platform)).
pub(crate) struct Lock<T> {
    #[cfg(not(loom))]
    inner: spin::mutex::SpinMutex<T, Relax>,
    #[cfg(loom)]
    inner: loom::sync::Mutex<T>,
}

#[cfg(not(loom))]
struct Relax;

#[cfg(not(loom))]
impl spin::RelaxStrategy for Relax {
    #[inline]
    fn relax() {
        spin_hint();
    }
}

impl<T> Lock<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: T) -> Self {
        Self {
            inner: spin::mutex::SpinMutex::new(value),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: loom::sync::Mutex::new(value),
        }
    }

    /// Runs `f` with the lock held.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(not(loom))]
        let mut guard = self.inner.lock();
        #[cfg(loom)]
        let mut guard = match self.inner.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        let _held = held::Held::new();
        f(&mut guard)
    }

    /// Runs `f` with the lock held, unless another CPU holds it.
    #[inline]
    pub(crate) fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        #[cfg(not(loom))]
        let guard = self.inner.try_lock();
        #[cfg(loom)]
        let guard = self.inner.try_lock().ok();
        guard.map(|mut guard| {
            let _held = held::Held::new();
            f(&mut guard)
        })
    }
}

/// `const fn` in the code that ships; `loom`'s atomics cannot be made in a
/// constant, so there it is a plain `fn`.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis const fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        $vis const fn $name($($arg: $ty),*) -> $ret $body

        #[cfg(loom)]
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}
pub(crate) use const_unless_loom;
