//! A channel for one value.
//!
//! ```
//! # let runtime = executor::host::Runtime::new(1);
//! use executor::sync::oneshot;
//! let (sender, receiver) = oneshot::channel();
//! sender.send("value").unwrap();
//! assert_eq!(runtime.block_on(receiver), Ok("value"));
//!
//! let (sender, receiver) = oneshot::channel::<u32>();
//! drop(sender);
//! assert_eq!(runtime.block_on(receiver), Err(oneshot::Closed));
//! ```

use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicU8, Ordering};
use crate::task::Label;
use crate::task::context::waits_for;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

static LABEL: Label = Label("oneshot");

/// The waker's field is filled and lent to the sender. The receiver sets and
/// clears it; while it is clear, the field is the receiver's.
const WAKER: u8 = 1;
/// The sender is done: the value's field, filled or not, is the receiver's, and
/// the waker's field is the sender's if `WAKER` was set. Never cleared.
const SENT: u8 = 2;
/// The receiver is gone: a value that is sent later stays the sender's. Never
/// cleared.
const CLOSED: u8 = 4;

struct Inner<T> {
    state: AtomicU8,
    value: UnsafeCell<Option<T>>,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the state bits say which side may touch which field; the value goes from
// one side to the other.
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Inner<T> {}

/// The sending half.
pub struct Sender<T> {
    inner: Arc<Inner<T>>,
    done: bool,
}

/// The receiving half: a future. Cancellation-safe: polling it again later
/// loses nothing.
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    inner: Arc<Inner<T>>,
}

/// The sender was dropped without sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender was dropped without sending")
    }
}

impl core::error::Error for Closed {}

/// Makes a channel.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let inner = Arc::new(Inner {
        state: AtomicU8::new(0),
        value: UnsafeCell::new(None),
        waker: UnsafeCell::new(None),
    });
    (
        Sender {
            inner: Arc::clone(&inner),
            done: false,
        },
        Receiver { inner },
    )
}

impl<T> Inner<T> {
    /// # Safety
    ///
    /// The caller owns the value's field.
    unsafe fn take_value(&self) -> Option<T> {
        // SAFETY: by the contract.
        self.value.with_mut(|value| unsafe { (*value).take() })
    }

    /// The sender is done. False: the receiver is gone.
    fn finish(&self) -> bool {
        let old = self.state.fetch_or(SENT, Ordering::AcqRel);
        if old & CLOSED != 0 {
            return false;
        }
        if old & WAKER != 0 {
            let waker = self
                .waker
                // SAFETY: both bits are set, so the field is the sender's.
                .with_mut(|waker| unsafe { (*waker).take() });
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        true
    }
}

impl<T> Sender<T> {
    /// Sends the value, or gives it back if the receiver is gone.
    pub fn send(mut self, value: T) -> Result<(), T> {
        self.done = true;
        // SAFETY: until `SENT` is set the field is the sender's.
        self.inner
            .value
            .with_mut(|place| unsafe { *place = Some(value) });
        if self.inner.finish() {
            return Ok(());
        }
        // SAFETY: the receiver was gone before `SENT`, so it never looks.
        match unsafe { self.inner.take_value() } {
            Some(value) => Err(value),
            None => Ok(()),
        }
    }

    /// Is the receiver gone?
    pub fn is_closed(&self) -> bool {
        self.inner.state.load(Ordering::Relaxed) & CLOSED != 0
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if !self.done {
            self.inner.finish();
        }
    }
}

impl<T> Receiver<T> {
    /// The value, if it has been sent. `None`: not yet.
    pub fn try_receive(&mut self) -> Option<Result<T, Closed>> {
        if self.inner.state.load(Ordering::Acquire) & SENT == 0 {
            return None;
        }
        // SAFETY: `SENT` makes the field the receiver's.
        Some(unsafe { self.inner.take_value() }.ok_or(Closed))
    }

    /// Leaves the waker with the sender. False: the sender is done.
    fn enrol(&mut self, context: &Context<'_>) -> bool {
        let state = &self.inner.state;
        let mut now = state.load(Ordering::Relaxed);
        if now & WAKER != 0 {
            now = state.fetch_and(!WAKER, Ordering::AcqRel);
        }
        if now & SENT != 0 {
            return false;
        }
        self.inner.waker.with_mut(|waker| {
            // SAFETY: the bit is clear and was clear before the sender was
            // done, so the field is ours.
            let waker = unsafe { &mut *waker };
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                *waker = Some(context.waker().clone());
            }
        });
        state.fetch_or(WAKER, Ordering::AcqRel) & SENT == 0
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.try_receive() {
            return Poll::Ready(result);
        }
        if self.enrol(context) {
            waits_for(context, &LABEL);
            return Poll::Pending;
        }
        match self.try_receive() {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let old = self.inner.state.fetch_or(CLOSED, Ordering::AcqRel);
        if old & SENT != 0 {
            // SAFETY: `SENT` makes the field the receiver's.
            drop(unsafe { self.inner.take_value() });
        }
    }
}

impl<T> Unpin for Receiver<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
