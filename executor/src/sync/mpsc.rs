//! Channels from many senders to one receiver.
//!
//! ```
//! # let runtime = executor::host::Runtime::new(2);
//! # let executor = runtime.executor();
//! use executor::sync::mpsc;
//! let (sender, mut receiver) = mpsc::channel(4);
//! for i in 0..3 {
//!     let sender = sender.clone();
//!     executor.spawn("sender", async move { sender.send(i).await.unwrap() }).detach();
//! }
//! drop(sender);
//! let mut sum = 0;
//! runtime.block_on(async {
//!     while let Some(value) = receiver.recv().await {
//!         sum += value;
//!     }
//! });
//! assert_eq!(sum, 3);
//! ```
//!
//! The queues are `crossbeam_queue`'s: an array for a bounded channel, linked
//! blocks for an unbounded one, which therefore allocates when it grows.

use super::doorbell::Doorbell;
use super::wait_queue::WaitQueue;
use crate::facade::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::task::Label;
use crate::task::context::waits_for;
use crate::task::coop::{spend, unspend};
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use crossbeam_queue::{ArrayQueue, SegQueue};

static SPACE: Label = Label("channel: space");
static VALUE: Label = Label("channel: value");

enum Queue<T> {
    Bounded(ArrayQueue<T>),
    Unbounded(SegQueue<T>),
}

struct Channel<T> {
    queue: Queue<T>,
    /// Wakes the receiver.
    bell: Doorbell,
    /// Where senders wait for room.
    space: WaitQueue,
    senders: AtomicUsize,
    /// The receiver is gone, or takes no more.
    closed: AtomicBool,
}

impl<T> Channel<T> {
    fn push(&self, value: T) -> Result<(), T> {
        match &self.queue {
            Queue::Bounded(queue) => queue.push(value)?,
            Queue::Unbounded(queue) => queue.push(value),
        }
        self.bell.ring();
        Ok(())
    }

    fn pop(&self) -> Option<T> {
        match &self.queue {
            Queue::Bounded(queue) => {
                let value = queue.pop()?;
                self.space.wake_one();
                Some(value)
            }
            Queue::Unbounded(queue) => queue.pop(),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.space.wake_all();
    }

    fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(value));
        }
        self.push(value).map_err(TrySendError::Full)
    }

    fn leave(&self) {
        // Release: what was sent comes before the end.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.bell.ring();
        }
    }

    fn enter(&self) {
        // Relaxed: the sender that is cloned keeps the count above 0.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }
}

/// The receiver is gone; this is what was to be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a value was not sent at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room now.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// Why nothing was received at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is nothing now.
    Empty,
    /// There is nothing, and no sender is left.
    Closed,
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver is gone")
    }
}

impl<T> core::error::Error for SendError<T> {}

/// A channel that holds up to `capacity` values.
///
/// # Panics
///
/// If `capacity` is 0.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = new(Queue::Bounded(ArrayQueue::new(capacity)));
    (
        Sender {
            channel: Arc::clone(&channel),
        },
        Receiver { channel },
    )
}

/// A channel that grows.
pub fn unbounded<T>() -> (UnboundedSender<T>, Receiver<T>) {
    let channel = new(Queue::Unbounded(SegQueue::new()));
    (
        UnboundedSender {
            channel: Arc::clone(&channel),
        },
        Receiver { channel },
    )
}

fn new<T>(queue: Queue<T>) -> Arc<Channel<T>> {
    Arc::new(Channel {
        queue,
        bell: Doorbell::new(),
        space: WaitQueue::labelled(&SPACE),
        senders: AtomicUsize::new(1),
        closed: AtomicBool::new(false),
    })
}

/// The sending side of a bounded channel.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Waits for room and sends.
    ///
    /// Cancellation-safe in that nothing is half sent: if the future is dropped
    /// before it is ready, the value has not been sent and is dropped.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        core::future::poll_fn(|context| spend(context)).await;
        match self.channel.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError(value)),
            Err(TrySendError::Full(value)) => self.send_later(value).await,
        }
    }

    /// Waits for room.
    async fn send_later(&self, value: T) -> Result<(), SendError<T>> {
        let mut value = Some(value);
        self.channel
            .space
            .wait_until(|| match self.channel.try_send(value.take()?) {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Closed(value)) => Some(Err(SendError(value))),
                Err(TrySendError::Full(back)) => {
                    value = Some(back);
                    None
                }
            })
            .await
    }

    /// Sends if there is room.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(value)
    }

    /// Is the receiver gone?
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }
}

/// The sending side of an unbounded channel.
pub struct UnboundedSender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> UnboundedSender<T> {
    /// Sends.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.try_send(value).map_err(|error| match error {
            TrySendError::Full(value) | TrySendError::Closed(value) => SendError(value),
        })
    }

    /// Is the receiver gone?
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.enter();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        self.channel.enter();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.leave();
    }
}

impl<T> Drop for UnboundedSender<T> {
    fn drop(&mut self) {
        self.channel.leave();
    }
}

/// The receiving side; also a `Stream`.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Receiver<T> {
    /// Waits for a value. `None`: all senders are gone and all values taken.
    ///
    /// Cancellation-safe: a value is taken only when it is returned.
    pub async fn recv(&mut self) -> Option<T> {
        core::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`recv`](Self::recv), for use in a hand-written future.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if spend(context).is_pending() {
            return Poll::Pending;
        }
        for first in [true, false] {
            match self.try_recv() {
                Ok(value) => return Poll::Ready(Some(value)),
                Err(TryRecvError::Closed) => return Poll::Ready(None),
                Err(TryRecvError::Empty) if first => self.channel.bell.set(context.waker()),
                Err(TryRecvError::Empty) => {}
            }
        }
        unspend(context);
        waits_for(context, &VALUE);
        Poll::Pending
    }

    /// Takes a value if there is one.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if let Some(value) = self.channel.pop() {
            return Ok(value);
        }
        // Acquire: what the last sender sent comes before its end.
        if self.channel.senders.load(Ordering::Acquire) != 0 {
            return Err(TryRecvError::Empty);
        }
        self.channel.pop().ok_or(TryRecvError::Closed)
    }

    /// Lets nothing more be sent. What was sent can still be received.
    pub fn close(&mut self) {
        self.channel.close();
    }
}

impl<T> futures_util::Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(context)
    }
}

impl<T> Unpin for Receiver<T> {}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.close();
        // A value that is sent this very moment goes with the channel.
        while self.channel.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
