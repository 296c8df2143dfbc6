//! The table of open files of a process, which it may have in common with others (clone(2),
//! `CLONE_FILES`; unshare(2)).
//!
//! A table is cleared when the last process that uses it ends, not when its memory goes: a zombie
//! still has its reference. A process that had a table in common and got a copy keeps the old reference
//! too, so that [`Files::table`] needs no lock.

use crate::errno::Errno;
use crate::fs::table::FdTable;
use crate::memory::fallible;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Once;

/// A table, and how many living processes use it.
struct Shared {
    table: FdTable,
    users: AtomicUsize,
}

impl Shared {
    fn new(table: FdTable) -> Result<Arc<Shared>, Errno> {
        Ok(fallible::arc(Shared {
            table,
            users: AtomicUsize::new(1),
        })?)
    }

    /// One process uses it no more.
    fn leave(&self) {
        // AcqRel: what others did with the table comes before it is cleared.
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.table.clear();
        }
    }
}

/// What a process has of it.
pub(super) struct Files {
    first: Arc<Shared>,
    /// Its copy, once it has stopped sharing.
    own: Once<Arc<Shared>>,
}

impl Files {
    pub(super) fn new(table: FdTable) -> Result<Files, Errno> {
        Ok(Files {
            first: Shared::new(table)?,
            own: Once::new(),
        })
    }

    fn current(&self) -> &Arc<Shared> {
        self.own.get().unwrap_or(&self.first)
    }

    pub(super) fn table(&self) -> &FdTable {
        &self.current().table
    }

    /// For a child: the same table.
    pub(super) fn share(&self) -> Files {
        let first = self.current().clone();
        // Relaxed: this process is a user, so the count is not zero.
        first.users.fetch_add(1, Ordering::Relaxed);
        Files {
            first,
            own: Once::new(),
        }
    }

    /// For a child: a copy.
    pub(super) fn fork(&self) -> Result<Files, Errno> {
        Files::new(self.table().fork())
    }

    /// Takes a copy if others use the table (unshare(2)). It can be done once in the life of a
    /// process, until which it has had one table.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn unshare(&self) -> Result<(), Errno> {
        let current = self.current();
        if current.users.load(Ordering::Acquire) == 1 {
            return Ok(());
        }
        if self.own.get().is_some() {
            return Err(Errno::ENOMEM);
        }
        let copy = Shared::new(current.table.fork())?;
        self.own.call_once(|| copy);
        self.first.leave();
        Ok(())
    }

    /// The process has ended.
    pub(super) fn leave(&self) {
        self.current().leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    #[test]
    fn a_table_has_as_many_users_as_processes() {
        let _machine = sim::Machine::start(1, 512);
        let one = Files::new(FdTable::new()).unwrap();
        let two = one.share();
        assert!(core::ptr::eq(one.table(), two.table()));
        two.unshare().unwrap();
        assert!(!core::ptr::eq(one.table(), two.table()));
        assert_eq!(one.first.users.load(Ordering::Relaxed), 1);
        // Alone there is nothing to copy.
        let before = core::ptr::from_ref(two.table());
        two.unshare().unwrap();
        assert!(core::ptr::eq(before, two.table()));
        let three = two.share();
        assert_eq!(two.unshare(), Err(Errno::ENOMEM));
        three.leave();
        assert_eq!(two.unshare(), Ok(()));
    }
}
