//! A channel on which every receiver sees every value.
//!
//! A receiver that falls behind by more than the capacity loses the oldest
//! values, and is told how many.
//!
//! ```
//! # let runtime = executor::host::Runtime::new(1);
//! use executor::sync::broadcast;
//! let (sender, mut first) = broadcast::channel(2);
//! let mut second = sender.subscribe();
//! for i in 0..3 {
//!     sender.send(i);
//! }
//! runtime.block_on(async {
//!     assert_eq!(first.recv().await, Err(broadcast::RecvError::Lagged(1)));
//!     assert_eq!(first.recv().await, Ok(1));
//!     drop(sender);
//!     assert_eq!(second.recv().await, Err(broadcast::RecvError::Lagged(1)));
//!     assert_eq!((second.recv().await, second.recv().await), (Ok(1), Ok(2)));
//!     assert_eq!(second.recv().await, Err(broadcast::RecvError::Closed));
//! });
//! ```

use super::published::{Follower, Published};
use crate::task::Label;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use futures_util::stream::{self, Stream};

static VALUE: Label = Label("broadcast: value");

/// The last values of a channel.
struct History<T> {
    /// The oldest first. Behind `Arc`s, so that no `Clone` or `Drop` of a value
    /// runs with the lock held (rule E1).
    values: VecDeque<Arc<T>>,
    /// As many are kept: the queue was allocated for so many and never grows.
    capacity: usize,
    /// The number of the value after the newest.
    next: u64,
    senders: usize,
}

impl<T> History<T> {
    /// Adds a value, and returns the oldest one if it has to go.
    fn push(&mut self, value: Arc<T>) -> Option<Arc<T>> {
        let oldest = if self.values.len() == self.capacity {
            self.values.pop_front()
        } else {
            None
        };
        self.values.push_back(value);
        self.next += 1;
        oldest
    }

    /// The value with the given number.
    fn get(&self, number: u64) -> Result<Option<Arc<T>>, RecvError> {
        let oldest = self.next - self.values.len() as u64;
        if number < oldest {
            return Err(RecvError::Lagged(oldest - number));
        }
        match self.values.get((number - oldest) as usize) {
            Some(value) => Ok(Some(value.clone())),
            None if self.senders == 0 => Err(RecvError::Closed),
            None => Ok(None),
        }
    }
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// So many values were overwritten before they were received. The next
    /// call gives the oldest that is left.
    Lagged(u64),
    /// All values were received, and no sender is left.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(count) => write!(f, "{count} values were missed"),
            Self::Closed => f.write_str("no sender is left"),
        }
    }
}

impl core::error::Error for RecvError {}

/// A channel that keeps the last `capacity` values.
///
/// # Panics
///
/// If `capacity` is 0.
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel keeps at least one value");
    let history = History {
        values: VecDeque::with_capacity(capacity),
        capacity,
        next: 0,
        senders: 1,
    };
    let channel = Published::new(history, &VALUE);
    let receiver = Receiver(Follower::new(&channel, |history| history.next));
    (Sender { channel }, receiver)
}

/// The sending side.
pub struct Sender<T> {
    channel: Arc<Published<History<T>>>,
}

impl<T: Clone> Sender<T> {
    /// Sends to all receivers. Never waits.
    pub fn send(&self, value: T) {
        let value = Arc::new(value);
        let oldest = self.channel.change(|history| history.push(value));
        drop(oldest);
    }

    /// A receiver of all that is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver(Follower::new(&self.channel, |history| history.next))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.with(|history| history.senders += 1);
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let last = self.channel.with(|history| {
            history.senders -= 1;
            history.senders == 0
        });
        if last {
            self.channel.wake();
        }
    }
}

/// The receiving side. A clone goes on where the original is.
pub struct Receiver<T>(Follower<History<T>>);

impl<T: Clone> Receiver<T> {
    /// Waits for the next value.
    ///
    /// Cancellation-safe: a value counts as received only when it is returned.
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        let follower = &mut self.0;
        let result = follower
            .wait(|history, next| history.get(next).transpose())
            .await;
        follower.position += match result {
            Ok(_) => 1,
            Err(RecvError::Lagged(count)) => count,
            Err(RecvError::Closed) => 0,
        };
        result.map(|value| T::clone(&value))
    }

    /// The values from here on as a stream, which ends when all were received
    /// and no sender is left. An error tells how many values were missed.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// use executor::sync::broadcast;
    /// use futures_util::StreamExt;
    ///
    /// let (sender, receiver) = broadcast::channel(2);
    /// (1..=3).for_each(|i| sender.send(i));
    /// drop(sender);
    /// let received = runtime.block_on(receiver.into_stream().collect::<Vec<_>>());
    /// assert_eq!(received, [Err(1), Ok(2), Ok(3)]);
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = Result<T, u64>> {
        stream::unfold(self, |mut receiver| async move {
            match receiver.recv().await {
                Ok(value) => Some((Ok(value), receiver)),
                Err(RecvError::Lagged(count)) => Some((Err(count), receiver)),
                Err(RecvError::Closed) => None,
            }
        })
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("next", &self.0.position)
            .finish_non_exhaustive()
    }
}
