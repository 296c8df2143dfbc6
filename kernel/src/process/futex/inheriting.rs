//! Locks whose word names the holder (futex(2), "Priority-inheritance futexes"): the kernel takes and
//! releases them where a program cannot alone.
//!
//! The protocol is Linux's; no priority is lent to the holder, as threads here share time by weight.
//! A lock is released under the lock of its bucket: the word names no holder from then on and
//! says that there are waiters, so that no program takes it without the kernel, and one waiter is woken,
//! which tries anew. A thread parks only after it has seen a holder under the same bucket's lock, so
//! that no release falls between the two.
//!
//! Threads that wait on a condition for such a lock (`FUTEX_WAIT_REQUEUE_PI`) have a lot of their own.
//! They are woken together, and each takes its place at the lock.

use super::Unseen;
use super::key::{FutexAddress, Key};
use crate::arch::{Access, PerMachine};
use crate::errno::Errno;
use crate::memory::AddressSpace;
use crate::process::ids;
use crate::process::pid::Pid;
use crate::process::thread::Thread;
use crate::sched;
use crate::wait::{Interrupted, interruptible};
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering};
use executor::Label;
use executor::sync::ParkingLot;
use futures_util::future::{Either, select};
use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};

const BUCKETS: usize = 64;

/// Those that wait for a lock, and those that wait on a condition.
static LOCKS: PerMachine<ParkingLot<Key>> = PerMachine::new();
static CONDITIONS: PerMachine<ParkingLot<Key>> = PerMachine::new();

/// Makes the lots. Called once, when there is a heap.
pub(super) fn init() {
    LOCKS.init(ParkingLot::labelled(BUCKETS, &Label("futex: lock")));
    CONDITIONS.init(ParkingLot::labelled(BUCKETS, &Label("futex: condition")));
}

/// What an attempt to take a lock found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taking {
    /// The thread holds it now.
    Taken,
    /// It held it already.
    Own,
    /// This thread holds it, and knows that there are waiters.
    Held(u32),
}

/// Takes the lock if it has no holder; otherwise says in it that there is a waiter.
fn take(word: &AtomicU32, tid: u32, waits: bool) -> Taking {
    let mut old = word.load(Ordering::SeqCst);
    loop {
        let (new, taking) = match old & FUTEX_TID_MASK {
            // That a holder has died is the new one's to see.
            0 => (old | tid, Taking::Taken),
            holder if holder == tid => return Taking::Own,
            holder if !waits => return Taking::Held(holder),
            holder => (old | FUTEX_WAITERS, Taking::Held(holder)),
        };
        match word.compare_exchange_weak(old, new, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return taking,
            Err(now) => old = now,
        }
    }
}

/// Does something to a word, once its page is there.
async fn with_word<T>(
    space: &AddressSpace,
    address: usize,
    change: impl Fn(&AtomicU32) -> T,
) -> Result<T, Errno> {
    loop {
        if let Some(result) = space.try_with_futex_word(address, Access::Write, &change) {
            return Ok(result);
        }
        space.fault_in_futex_word(address, Access::Write).await?;
    }
}

/// Takes a lock if it is free (`FUTEX_TRYLOCK_PI`).
///
/// # Errors
/// `EAGAIN` when it is held, `EDEADLK` when the thread holds it.
pub async fn try_lock(thread: &Thread, place: FutexAddress) -> Result<(), Errno> {
    let tid = thread.tid().0;
    let taken = with_word(thread.space(), place.address, |word| take(word, tid, false));
    match taken.await? {
        Taking::Taken => Ok(()),
        Taking::Own => Err(Errno::EDEADLK),
        Taking::Held(_) => Err(Errno::EAGAIN),
    }
}

/// Takes a lock, and waits for it until the deadline (`FUTEX_LOCK_PI`).
///
/// # Errors
/// `EDEADLK` when the thread holds it, `ESRCH` when its holder does not exist, `ETIMEDOUT`, `EFAULT`;
/// and when a signal is pending.
pub async fn lock(
    thread: &Thread,
    place: FutexAddress,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    let (space, tid) = (thread.space(), thread.tid().0);
    loop {
        let key = Key::of(space, place).await?;
        match with_word(space, place.address, |word| take(word, tid, true)).await? {
            Taking::Taken => return Ok(()),
            Taking::Own => return Err(Errno::EDEADLK),
            Taking::Held(holder) if ids::find_thread(Pid(holder)).is_none() => {
                // It may have released the lock and ended since.
                match try_lock(thread, place).await {
                    Err(Errno::EAGAIN) => return Err(Errno::ESRCH),
                    result => return result,
                }
            }
            Taking::Held(_) => {}
        }
        let look = || {
            let try_again = |word: &AtomicU32| take(word, tid, true);
            match space.try_with_futex_word(place.address, Access::Write, try_again) {
                None => Err(Unseen::NotThere),
                Some(Taking::Held(_)) => Ok(()),
                // Taken just now.
                Some(_) => Err(Unseen::Changed),
            }
        };
        match park(thread, LOCKS.get(), key, look, deadline).await? {
            Ok(()) => {}
            Err(Unseen::Changed) => return Ok(()),
            Err(Unseen::NotThere) => {
                space
                    .fault_in_futex_word(place.address, Access::Write)
                    .await?
            }
        }
    }
}

/// Parks until a wake-up or the deadline.
async fn park(
    thread: &Thread,
    lot: &ParkingLot<Key>,
    key: Key,
    look: impl FnOnce() -> Result<(), Unseen>,
    deadline: Option<u64>,
) -> Result<Result<(), Unseen>, Errno> {
    let mut park = pin!(lot.park(key, u32::MAX, look));
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
    match interruptible(thread, parked).await {
        Ok(Some(outcome)) => Ok(outcome),
        // A wake-up that came in between counts.
        Ok(None) | Err(Interrupted) if park.as_mut().leave() => Ok(Ok(())),
        Ok(None) => Err(Errno::ETIMEDOUT),
        Err(interrupted) => Err(interrupted.into()),
    }
}

/// Releases a lock that the thread holds, and wakes one waiter (`FUTEX_UNLOCK_PI`).
///
/// # Errors
/// `EPERM` when the thread does not hold it, `EFAULT`.
pub async fn unlock(thread: &Thread, place: FutexAddress) -> Result<(), Errno> {
    let (space, tid) = (thread.space(), thread.tid().0);
    loop {
        let key = Key::of(space, place).await?;
        let release = |word: &AtomicU32| {
            let is_own = |old: u32| old & FUTEX_TID_MASK == tid;
            word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| {
                is_own(old).then_some(old & FUTEX_WAITERS)
            })
        };
        let decide = || match space.try_with_futex_word(place.address, Access::Write, release) {
            None => Err(Errno::EAGAIN),
            Some(Err(_)) => Err(Errno::EPERM),
            Some(Ok(_)) => Ok([1, 0]),
        };
        match LOCKS.get().unpark_two([&key, &key], decide) {
            Ok(1..) => return Ok(()),
            Ok(0) => {
                // There was no waiter: the next holder can do without the kernel. Whatever else the word
                // says by now is another holder's.
                let order = Ordering::SeqCst;
                let free = |word: &AtomicU32| {
                    let _ = word.compare_exchange(FUTEX_WAITERS, 0, order, order);
                };
                return with_word(space, place.address, free).await;
            }
            Err(Errno::EAGAIN) => {
                space
                    .fault_in_futex_word(place.address, Access::Write)
                    .await?
            }
            Err(error) => return Err(error),
        }
    }
}

/// A thread has died that held the lock, as its word says by now: the next one is woken.
pub(super) async fn holder_died(space: &AddressSpace, place: FutexAddress) {
    if let Ok(key) = Key::of(space, place).await {
        LOCKS.get().unpark(&key, 1, u32::MAX);
    }
}

/// Waits on a condition, and then for the lock that goes with it (`FUTEX_WAIT_REQUEUE_PI`).
///
/// # Errors
/// As [`lock`]; `EAGAIN` when the condition's word has another value, and when a signal comes before
/// the condition.
pub async fn wait_for_lock(
    thread: &Thread,
    condition: FutexAddress,
    expected: u32,
    place: FutexAddress,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    let space = thread.space();
    loop {
        let key = Key::of(space, condition).await?;
        let look = || super::expect(space, condition.address, expected);
        match park(thread, CONDITIONS.get(), key, look, deadline).await {
            Ok(Ok(())) => break,
            Ok(Err(Unseen::Changed)) => return Err(Errno::EAGAIN),
            Ok(Err(Unseen::NotThere)) => {
                space
                    .fault_in_futex_word(condition.address, Access::Read)
                    .await?
            }
            Err(Errno::ERESTARTSYS) => return Err(Errno::EAGAIN),
            Err(error) => return Err(error),
        }
    }
    lock(thread, place, deadline).await
}

/// Sends up to `count` threads that wait on a condition to their lock (`FUTEX_CMP_REQUEUE_PI`), and
/// returns how many.
///
/// # Errors
/// `EAGAIN` when the condition's word has another value, `EFAULT`.
pub async fn requeue_to_lock(
    space: &AddressSpace,
    condition: FutexAddress,
    count: usize,
    expected: u32,
) -> Result<usize, Errno> {
    loop {
        let key = Key::of(space, condition).await?;
        let decide = || {
            super::expect(space, condition.address, expected)?;
            Ok([count, 0])
        };
        match CONDITIONS.get().unpark_two([&key, &key], decide) {
            Ok(woken) => return Ok(woken),
            Err(Unseen::Changed) => return Err(Errno::EAGAIN),
            Err(Unseen::NotThere) => {
                space
                    .fault_in_futex_word(condition.address, Access::Read)
                    .await?
            }
        }
    }
}

/// The holder's death and waiters are flags beside its number.
const _: () = assert!(FUTEX_TID_MASK & (FUTEX_WAITERS | FUTEX_OWNER_DIED) == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_when_its_word_names_no_holder() {
        let word = AtomicU32::new(FUTEX_WAITERS | FUTEX_OWNER_DIED);
        assert_eq!(take(&word, 7, true), Taking::Taken);
        let taken = FUTEX_WAITERS | FUTEX_OWNER_DIED | 7;
        assert_eq!(word.load(Ordering::SeqCst), taken);
        assert_eq!(take(&word, 7, true), Taking::Own);
        word.store(7, Ordering::SeqCst);
        assert_eq!(take(&word, 8, false), Taking::Held(7));
        assert_eq!(word.load(Ordering::SeqCst), 7);
        assert_eq!(take(&word, 8, true), Taking::Held(7));
        assert_eq!(word.load(Ordering::SeqCst), FUTEX_WAITERS | 7);
    }
}
