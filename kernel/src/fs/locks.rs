//! Locks on files: flock(2), and fcntl(2) with `F_SETLK` and `F_OFD_SETLK`.
//!
//! The two kinds do not know of each other, as on Linux. A lock has an owner: the open file, or for
//! `F_SETLK` the descriptor table of a process. What an owner does not have any more is released: by
//! the last close of an open file, and by any close of the file in a process.
//!
//! A lock that cannot be had is waited for, unless that would close a circle of owners that wait for
//! each other (`EDEADLK`).

use crate::errno::Errno;
use crate::memory::fallible;
use crate::wait::{Caller, interruptible};
use alloc::vec::Vec;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// What has a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockOwner {
    /// An open file, by its address (`F_OFD_SETLK`, flock(2)).
    OpenFile(usize),
    /// A process, by the address of its descriptor table (`F_SETLK`).
    Table(usize),
}

/// Which locks exclude each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockClass {
    /// Those of flock(2), on the whole file.
    Whole,
    /// Those of fcntl(2), on ranges of bytes.
    Record,
}

/// Whether others may have the lock too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockMode {
    /// Others may have it in this mode.
    Shared,
    /// No other may have it.
    Exclusive,
}

/// A lock on a range of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileLock {
    /// What has it.
    pub owner: LockOwner,
    /// Which locks it excludes.
    pub class: LockClass,
    /// Whether others may have it.
    pub mode: LockMode,
    /// Its first byte.
    pub start: u64,
    /// Its last byte.
    pub last: u64,
    /// The process to be told by `F_GETLK`; -1 for an open file's.
    pub pid: i32,
}

impl FileLock {
    fn is_near(&self, other: &FileLock) -> bool {
        self.class == other.class && self.start <= other.last && other.start <= self.last
    }

    fn excludes(&self, other: &FileLock) -> bool {
        self.owner != other.owner
            && self.is_near(other)
            && (self.mode == LockMode::Exclusive || other.mode == LockMode::Exclusive)
    }

    fn is_of(&self, owner: LockOwner, class: LockClass) -> bool {
        (self.owner, self.class) == (owner, class)
    }
}

/// The locks of one file.
pub struct FileLocks {
    held: Mutex<Vec<FileLock>>,
    released: WaitQueue,
}

/// Which owner waits for which, over all files.
static WAITING: Mutex<Vec<(LockOwner, LockOwner)>> = Mutex::new(Vec::new());

impl FileLocks {
    /// No locks.
    pub fn new() -> FileLocks {
        FileLocks {
            held: Mutex::new(Vec::new()),
            released: WaitQueue::labelled(&Label("file lock")),
        }
    }

    /// A lock that excludes this one.
    pub fn conflict(&self, lock: &FileLock) -> Option<FileLock> {
        let held = self.held.lock();
        held.iter().find(|other| other.excludes(lock)).copied()
    }

    /// Takes the lock, in place of what its owner has there; `EAGAIN` if another excludes it.
    pub fn try_lock(&self, lock: FileLock) -> Result<(), Errno> {
        let result = {
            let mut held = self.held.lock();
            // One range may become three.
            fallible::reserve(&mut held, 2)?;
            match held.iter().any(|other| other.excludes(&lock)) {
                true => Err(Errno::EAGAIN),
                false => {
                    cut(&mut held, &lock);
                    held.push(lock);
                    join(&mut held, lock.owner, lock.class);
                    Ok(())
                }
            }
        };
        // An exclusive lock may have become a shared one.
        if result.is_ok() {
            self.released.wake_all();
        }
        result
    }

    /// Takes the lock, and waits until it can be had.
    pub async fn lock(&self, lock: FileLock, caller: &dyn Caller) -> Result<(), Errno> {
        loop {
            match self.try_lock(lock) {
                Err(Errno::EAGAIN) => {}
                result => return result,
            }
            let Some(other) = self.conflict(&lock) else {
                continue;
            };
            let _waiting = Waiting::begin(lock, other.owner)?;
            let free = || self.conflict(&lock).is_none().then_some(());
            interruptible(caller, self.released.wait_until(free)).await?;
        }
    }

    /// Releases what the owner has in the lock's range. Only a range that is cut in two takes memory,
    /// and may use the reserve for it.
    pub fn unlock(&self, lock: &FileLock) -> Result<(), Errno> {
        {
            let mut held = self.held.lock();
            held.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            cut(&mut held, lock);
        }
        self.released.wake_all();
        Ok(())
    }

    /// Releases all that the owner has.
    pub fn release(&self, owner: LockOwner) {
        let any = {
            let mut held = self.held.lock();
            let before = held.len();
            held.retain(|lock| lock.owner != owner);
            held.len() != before
        };
        if any {
            self.released.wake_all();
        }
    }
}

impl Default for FileLocks {
    fn default() -> FileLocks {
        FileLocks::new()
    }
}

/// Takes the range of `lock` out of what its owner has. There is room for one lock more.
fn cut(held: &mut Vec<FileLock>, lock: &FileLock) {
    let mut at = 0;
    while let Some(other) = held.get_mut(at) {
        if !(other.is_of(lock.owner, lock.class) && other.is_near(lock)) {
            at += 1;
            continue;
        }
        let (start, last) = (other.start, other.last);
        if start >= lock.start && last <= lock.last {
            held.swap_remove(at);
            continue;
        }
        if start < lock.start && last > lock.last {
            let mut behind = *other;
            behind.start = lock.last + 1;
            other.last = lock.start - 1;
            held.push(behind);
        } else if start < lock.start {
            other.last = lock.start - 1;
        } else {
            other.start = lock.last + 1;
        }
        at += 1;
    }
}

/// Makes one of neighbouring locks of an owner that are alike.
fn join(held: &mut Vec<FileLock>, owner: LockOwner, class: LockClass) {
    held.sort_unstable_by_key(|lock| lock.start);
    let mut at = 0;
    while at < held.len() {
        let one = held[at];
        let next = held.iter().skip(at + 1).position(|other| {
            other.is_of(owner, class)
                && one.is_of(owner, class)
                && other.mode == one.mode
                && one.last.checked_add(1) == Some(other.start)
        });
        match next {
            Some(distance) => {
                let other = held.remove(at + 1 + distance);
                held[at].last = other.last;
            }
            None => at += 1,
        }
    }
}

/// That an owner waits for another; over when it is dropped.
struct Waiting(LockOwner);

impl Waiting {
    /// Begins to wait, unless that closes a circle. Only locks on ranges are looked after, and only
    /// those of processes, as on Linux.
    fn begin(lock: FileLock, other: LockOwner) -> Result<Waiting, Errno> {
        let mut waiting = WAITING.lock();
        if let (LockClass::Record, LockOwner::Table(_)) = (lock.class, lock.owner) {
            let mut blocker = other;
            // As many steps as Linux takes.
            for _ in 0..10 {
                if blocker == lock.owner {
                    return Err(Errno::EDEADLK);
                }
                match waiting.iter().find(|(owner, _)| *owner == blocker) {
                    Some(&(_, next)) => blocker = next,
                    None => break,
                }
            }
        }
        fallible::push(&mut waiting, (lock.owner, other))?;
        Ok(Waiting(lock.owner))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock();
        if let Some(at) = waiting.iter().position(|(owner, _)| *owner == self.0) {
            waiting.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::machine;

    fn lock(owner: usize, mode: LockMode, start: u64, last: u64) -> FileLock {
        FileLock {
            owner: LockOwner::Table(owner),
            class: LockClass::Record,
            mode,
            start,
            last,
            pid: 1,
        }
    }

    #[test]
    fn ranges_are_cut_and_joined() {
        let _machine = machine();
        let locks = FileLocks::new();
        let ranges = || {
            let mut ranges: Vec<_> = locks
                .held
                .lock()
                .iter()
                .map(|lock| (lock.start, lock.last))
                .collect();
            ranges.sort_unstable();
            ranges
        };
        let mine = |start, last| lock(1, LockMode::Exclusive, start, last);
        locks.try_lock(mine(10, 19)).unwrap();
        locks.try_lock(mine(20, 29)).unwrap();
        assert_eq!(ranges(), [(10, 29)]);
        locks.unlock(&mine(15, 24)).unwrap();
        assert_eq!(ranges(), [(10, 14), (25, 29)]);
        locks.try_lock(lock(1, LockMode::Shared, 12, 26)).unwrap();
        assert_eq!(ranges(), [(10, 11), (12, 26), (27, 29)]);
        locks.try_lock(mine(0, u64::MAX)).unwrap();
        assert_eq!(ranges(), [(0, u64::MAX)]);
        locks.release(LockOwner::Table(1));
        assert_eq!(ranges(), []);
    }

    #[test]
    fn others_are_excluded_as_the_modes_say() {
        let _machine = machine();
        let locks = FileLocks::new();
        locks.try_lock(lock(1, LockMode::Shared, 0, 9)).unwrap();
        locks.try_lock(lock(2, LockMode::Shared, 5, 20)).unwrap();
        let exclusive = lock(3, LockMode::Exclusive, 9, 9);
        assert_eq!(locks.try_lock(exclusive), Err(Errno::EAGAIN));
        locks
            .try_lock(lock(3, LockMode::Exclusive, 21, 30))
            .unwrap();
        let whole = FileLock {
            class: LockClass::Whole,
            ..lock(4, LockMode::Exclusive, 0, u64::MAX)
        };
        locks.try_lock(whole).unwrap();
        assert_eq!(locks.conflict(&exclusive).map(|lock| lock.start), Some(0));
    }
}
