//! A state that senders change and receivers follow: what [`broadcast`](super::broadcast) and
//! [`watch`](super::watch) have in common.

use super::wait_queue::WaitQueue;
use crate::facade::Lock;
use crate::task::Label;
use alloc::sync::Arc;

/// A state behind a spin lock, and the tasks that wait for a change of it.
pub(super) struct Published<S> {
    state: Lock<S>,
    followers: WaitQueue,
}

impl<S> Published<S> {
    pub(super) fn new(state: S, label: &'static Label) -> Arc<Self> {
        Arc::new(Self {
            state: Lock::new(state),
            followers: WaitQueue::labelled(label),
        })
    }

    /// Reaches the state without waking the followers. Values that `f` takes out are for the
    /// caller to drop, after the lock (rule E1).
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        self.state.with(f)
    }

    /// Changes the state, then wakes the followers.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        let result = self.state.with(f);
        self.followers.wake_all();
        result
    }

    /// Wakes the followers without a change.
    pub(super) fn wake(&self) {
        self.followers.wake_all();
    }
}

/// A receiver's place: the state it follows, and the number of the last version that it has
/// had. A clone is at the same place.
pub(super) struct Follower<S> {
    pub(super) state: Arc<Published<S>>,
    pub(super) position: u64,
}

impl<S> Follower<S> {
    /// A follower at the position that `f` says.
    pub(super) fn new(state: &Arc<Published<S>>, f: impl FnOnce(&mut S) -> u64) -> Self {
        Self {
            state: Arc::clone(state),
            position: state.with(f),
        }
    }

    /// Waits until `f` gives something for the follower's position.
    pub(super) async fn wait<R>(&self, mut f: impl FnMut(&mut S, u64) -> Option<R>) -> R {
        let look = || self.state.with(|state| f(state, self.position));
        self.state.followers.wait_until(look).await
    }
}

impl<S> Clone for Follower<S> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            position: self.position,
        }
    }
}
