//! A value that is watched: receivers see the latest, not each.
//!
//! ```
//! # let runtime = executor::host::Runtime::new(1);
//! use executor::sync::watch;
//! let (sender, mut receiver) = watch::channel(1);
//! sender.send(2);
//! sender.send(3);
//! runtime.block_on(async {
//!     receiver.changed().await.unwrap();
//!     assert_eq!(*receiver.borrow(), 3);
//!     drop(sender);
//!     assert_eq!(receiver.changed().await, Err(watch::Closed));
//! });
//! ```

use super::published::{Follower, Published};
use crate::task::Label;
use alloc::sync::Arc;
use core::fmt;
use futures_util::stream::{self, Stream};

static CHANGE: Label = Label("watch: change");

/// The latest value of a channel.
struct Latest<T> {
    /// Behind an `Arc`, so that no `Drop` of a value runs with the lock held, and
    /// readers keep what they look at.
    value: Arc<T>,
    version: u64,
    open: bool,
}

/// The sender is gone, and its last value has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender is gone")
    }
}

impl core::error::Error for Closed {}

/// A channel with a first value, which counts as seen.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let latest = Latest {
        value: Arc::new(value),
        version: 0,
        open: true,
    };
    let channel = Published::new(latest, &CHANGE);
    let receiver = Receiver(Follower::new(&channel, |latest| latest.version));
    (Sender { channel }, receiver)
}

/// The sending side.
pub struct Sender<T> {
    channel: Arc<Published<Latest<T>>>,
}

impl<T> Sender<T> {
    /// Puts a new value in the place of the old one.
    pub fn send(&self, value: T) {
        let value = Arc::new(value);
        let old = self.channel.change(|latest| {
            latest.version += 1;
            core::mem::replace(&mut latest.value, value)
        });
        drop(old);
    }

    /// The value.
    pub fn borrow(&self) -> Arc<T> {
        self.channel.with(|latest| latest.value.clone())
    }

    /// Another receiver, for which the present value counts as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver(Follower::new(&self.channel, |latest| latest.version))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.change(|latest| latest.open = false);
    }
}

/// The receiving side.
pub struct Receiver<T>(Follower<Latest<T>>);

impl<T> Receiver<T> {
    /// The latest value, whether or not it was seen before.
    pub fn borrow(&self) -> Arc<T> {
        self.0.state.with(|latest| latest.value.clone())
    }

    /// The latest value, which counts as seen from now on.
    pub fn borrow_and_update(&mut self) -> Arc<T> {
        let (value, version) = self
            .0
            .state
            .with(|latest| (latest.value.clone(), latest.version));
        self.0.position = version;
        value
    }

    /// Waits for a value that has not been seen, and counts it as seen.
    ///
    /// Cancellation-safe: it counts as seen only if this returns.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let look = |latest: &mut Latest<T>, seen| match latest {
            Latest { version, .. } if *version != seen => Some(Ok(*version)),
            Latest { open: true, .. } => None,
            _ => Some(Err(Closed)),
        };
        self.0.position = self.0.wait(look).await?;
        Ok(())
    }

    /// The values that have not been seen as a stream, which ends with the
    /// sender. Of several that come between two looks it gives the last.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// use executor::sync::watch;
    /// use futures_util::StreamExt;
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// sender.send(2);
    /// sender.send(3);
    /// drop(sender);
    /// let seen = runtime.block_on(receiver.into_stream().map(|value| *value).collect::<Vec<_>>());
    /// assert_eq!(seen, [3]);
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = Arc<T>> {
        stream::unfold(self, |mut receiver| async move {
            receiver.changed().await.ok()?;
            let value = receiver.borrow_and_update();
            Some((value, receiver))
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
            .field("seen", &self.0.position)
            .finish_non_exhaustive()
    }
}
