//! A fair counting semaphore: a [`Handoff`] of permits.

use super::handoff::{Handoff, Resource, Taking, WAITERS};
use crate::facade::atomic::Ordering;
use crate::facade::const_unless_loom;
use crate::task::Label;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

static LABEL: Label = Label("semaphore");

/// One free permit: the word counts them above the bit [`WAITERS`].
const PERMIT: usize = WAITERS << 1;

/// The free permits of a semaphore.
struct Permits;

impl Resource for Permits {
    const LABEL: &'static Label = &LABEL;

    fn after(word: usize, count: usize) -> Option<usize> {
        (word / PERMIT >= count).then(|| word - count * PERMIT)
    }

    fn give_back(handoff: &Handoff<Self>, count: usize) {
        // Release: the task that takes the permits next (Acquire) observes what was done with
        // them.
        let before = handoff.word.fetch_add(count * PERMIT, Ordering::Release);
        assert!(
            before / PERMIT + count <= Semaphore::MAX_PERMITS,
            "too many permits"
        );
        if before & WAITERS != 0 {
            handoff.hand_over(0);
        }
    }
}

/// Hands out a number of permits.
///
/// Fair: a task that waits for many permits is not passed by tasks that want few.
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
    permits: Handoff<Permits>,
}

impl Semaphore {
    /// The most permits there can be.
    pub const MAX_PERMITS: usize = usize::MAX >> 2;

    const_unless_loom! {
        /// A semaphore with `permits` free permits, at most
        /// [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "too many permits");
            Self { permits: Handoff::new(permits * PERMIT) }
        }
    }

    /// Waits for `count` permits. If there will never be so many, it waits for
    /// ever.
    ///
    /// Cancellation-safe: a task that stops waiting gives up its place, and gives back what
    /// it was given before it was dropped.
    pub fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            taking: Taking::new(&self.permits, count),
        }
    }

    /// Takes `count` permits if they are free and no task waits.
    pub fn try_acquire(&self, count: usize) -> Option<Permit<'_>> {
        self.permits.try_take(count).then(|| Permit {
            semaphore: self,
            count,
        })
    }

    /// How many permits are free.
    pub fn available(&self) -> usize {
        self.permits.word.load(Ordering::Relaxed) / PERMIT
    }

    /// Adds permits, or gives back those that were
    /// [forgotten](Permit::forget).
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS) then.
    pub fn release(&self, count: usize) {
        Permits::give_back(&self.permits, count);
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
    taking: Taking<'a, Permits>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Permit<'a>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit<'a>> {
        let (semaphore, count) = (self.semaphore, self.taking.want);
        // SAFETY: the field is pinned with the future.
        let taking = unsafe { self.map_unchecked_mut(|this| &mut this.taking) };
        taking.poll(context).map(|()| Permit { semaphore, count })
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("count", &self.taking.want)
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
