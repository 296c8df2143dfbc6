//! A fair counting semaphore.

use super::waiters::{Note, Phase, Waiter, Waiters};
use crate::batch::WakeBatch;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::{Lock, const_unless_loom};
use crate::task::Label;
use crate::task::context::{spend, unspend, waits_for};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

static LABEL: Label = Label("semaphore");

/// The list is not empty. Changes with the list's lock held only.
const WAITERS: usize = 1;
/// One free permit.
const PERMIT: usize = 2;

/// Hands out a number of permits.
///
/// Fair: who waits for many permits is not passed by those who want few.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// use executor::sync::Semaphore;
/// let slots = Semaphore::new(3);
/// runtime.block_on(async {
///     let two = slots.acquire(2).await;
///     assert!(slots.try_acquire(2).is_none());
///     drop(two);
///     assert_eq!(slots.available(), 3);
/// });
/// ```
pub struct Semaphore {
    /// Free permits above, [`WAITERS`] below. While somebody waits, permits
    /// that are given back go to the first in the list, as soon as there are
    /// enough for it.
    word: AtomicUsize,
    waiters: Lock<Waiters>,
}

impl Semaphore {
    /// The most permits there can be.
    pub const MAX_PERMITS: usize = usize::MAX >> 2;

    const_unless_loom! {
        /// A semaphore with `permits` free permits, at most
        /// [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "too many permits");
            Self { word: AtomicUsize::new(permits * PERMIT), waiters: Lock::new(Waiters::new()) }
        }
    }

    /// Waits for `count` permits. If there will never be so many, it waits for
    /// ever.
    ///
    /// Cancellation-safe: who goes away gives up its place, and gives back what
    /// it was given meanwhile.
    pub fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            count,
            waiter: Waiter::new(),
        }
    }

    /// Takes `count` permits if they are free and nobody waits.
    pub fn try_acquire(&self, count: usize) -> Option<Permit<'_>> {
        self.try_take(count).then(|| Permit {
            semaphore: self,
            count,
        })
    }

    fn try_take(&self, count: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WAITERS == 0 && word / PERMIT >= count {
            match self.word.compare_exchange_weak(
                word,
                word - count * PERMIT,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// How many permits are free.
    pub fn available(&self) -> usize {
        self.word.load(Ordering::Relaxed) / PERMIT
    }

    /// Adds permits, or gives back those that were
    /// [forgotten](Permit::forget).
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS) then.
    pub fn release(&self, count: usize) {
        // Release: who takes the permits sees what was done with them.
        let before = self.word.fetch_add(count * PERMIT, Ordering::Release);
        assert!(
            before / PERMIT + count <= Self::MAX_PERMITS,
            "too many permits"
        );
        if before & WAITERS != 0 {
            self.hand_out();
        }
    }

    /// Gives free permits to those who wait.
    fn hand_out(&self) {
        loop {
            let mut batch = WakeBatch::new();
            let more = self.waiters.with(|waiters| self.grant(waiters, &mut batch));
            batch.wake();
            if !more {
                return;
            }
        }
    }

    /// Gives permits to the first in the list while there are enough. True: the
    /// batch is full, and there may be more.
    fn grant(&self, waiters: &mut Waiters, batch: &mut WakeBatch) -> bool {
        while let Some(want) = waiters.first() {
            let want = want as usize;
            // With WAITERS set nobody takes permits but under the list's lock,
            // so what is free stays free. Acquire: see `release`.
            if self.word.load(Ordering::Acquire) / PERMIT < want {
                return false;
            }
            if batch.is_full() {
                return true;
            }
            self.word.fetch_sub(want * PERMIT, Ordering::Relaxed);
            batch.push(waiters.take_first(Phase::Granted));
        }
        self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        false
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish()
    }
}

/// The future of [`Semaphore::acquire`].
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    count: usize,
    waiter: Waiter,
}

impl<'a> Acquire<'a> {
    fn permit(&self) -> Permit<'a> {
        Permit {
            semaphore: self.semaphore,
            count: self.count,
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Permit<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit<'a>> {
        if spend(context).is_pending() {
            return Poll::Pending;
        }
        let polled = self.as_mut().poll_permit(context);
        if polled.is_pending() {
            unspend(context);
            waits_for(context, &LABEL);
        }
        polled
    }
}

impl<'a> Acquire<'a> {
    fn poll_permit(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit<'a>> {
        let this = self.into_ref().get_ref();
        // SAFETY: the waiter is pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let semaphore = this.semaphore;
        if waiter.is_enrolled() {
            let (phase, old) = semaphore.waiters.with(|waiters| {
                // SAFETY: the waiter is used with this list only.
                unsafe { waiters.check(waiter, context.waker()) }
            });
            drop(old);
            if phase == Phase::Waiting {
                return Poll::Pending;
            }
            return Poll::Ready(this.permit());
        }
        if semaphore.try_take(this.count) {
            return Poll::Ready(this.permit());
        }
        let taken = semaphore.waiters.with(|waiters| {
            let mut word = semaphore.word.load(Ordering::Relaxed);
            loop {
                let enough = word & WAITERS == 0 && word / PERMIT >= this.count;
                let new = if enough {
                    word - this.count * PERMIT
                } else {
                    word | WAITERS
                };
                match semaphore.word.compare_exchange_weak(
                    word,
                    new,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) if enough => return true,
                    Ok(_) => break,
                    Err(now) => word = now,
                }
            }
            // SAFETY: `drop` takes the waiter out, and it is enrolled once.
            unsafe { waiters.enrol(waiter, this.count as Note, context.waker()) };
            false
        });
        if taken {
            return Poll::Ready(this.permit());
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if !self.waiter.is_enrolled() {
            return;
        }
        let mut batch = WakeBatch::new();
        // SAFETY: it was enrolled, so it was pinned; it is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let (phase, waker, more) = self.semaphore.waiters.with(|waiters| {
            // SAFETY: the waiter is used with this list only.
            let (phase, waker) = unsafe { waiters.remove(waiter) };
            // Who wanted many may have stood before others who want few.
            let more = phase == Phase::Waiting && self.semaphore.grant(waiters, &mut batch);
            (phase, waker, more)
        });
        batch.wake();
        drop(waker);
        if phase == Phase::Granted {
            self.semaphore.release(self.count);
        } else if more {
            self.semaphore.hand_out();
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Permits of a [`Semaphore`], given back when this is dropped.
#[must_use = "permits that are dropped are given back at once"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// Keeps the permits taken; see [`Semaphore::release`].
    pub fn forget(self) {
        core::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release(self.count);
    }
}
