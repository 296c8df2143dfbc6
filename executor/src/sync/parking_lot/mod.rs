//! The parking lot: waiting by key.
//!
//! Where a [`WaitQueue`](super::WaitQueue) lies beside what is waited for, a lot has one place for
//! waiting at any number of things, each named by a key: what futexes are built on. Waiters are
//! nodes in their futures, so parking never allocates and can be dropped at any time.
//!
//! # Protocol
//!
//! Keys are spread over buckets. A bucket's lock guards its list and what is inside of the nodes in
//! it. A node may be moved to another bucket while it waits; so a task that looks for it reads in the node
//! where it is, locks that bucket, and reads again. The number of the bucket is written with the
//! locks of both held, the one that it leaves and the one that it comes to. Two buckets are locked
//! in the order of their numbers.
//!
//! The check that comes with parking is made with the bucket locked, and so is the one that comes
//! with unparking: what they look at is seen in one order by both. Neither waits, nor calls into
//! the lot.
//!
//! A task that takes a node out of its list marks the node as chosen, and wakes its task after
//! the lock. No node that was chosen is forgotten: if its future is dropped before it has looked,
//! the choice passes to the next that waits for the same.

mod bucket;
mod park;

pub use park::Park;

use crate::batch::WakeBatch;
use crate::facade::Lock;
use crate::task::Label;
use alloc::boxed::Box;
use bucket::Bucket;
use core::fmt;
use crossbeam_utils::CachePadded;

/// What one waits for.
///
/// Clones and drops of keys can happen with a lock held; they should be cheap.
pub trait Key: Eq + Clone {
    /// A number that is the same for equal keys, and mostly another one for others.
    fn hash(&self) -> usize;
}

/// Says which waiters an unparking is for: those with a common bit.
pub type Tags = u32;

/// Waiting by key.
///
/// ```
/// use executor::sync::{Key, ParkingLot};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
///
/// #[derive(Clone, PartialEq, Eq)]
/// struct Address(usize);
/// impl Key for Address {
///     fn hash(&self) -> usize { self.0 >> 2 }
/// }
///
/// let lot = Arc::new(ParkingLot::new(16));
/// let door = Arc::new(AtomicU32::new(0));
/// let key = Address(Arc::as_ptr(&door) as usize);
/// # let runtime = executor::host::Runtime::new(2);
/// # let executor = runtime.executor();
/// let (other_lot, other_door, other_key) = (lot.clone(), door.clone(), key.clone());
/// executor.spawn("opener", async move {
///     other_door.store(1, SeqCst);
///     other_lot.unpark(&other_key, 1, !0);
/// }).detach();
/// let shut = || if door.load(SeqCst) == 0 { Ok(()) } else { Err("open already") };
/// let _ = runtime.block_on(lot.park(key, !0, shut));
/// assert_eq!(door.load(SeqCst), 1);
/// ```
pub struct ParkingLot<K> {
    buckets: Box<[CachePadded<Lock<Bucket<K>>>]>,
    label: &'static Label,
}

static LABEL: Label = Label("parking lot");

/// What [`ParkingLot::requeue`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requeued {
    /// How many it woke.
    pub woken: usize,
    /// How many wait for the other key now.
    pub moved: usize,
}

impl<K: Key> ParkingLot<K> {
    /// A lot with that many buckets; one at least.
    pub fn new(buckets: usize) -> Self {
        Self::labelled(buckets, &LABEL)
    }

    /// The same, with a name for what is waited for here.
    pub fn labelled(buckets: usize, label: &'static Label) -> Self {
        let bucket = |_| CachePadded::new(Lock::new(Bucket::new()));
        Self {
            buckets: (0..buckets.max(1)).map(bucket).collect(),
            label,
        }
    }

    fn index(&self, key: &K) -> usize {
        key.hash() % self.buckets.len()
    }

    fn bucket(&self, index: usize) -> &Lock<Bucket<K>> {
        // Indices come from `index` only.
        &self.buckets[index]
    }

    /// Waits until an unparking for the key chooses this waiter, unless `check` has something
    /// against it. That is called once, with the bucket locked: an unparking comes either
    /// before it, or finds the waiter.
    ///
    /// Cancellation-safe: see [`Park::leave`].
    pub fn park<E, F>(&self, key: K, tags: Tags, check: F) -> Park<'_, K, F>
    where
        F: FnOnce() -> Result<(), E>,
    {
        Park::new(self, key, tags, check)
    }

    /// Wakes up to `n` waiters of the key with a tag in `tags`, those first that
    /// have waited longest, and says how many.
    pub fn unpark(&self, key: &K, n: usize, tags: Tags) -> usize {
        let horizon = self.bucket(self.index(key)).with(|bucket| bucket.horizon());
        self.unpark_before(horizon, key, n, tags)
    }

    /// Unparks for two keys. `check` is called first, with both buckets locked, and says how
    /// many are to be woken for each, or that nothing is to be done.
    pub fn unpark_two<E>(
        &self,
        keys: [&K; 2],
        check: impl FnOnce() -> Result<[usize; 2], E>,
    ) -> Result<usize, E> {
        let places = keys.map(|key| self.index(key));
        let (limits, horizons) = self.with_two(places, |first, second| {
            let limits = check()?;
            let horizon = first.horizon();
            let horizons = [horizon, second.map_or(horizon, |second| second.horizon())];
            Ok((limits, horizons))
        })?;
        let each = keys.into_iter().zip(limits).zip(horizons);
        Ok(each
            .map(|((key, n), horizon)| self.unpark_before(horizon, key, n, !0))
            .sum())
    }

    /// Wakes up to `wake` waiters of `from`, and makes up to `requeue` further
    /// ones wait for `to` instead, unless `check`, which is called first with both buckets
    /// locked, has something against it.
    pub fn requeue<E>(
        &self,
        from: &K,
        to: &K,
        wake: usize,
        requeue: usize,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<Requeued, E> {
        let (here, there) = (self.index(from), self.index(to));
        let mut check = Some(check);
        let mut horizon = None;
        let mut done = Requeued::default();
        loop {
            let mut batch = WakeBatch::new();
            let more = self.with_two([here, there], |source, mut target| {
                if let Some(check) = check.take() {
                    check()?;
                }
                let horizon = *horizon.get_or_insert(source.horizon());
                let mut cursor = source.start();
                while done.woken < wake
                    && let Some(node) = source.find(&mut cursor, from, !0, horizon)
                {
                    // It is found again.
                    if batch.is_full() {
                        return Ok(true);
                    }
                    batch.push(source.choose(node, !0));
                    done.woken += 1;
                }
                while done.moved < requeue
                    && let Some(node) = source.find(&mut cursor, from, !0, horizon)
                {
                    source.take_out(node);
                    let target = target.as_deref_mut().unwrap_or(source);
                    // SAFETY: the node waits, in no list since the line above, and both
                    // buckets are locked.
                    unsafe { target.take_in(node, to.clone(), there) };
                    done.moved += 1;
                }
                Ok(false)
            });
            batch.wake();
            if !more? {
                return Ok(done);
            }
        }
    }

    /// Wakes up to `n` waiters that came before the horizon.
    fn unpark_before(&self, horizon: u64, key: &K, n: usize, tags: Tags) -> usize {
        let bucket = self.bucket(self.index(key));
        let mut woken = 0;
        loop {
            let mut batch = WakeBatch::new();
            let more = bucket.with(|bucket| {
                let mut cursor = bucket.start();
                while woken < n
                    && let Some(node) = bucket.find(&mut cursor, key, tags, horizon)
                {
                    if batch.is_full() {
                        return true;
                    }
                    batch.push(bucket.choose(node, tags));
                    woken += 1;
                }
                false
            });
            batch.wake();
            if !more {
                return woken;
            }
        }
    }

    /// Runs `f` with two buckets locked; the second is `None` if it is the first.
    fn with_two<R>(
        &self,
        [first, second]: [usize; 2],
        f: impl FnOnce(&mut Bucket<K>, Option<&mut Bucket<K>>) -> R,
    ) -> R {
        let (a, b) = (self.bucket(first), self.bucket(second));
        match first.cmp(&second) {
            core::cmp::Ordering::Equal => a.with(|a| f(a, None)),
            core::cmp::Ordering::Less => a.with(|a| b.with(|b| f(a, Some(b)))),
            core::cmp::Ordering::Greater => b.with(|b| a.with(|a| f(a, Some(b)))),
        }
    }
}

impl<K> fmt::Debug for ParkingLot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkingLot")
            .field("buckets", &self.buckets.len())
            .finish_non_exhaustive()
    }
}
