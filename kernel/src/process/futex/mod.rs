//! Waiting for a word of memory to change (futex(2)).
//!
//! Waiters park in one lot for the whole machine, under a key that identifies the word (`key`).
//! Comparing the word with the expected value and parking are one step under the lock of the lot's
//! bucket. A waker takes the same lock, so no wake-up falls between the two. No page can be faulted
//! in under that lock: if the page is not there, the lock is released, the page is faulted in, and
//! the wait starts again, because the address may mean something else by then.
//!
//! A waiter that times out, has a signal pending, or is killed, removes itself from the lot. If it
//! had been given a wake-up, it passes that on (`executor::sync::ParkingLot`).
//!
//! `robust` deals with locks whose holder has died, `inheriting` with those whose word names the
//! holder, and `several` waits for one of several words.

mod inheriting;
pub(super) mod key;
mod robust;
mod several;

pub use inheriting::{lock, requeue_to_lock, try_lock, unlock, wait_for_lock};
pub use key::{FutexAddress, Scope};
pub use robust::HEAD_SIZE as ROBUST_HEAD_SIZE;
pub use several::{Expected, wait_for_any};

use super::signal::Continuation;
use super::thread::Thread;
use crate::arch::{Access, PerMachine};
use crate::errno::Errno;
use crate::memory::AddressSpace;
use crate::sched;
use crate::wait::{Interrupted, interruptible};
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering};
use executor::Label;
use executor::sync::ParkingLot;
use futures_util::future::{Either, select};
use key::Key;

/// More than the threads of a machine of this size that wait at the same time, mostly.
const BUCKETS: usize = 256;

static LOT: PerMachine<ParkingLot<Key>> = PerMachine::new();

/// Makes the lot. Called once, when there is a heap.
pub(super) fn init() {
    inheriting::init();
    LOT.init(ParkingLot::labelled(BUCKETS, &Label("futex")));
}

/// Why a look at the word ended without a decision.
enum Unseen {
    /// Its page has to be made ready first.
    NotThere,
    /// It has another value.
    Changed,
}

/// Looks whether the word has that value, without waiting.
fn expect(space: &AddressSpace, address: usize, expected: u32) -> Result<(), Unseen> {
    // SeqCst, like all here: programs pair it with accesses of their own.
    let load = |word: &AtomicU32| word.load(Ordering::SeqCst);
    match space.try_with_futex_word(address, Access::Read, load) {
        None => Err(Unseen::NotThere),
        Some(value) if value != expected => Err(Unseen::Changed),
        Some(_) => Ok(()),
    }
}

/// Waits until a wake-up of the word with a bit in common with `bits`, unless the word has another
/// value than the expected one.
///
/// # Errors
/// `EAGAIN` when it has, `ETIMEDOUT` at the deadline (by `arch::clock`), `EFAULT`; and when the
/// a signal is pending for the thread.
pub async fn wait(
    thread: &Thread,
    place: FutexAddress,
    expected: u32,
    bits: u32,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    let space = thread.space();
    loop {
        let key = Key::of(space, place).await?;
        let look = || expect(space, place.address, expected);
        let mut park = pin!(LOT.get().park(key, bits, look));
        let parked = async {
            let Some(deadline) = deadline else {
                return Some(park.as_mut().await);
            };
            let timer = pin!(sched::executor().sleep_until(deadline));
            match select(park.as_mut(), timer).await {
                Either::Left((outcome, _)) => Some(outcome),
                Either::Right(_) => None,
            }
        };
        let outcome = match interruptible(thread, parked).await {
            Ok(Some(outcome)) => outcome,
            // A wake-up that came in between counts.
            Ok(None) | Err(Interrupted) if park.as_mut().leave() => Ok(()),
            Ok(None) => return Err(Errno::ETIMEDOUT),
            Err(interrupted) => {
                return Err(match deadline {
                    None => interrupted.into(),
                    Some(deadline) => thread.interrupted_in(Continuation::Futex {
                        place,
                        expected,
                        bits,
                        deadline,
                    }),
                });
            }
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(Unseen::Changed) => return Err(Errno::EAGAIN),
            Err(Unseen::NotThere) => {
                space
                    .fault_in_futex_word(place.address, Access::Read)
                    .await?
            }
        }
    }
}

/// Wakes up to `count` waiters of the word that have a bit in common with `bits`, and returns how
/// many.
///
/// # Errors
/// `EFAULT` for a shared word that is not there.
pub async fn wake(
    space: &AddressSpace,
    place: FutexAddress,
    count: usize,
    bits: u32,
) -> Result<usize, Errno> {
    let key = Key::of(space, place).await?;
    Ok(LOT.get().unpark(&key, count, bits))
}

/// Wakes up to `wake` waiters of `from`, and moves up to `requeue` more to `to`; only if `from` has
/// the expected value, if one is given. Returns the sum.
///
/// # Errors
/// `EAGAIN` when it has another, `EFAULT`.
pub async fn requeue(
    space: &AddressSpace,
    from: FutexAddress,
    to: FutexAddress,
    (wake, requeue): (usize, usize),
    expected: Option<u32>,
) -> Result<usize, Errno> {
    loop {
        let (source, target) = (Key::of(space, from).await?, Key::of(space, to).await?);
        let look = || match expected {
            Some(expected) => expect(space, from.address, expected),
            None => Ok(()),
        };
        match LOT.get().requeue(&source, &target, wake, requeue, look) {
            Ok(done) => return Ok(done.woken + done.moved),
            Err(Unseen::Changed) => return Err(Errno::EAGAIN),
            Err(Unseen::NotThere) => {
                space
                    .fault_in_futex_word(from.address, Access::Read)
                    .await?
            }
        }
    }
}

/// Changes `second` by `operation`; then wakes up to `counts.0` waiters of `first`, and, if
/// `condition` holds for the value that `second` had, up to `counts.1` waiters of `second`. Returns
/// the sum.
///
/// # Errors
/// `EFAULT`.
pub async fn wake_and_change(
    space: &AddressSpace,
    first: FutexAddress,
    second: FutexAddress,
    counts: (usize, usize),
    operation: impl Fn(u32) -> u32,
    condition: impl Fn(u32) -> bool,
) -> Result<usize, Errno> {
    let change = |word: &AtomicU32| {
        let (mut old, order) = (word.load(Ordering::SeqCst), Ordering::SeqCst);
        while let Err(now) = word.compare_exchange_weak(old, operation(old), order, order) {
            old = now;
        }
        old
    };
    loop {
        let keys = [Key::of(space, first).await?, Key::of(space, second).await?];
        let decide = || {
            let old = space.try_with_futex_word(second.address, Access::Write, change);
            let old = old.ok_or(Unseen::NotThere)?;
            Ok([counts.0, if condition(old) { counts.1 } else { 0 }])
        };
        let [a, b] = &keys;
        match LOT.get().unpark_two([a, b], decide) {
            Ok(woken) => return Ok(woken),
            Err(Unseen::NotThere | Unseen::Changed) => {
                space
                    .fault_in_futex_word(second.address, Access::Write)
                    .await?
            }
        }
    }
}

impl Thread {
    /// Called when the thread is about to leave its memory, by its end or for another program:
    /// releases its robust locks and clears its tid address, for the threads that stay
    /// (set_robust_list(2), set_tid_address(2)). A bad address is the program's own loss.
    pub(super) async fn release_memory(&self) {
        self.give_up_locks().await;
        let address = self.clear_tid.swap(0, Ordering::Relaxed);
        let process = self.process();
        let others_stay = process.threads.len() > 1 || process.shares_memory();
        if address != 0 && others_stay && self.space().write_bytes(address, &[0; 4]).await.is_ok() {
            // A shared futex, as C libraries wait for it.
            self.wake_one(address).await;
        }
    }

    /// Wakes one waiter of a word that this thread has released, if the address is one of a word.
    async fn wake_one(&self, address: usize) {
        let place = FutexAddress {
            address,
            scope: Scope::Shared,
        };
        if crate::memory::check_futex_word(address).is_ok() {
            let _ = wake(self.space(), place, 1, u32::MAX).await;
        }
    }
}
