//! The future of a task that parks.

use super::bucket::{Node, Phase};
use super::{Key, ParkingLot, Tags};
use crate::task::context::waits_for;
use crate::task::coop::{spend, unspend};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

/// The future of [`ParkingLot::park`].
#[must_use = "futures do nothing unless awaited"]
pub struct Park<'a, K: Key, F> {
    lot: &'a ParkingLot<K>,
    node: Node<K>,
    /// Gone when it has been made.
    check: Option<F>,
    /// Whether the node may be in a list, or chosen from one.
    enrolled: bool,
}

impl<'a, K: Key, F> Park<'a, K, F> {
    pub(super) fn new(lot: &'a ParkingLot<K>, key: K, tags: Tags, check: F) -> Self {
        Self {
            lot,
            node: Node::new(lot.index(&key), key, tags),
            check: Some(check),
            enrolled: false,
        }
    }

    /// Gives the waiting up, and says whether an unparking has chosen this waiter before:
    /// then the caller has been woken, as if the future had become ready.
    ///
    /// A future that is dropped without that passes such a choice on to the next waiter
    /// of the same key.
    pub fn leave(self: Pin<&mut Self>) -> bool {
        // SAFETY: the node is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        matches!(this.take_out(), Some(Phase::Chosen(_)))
    }

    /// Takes the node out of the lot, and says how far it had come. `None`: it never was in,
    /// or is out already.
    fn take_out(&mut self) -> Option<Phase> {
        if !self.enrolled {
            return None;
        }
        self.enrolled = false;
        let node = NonNull::from(&self.node);
        let (phase, waker) = loop {
            let number = self.node.bucket();
            let found = self.lot.bucket(number).with(|bucket| {
                // It may have been moved while we came.
                if self.node.bucket() != number {
                    return None;
                }
                // SAFETY: it is this bucket's, as was just seen with the lock held.
                let (phase, waker) =
                    unsafe { bucket.inside(node, |inside| (inside.phase, inside.waker.take())) };
                if phase == Phase::Waiting {
                    bucket.take_out(node);
                }
                Some((phase, waker))
            });
            if let Some(found) = found {
                break found;
            }
        };
        // Not under the lock.
        drop(waker);
        Some(phase)
    }
}

impl<E, K: Key, F: FnOnce() -> Result<(), E>> Park<'_, K, F> {
    /// Makes the check, and enrols if there is nothing against it.
    fn enrol(&mut self, context: &Context<'_>) -> Result<(), E> {
        let Some(check) = self.check.take() else {
            return Ok(());
        };
        let node = NonNull::from(&self.node);
        // No other task knows the node yet, so it is where it was made for.
        self.lot.bucket(self.node.bucket()).with(|bucket| {
            check()?;
            // SAFETY: the node waits, is pinned with the future, in no list, and taken out when
            // the future is dropped.
            unsafe { bucket.enrol(node, Some(context.waker())) };
            Ok(())
        })?;
        self.enrolled = true;
        Ok(())
    }

    /// Whether it was chosen. If not, the task that polls will be woken.
    fn was_chosen(&mut self, context: &Context<'_>) -> bool {
        let node = NonNull::from(&self.node);
        loop {
            let number = self.node.bucket();
            let seen = self.lot.bucket(number).with(|bucket| {
                if self.node.bucket() != number {
                    return None;
                }
                // SAFETY: it is this bucket's, as was just seen with the lock held.
                Some(unsafe {
                    bucket.inside(node, |inside| {
                        let is_chosen = inside.phase != Phase::Waiting;
                        let old = match &inside.waker {
                            Some(old) if !is_chosen && !old.will_wake(context.waker()) => {
                                inside.waker.replace(context.waker().clone())
                            }
                            _ => None,
                        };
                        (is_chosen, old)
                    })
                })
            });
            if let Some((is_chosen, old)) = seen {
                // Not under the lock.
                drop(old);
                return is_chosen;
            }
        }
    }
}

impl<E, K: Key, F: FnOnce() -> Result<(), E>> Future for Park<'_, K, F> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if spend(context).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: the node is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        if this.enrolled {
            if this.was_chosen(context) {
                // No other task reaches the node any more.
                this.enrolled = false;
                return Poll::Ready(Ok(()));
            }
        } else if let Err(error) = this.enrol(context) {
            return Poll::Ready(Err(error));
        }
        unspend(context);
        waits_for(context, this.lot.label);
        Poll::Pending
    }
}

impl<K: Key, F> Drop for Park<'_, K, F> {
    fn drop(&mut self) {
        if let Some(Phase::Chosen(tags)) = self.take_out() {
            // No other task reaches the node any more, so its last bucket's lock is for this
            // look only.
            let node = NonNull::from(&self.node);
            let bucket = self.lot.bucket(self.node.bucket());
            // SAFETY: it was chosen from this bucket, and is alive.
            let key =
                bucket.with(|bucket| unsafe { bucket.inside(node, |inside| inside.key.clone()) });
            self.lot.unpark(&key, 1, tags);
        }
    }
}

impl<K: Key, F> fmt::Debug for Park<'_, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Park")
            .field("enrolled", &self.enrolled)
            .finish_non_exhaustive()
    }
}
