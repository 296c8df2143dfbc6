//! What the processes of one user have together, for the limits that count per user
//! (getrlimit(2)): `RLIMIT_NPROC` and `RLIMIT_SIGPENDING`.
//!
//! A count goes up with a [`Charge`], a value that is kept beside the thing that is counted, and
//! goes down when that is dropped.

use crate::memory::OutOfMemory;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counted {
    /// Processes and threads.
    Task,
    /// Signals in queues.
    Signal,
}

/// The counts of a user.
pub(super) struct User {
    uid: u32,
    tasks: AtomicU64,
    signals: AtomicU64,
}

/// The users that have processes, and some that had.
static USERS: Mutex<Vec<Arc<User>>> = Mutex::new(Vec::new());

impl User {
    /// The counts of the user with this number.
    pub(super) fn find(uid: u32) -> Result<Arc<User>, OutOfMemory> {
        crate::memory::ensure_free()?;
        let new = Arc::new(User {
            uid,
            tasks: AtomicU64::new(0),
            signals: AtomicU64::new(0),
        });
        let mut users = USERS.lock();
        if let Some(user) = users.iter().find(|user| user.uid == uid) {
            return Ok(user.clone());
        }
        // A user without a reference elsewhere has nothing that is counted.
        if let Some(unused) = users.iter_mut().find(|user| Arc::strong_count(user) == 1) {
            *unused = new.clone();
        } else {
            users.try_reserve(1).map_err(|_| OutOfMemory)?;
            users.push(new.clone());
        }
        Ok(new)
    }

    /// A user that is in no table.
    #[cfg(test)]
    pub(super) fn alone() -> Arc<User> {
        Arc::new(User {
            uid: 7,
            tasks: AtomicU64::new(0),
            signals: AtomicU64::new(0),
        })
    }

    fn count(&self, what: Counted) -> &AtomicU64 {
        match what {
            Counted::Task => &self.tasks,
            Counted::Signal => &self.signals,
        }
    }

    /// Counts one more, unless there are `limit` already.
    pub(super) fn charge(self: &Arc<User>, what: Counted, limit: u64) -> Option<Charge> {
        // Relaxed, as everywhere here: the number orders nothing else.
        let order = Ordering::Relaxed;
        let more = |count| (count < limit).then_some(count + 1);
        let charged = self.count(what).fetch_update(order, order, more);
        charged.ok().map(|_| Charge {
            user: self.clone(),
            what,
        })
    }
}

/// One that is counted.
pub(super) struct Charge {
    user: Arc<User>,
    what: Counted,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let count = self.user.count(self.what);
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_counts_until_it_is_dropped() {
        let user = User::alone();
        let first = user.charge(Counted::Signal, 2);
        let second = user.charge(Counted::Signal, 2);
        assert!(first.is_some() && second.is_some());
        assert!(user.charge(Counted::Signal, 2).is_none());
        assert!(user.charge(Counted::Task, 1).is_some());
        drop(first);
        assert!(user.charge(Counted::Signal, 2).is_some());
    }
}
