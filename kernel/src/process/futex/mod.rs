//! Waiting for a word of memory to change (futex(2)).
//!
//! Those who wait park in one lot for the whole machine, under a key that says which word
//! they mean (`key`). Two things have to be one step, so that no wake-up is lost: seeing that
//! the word still has the expected value, and parking; and so they are done with the lock of
//! the lot's bucket held, which the waker takes too. No page can be faulted in there. If the
//! word is not to be had at once, the lock is let go, the page made ready, and all begins
//! again, for the address may mean something else by then.
//!
//! A waiter whose time is up, who is called away, or who is killed, takes itself out of the lot, and passes a
//! wake-up on that it was given and cannot use (`executor::sync::ParkingLot`).
//!
//! `robust` is what the kernel does with locks whose holder has died.

mod key;
mod robust;

pub use key::Scope;
pub use robust::HEAD_SIZE as ROBUST_HEAD_SIZE;

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
    LOT.init(ParkingLot::labelled(BUCKETS, &Label("futex")));
}

/// A word that a program names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its address, a multiple of four.
    pub address: usize,
    /// Who can mean the same word.
    pub scope: Scope,
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

/// Waits until somebody wakes those who wait for the word with a bit in common with `bits`,
/// unless it has another value than the expected one.
///
/// # Errors
/// `EAGAIN` when it has, `ETIMEDOUT` at the deadline (by `arch::clock`), `EFAULT`; and when the
/// thread is called away.
pub async fn wait(
    thread: &Thread,
    place: Place,
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

/// Wakes up to `count` of those who wait for the word with a bit in common with `bits`, and
/// says how many.
///
/// # Errors
/// `EFAULT` for a shared word that is not there.
pub async fn wake(
    space: &AddressSpace,
    place: Place,
    count: usize,
    bits: u32,
) -> Result<usize, Errno> {
    let key = Key::of(space, place).await?;
    Ok(LOT.get().unpark(&key, count, bits))
}

/// Wakes up to `wake` of those who wait for `from`, and makes up to `requeue` more wait for
/// `to` instead; only if `from` has the expected value, if there is one. Says how many those
/// are together.
///
/// # Errors
/// `EAGAIN` when it has another, `EFAULT`.
pub async fn requeue(
    space: &AddressSpace,
    from: Place,
    to: Place,
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

/// Changes `second` by `operation`; then wakes up to `counts.0` of those who wait for
/// `first`, and, if `condition` holds for the value that `second` had, up to `counts.1` of
/// those who wait for that. Says how many together.
///
/// # Errors
/// `EFAULT`.
pub async fn wake_and_change(
    space: &AddressSpace,
    first: Place,
    second: Place,
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
    /// To be called when the thread is about to leave its memory, by its end or for another
    /// program: tells those who stay (set_robust_list(2), set_tid_address(2)). A bad address
    /// is the program's own loss.
    pub(super) async fn tell_it_leaves(&self) {
        self.give_up_locks().await;
        let address = self.clear_tid.swap(0, Ordering::Relaxed);
        let process = self.process();
        let somebody_stays = process.threads.len() > 1 || process.shares_memory();
        if address != 0
            && somebody_stays
            && self.space().write_bytes(address, &[0; 4]).await.is_ok()
        {
            // A shared futex, as C libraries wait for it.
            self.wake_one(address).await;
        }
    }

    /// Wakes one who waits for a word that this thread has given up, if it is one.
    async fn wake_one(&self, address: usize) {
        let place = Place {
            address,
            scope: Scope::Shared,
        };
        if crate::memory::check_futex_word(address).is_ok() {
            let _ = wake(self.space(), place, 1, u32::MAX).await;
        }
    }
}
