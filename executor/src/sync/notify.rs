//! A signal without a value.

use super::waiters::{Phase, Waiter, Waiters};
use crate::batch::WakeBatch;
use crate::facade::{Lock, const_unless_loom};
use crate::task::Label;
use crate::task::context::waits_for;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

static LABEL: Label = Label("notification");

/// Tells tasks that something has happened.
///
/// [`notify_one`](Self::notify_one) without a waiter is kept for the
/// next one; several are kept as one.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// use executor::sync::Notify;
/// let notify = Notify::new();
/// notify.notify_one();
/// runtime.block_on(notify.notified());
/// ```
pub struct Notify {
    inner: Lock<Inner>,
}

struct Inner {
    /// A notification that no waiter has had yet. Set only while the list is empty.
    kept: bool,
    waiters: Waiters,
}

impl Notify {
    const_unless_loom! {
        /// Nothing has happened yet.
        pub const fn new() -> Self {
            Self { inner: Lock::new(Inner { kept: false, waiters: Waiters::new() }) }
        }
    }

    /// Waits for a notification.
    ///
    /// Cancellation-safe: a notification by `notify_one` that was given to a waiter that is
    /// dropped is passed on, or kept.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            waiter: Waiter::new(),
        }
    }

    /// Wakes the task that has waited longest, or keeps the notification for the
    /// next one.
    pub fn notify_one(&self) {
        let waker = self.inner.with(|inner| {
            if inner.waiters.is_empty() {
                inner.kept = true;
                None
            } else {
                inner.waiters.take_first(Phase::Granted)
            }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes all tasks that wait now, which means that their future has been polled. Keeps nothing.
    pub fn notify_waiters(&self) {
        let mut horizon = None;
        loop {
            let mut batch = WakeBatch::new();
            let more = self.inner.with(|Inner { waiters, .. }| {
                let horizon = *horizon.get_or_insert(waiters.horizon());
                while waiters.first().is_some_and(|order| order < horizon) {
                    if batch.is_full() {
                        return true;
                    }
                    batch.push(waiters.take_first(Phase::Released));
                }
                false
            });
            batch.wake();
            if !more {
                return;
            }
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("kept", &self.inner.with(|inner| inner.kept))
            .finish_non_exhaustive()
    }
}

/// The future of [`Notify::notified`].
#[must_use = "futures do nothing unless awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    waiter: Waiter,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.into_ref().get_ref();
        // SAFETY: the waiter is pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let (phase, old) = this.notify.inner.with(|inner| {
            if waiter.is_enrolled() {
                // SAFETY: the waiter is used with this list only.
                return unsafe { inner.waiters.check(waiter, context.waker()) };
            }
            if core::mem::take(&mut inner.kept) {
                return (Phase::Granted, None);
            }
            // SAFETY: `drop` takes the waiter out, and it is enrolled once.
            unsafe { inner.waiters.enrol_in_order(waiter, context.waker()) };
            (Phase::Waiting, None)
        });
        drop(old);
        if phase == Phase::Waiting {
            waits_for(context, &LABEL);
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if !self.waiter.is_enrolled() {
            return;
        }
        // SAFETY: it was enrolled, so it was pinned; it is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let (phase, waker) = self
            .notify
            .inner
            // SAFETY: the waiter is used with this list only.
            .with(|inner| unsafe { inner.waiters.remove(waiter) });
        drop(waker);
        if phase == Phase::Granted {
            self.notify.notify_one();
        }
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified")
            .field("enrolled", &self.waiter.is_enrolled())
            .finish_non_exhaustive()
    }
}
