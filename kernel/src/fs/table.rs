//! File descriptors: the table from small numbers to open files that each
//! process has.
//!
//! The table is shared by `fork` and copied by the first of the two that changes it, so
//! forking costs one reference whatever the number of open files; a child that only runs
//! another program or exits never copies.
//!
//! **Protocol.** The lock is held to look up or to change, never while an open file is dropped:
//! that may wake tasks, or free a file that was unlinked. What is taken out is returned to the
//! caller, or dropped after the lock.

use super::file::OpenFile;
use super::locks::LockOwner;
use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use spin::{Mutex, Once};

/// How many files a process can have open unless it says otherwise (`RLIMIT_NOFILE`).
pub const USUAL_LIMIT: usize = 1024;
/// What it can say at most (Linux: `/proc/sys/fs/nr_open` is far more, but that is a table of
/// 16 MiB).
pub const MAX_LIMIT: usize = 65536;

/// A file descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fd(pub u32);

impl Fd {
    /// The descriptor in a system call's argument, of which the ABI uses 32 bits.
    pub fn from_argument(argument: usize) -> Fd {
        Fd(argument as u32)
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether a descriptor is closed by `execve`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExec {
    /// It stays open.
    Keep,
    /// It is closed (`FD_CLOEXEC`).
    Close,
}

#[derive(Clone)]
struct Descriptor {
    file: Arc<OpenFile>,
    on_exec: OnExec,
}

/// The descriptors' slots.
struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    /// There is no free slot below this one.
    free: usize,
}

impl Descriptors {
    /// The table without descriptors. There is one, which all share until they change it: a process
    /// that ends takes no memory for it.
    fn empty() -> Arc<Descriptors> {
        static EMPTY: Once<Arc<Descriptors>> = Once::new();
        let make = || {
            Arc::new(Descriptors {
                slots: Vec::new(),
                free: 0,
            })
        };
        EMPTY.call_once(make).clone()
    }

    fn get(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        self.slots
            .get(fd.index())
            .and_then(Option::as_ref)
            .ok_or(Errno::EBADF)
    }

    /// A copy of those slots that `keep` says.
    fn copy(&self, keep: impl Fn(Fd, &Descriptor) -> bool) -> Result<Arc<Descriptors>, Errno> {
        // From the reserve, since `close` in a child copies too, and is not to be refused.
        let mut copy = Vec::new();
        copy.try_reserve_exact(self.slots.len())
            .map_err(|_| Errno::ENOMEM)?;
        copy.extend(
            self.slots
                .iter()
                .zip(0..)
                .map(|(slot, number)| slot.as_ref().filter(|slot| keep(Fd(number), slot)).cloned()),
        );
        let free = copy.iter().position(Option::is_none).unwrap_or(copy.len());
        Ok(fallible::arc_from_reserve(Descriptors {
            slots: copy,
            free,
        })?)
    }

    fn lowest_free(&mut self, lowest: Fd) -> Fd {
        let start = lowest.index().max(self.free);
        let used = self
            .slots
            .iter()
            .skip(start)
            .take_while(|slot| slot.is_some())
            .count();
        if lowest.index() <= self.free {
            self.free = start + used;
        }
        Fd((start + used) as u32)
    }

    /// Fills a slot and returns what was in it. Without memory the new contents come back.
    fn set(&mut self, fd: Fd, slot: Descriptor) -> Result<Option<Descriptor>, (Errno, Descriptor)> {
        let index = fd.index();
        if index >= self.slots.len() {
            let more = index + 1 - self.slots.len();
            if let Err(error) = fallible::reserve(&mut self.slots, more) {
                return Err((error.into(), slot));
            }
            self.slots.resize(index + 1, None);
        }
        Ok(self.slots[index].replace(slot))
    }

    fn take(&mut self, fd: Fd) -> Option<Descriptor> {
        let slot = self.slots.get_mut(fd.index())?.take()?;
        self.free = self.free.min(fd.index());
        Some(slot)
    }
}

/// The file descriptors of a process.
pub struct FdTable {
    slots: Mutex<Arc<Descriptors>>,
    limit: AtomicUsize,
    /// Whether it may own locks.
    locked: AtomicBool,
}

impl FdTable {
    /// A table without open files.
    pub fn new() -> FdTable {
        FdTable {
            slots: Mutex::new(Descriptors::empty()),
            limit: AtomicUsize::new(USUAL_LIMIT),
            locked: AtomicBool::new(false),
        }
    }

    /// The process as the owner of locks on ranges of files (fcntl(2)).
    pub fn lock_owner(&self) -> LockOwner {
        // A table stays where it is, and has given up its locks when it goes.
        LockOwner::Table((&raw const *self).addr())
    }

    /// From now on each close looks for locks that this table owns.
    pub fn note_lock(&self) {
        // Relaxed: it is set before the lock is taken, by the process that closes.
        self.locked.store(true, Ordering::Relaxed);
    }

    /// Releases the process's locks on a file of which it closes a descriptor: any of them, as
    /// fcntl(2) says.
    fn release_locks(&self, file: &OpenFile) {
        if self.locked.load(Ordering::Relaxed)
            && let Some(node) = file.node()
        {
            node.release_locks(self.lock_owner());
        }
    }

    /// The table of a child.
    pub fn fork(&self) -> FdTable {
        FdTable {
            slots: Mutex::new(self.slots.lock().clone()),
            limit: AtomicUsize::new(self.limit()),
            locked: AtomicBool::new(false),
        }
    }

    /// Pages that would come back if the open files were closed, as far as that is easy to tell: what
    /// is in pipes.
    pub fn held_pages(&self) -> u64 {
        let slots = self.slots.lock().clone();
        let files = slots.slots.iter().flatten();
        files.map(|slot| slot.file.held_pages() as u64).sum()
    }

    /// One more than the largest descriptor that can be had (`RLIMIT_NOFILE`).
    pub fn limit(&self) -> usize {
        // Relaxed: a number that stands for itself.
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. Descriptors above it stay open.
    pub fn set_limit(&self, limit: usize) -> Result<(), Errno> {
        if limit > MAX_LIMIT {
            return Err(Errno::EPERM);
        }
        self.limit.store(limit, Ordering::Relaxed);
        Ok(())
    }

    /// The open file of a descriptor.
    pub fn get(&self, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
        let slots = self.slots.lock();
        slots.get(fd).map(|slot| slot.file.clone())
    }

    /// The lowest descriptor in use that is not below `lowest`.
    pub fn next_from(&self, lowest: Fd) -> Option<Fd> {
        let slots = self.slots.lock();
        let mut rest = slots.slots.iter().zip(0..).skip(lowest.index());
        rest.find_map(|(slot, number)| slot.is_some().then_some(Fd(number)))
    }

    /// How many descriptors there is room for at the moment.
    pub fn size(&self) -> usize {
        self.slots.lock().slots.len()
    }

    /// Gives the file the lowest free descriptor.
    pub fn add(&self, file: Arc<OpenFile>, on_exec: OnExec) -> Result<Fd, Errno> {
        self.add_from(Fd(0), file, on_exec)
    }

    /// Gives the file the lowest free descriptor that is not below `lowest` (`F_DUPFD`).
    pub fn add_from(&self, lowest: Fd, file: Arc<OpenFile>, on_exec: OnExec) -> Result<Fd, Errno> {
        let limit = self.limit();
        if lowest.index() >= limit {
            return Err(Errno::EINVAL);
        }
        let slot = Descriptor { file, on_exec };
        let result = self.change(|slots| {
            let fd = slots.lowest_free(lowest);
            if fd.index() >= limit {
                return Err((Errno::EMFILE, slot));
            }
            slots.set(fd, slot).map(|_| fd)
        })?;
        // On an error the slot has come back, to be dropped here without the lock.
        result.map_err(|(error, _slot)| error)
    }

    /// Gives two files their descriptors, or none of them (pipe(2)).
    pub fn add_two(
        &self,
        files: (Arc<OpenFile>, Arc<OpenFile>),
        on_exec: OnExec,
    ) -> Result<(Fd, Fd), Errno> {
        let first = self.add(files.0, on_exec)?;
        match self.add(files.1, on_exec) {
            Ok(second) => Ok((first, second)),
            Err(error) => {
                let _ = self.remove(first);
                Err(error)
            }
        }
    }

    /// Gives the file this descriptor, and returns what had it (dup2(2)).
    pub fn set(
        &self,
        fd: Fd,
        file: Arc<OpenFile>,
        on_exec: OnExec,
    ) -> Result<Option<Arc<OpenFile>>, Errno> {
        if fd.index() >= self.limit() {
            return Err(Errno::EBADF);
        }
        let slot = Descriptor { file, on_exec };
        let old = self
            .change(|slots| slots.set(fd, slot))?
            .map_err(|(error, _slot)| error)?;
        Ok(old.map(|slot| {
            self.release_locks(&slot.file);
            slot.file
        }))
    }

    /// Takes the descriptor away and returns what it stood for (close(2)).
    pub fn remove(&self, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
        // So that a bad descriptor copies nothing.
        self.get(fd)?;
        let slot = self.change(|slots| slots.take(fd))?.ok_or(Errno::EBADF)?;
        self.release_locks(&slot.file);
        Ok(slot.file)
    }

    /// Whether the descriptor is closed by `execve`.
    pub fn on_exec(&self, fd: Fd) -> Result<OnExec, Errno> {
        self.slots.lock().get(fd).map(|slot| slot.on_exec)
    }

    /// Says whether the descriptor is closed by `execve`.
    pub fn set_on_exec(&self, fd: Fd, on_exec: OnExec) -> Result<(), Errno> {
        if self.on_exec(fd)? == on_exec {
            return Ok(());
        }
        self.change(|slots| match slots.slots.get_mut(fd.index()) {
            Some(Some(slot)) => {
                slot.on_exec = on_exec;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        })?
    }

    /// Says for a range of descriptors that `execve` closes them (close_range(2)).
    pub fn close_on_exec_in(&self, range: RangeInclusive<Fd>) -> Result<(), Errno> {
        self.change(|slots| {
            for (slot, number) in slots.slots.iter_mut().zip(0..) {
                if let Some(slot) = slot
                    && range.contains(&Fd(number))
                {
                    slot.on_exec = OnExec::Close;
                }
            }
        })
    }

    /// Closes a range of descriptors (close_range(2)).
    pub fn remove_in(&self, range: RangeInclusive<Fd>) -> Result<(), Errno> {
        self.keep(|fd, _| !range.contains(&fd))
    }

    /// Closes what `execve` closes.
    pub fn exec(&self) -> Result<(), Errno> {
        self.keep(|_, slot| slot.on_exec == OnExec::Keep)
    }

    /// Closes everything, for a process that ends.
    pub fn clear(&self) {
        let old = mem::replace(&mut *self.slots.lock(), Descriptors::empty());
        if self.locked.load(Ordering::Relaxed) {
            let files = old.slots.iter().flatten();
            files.for_each(|slot| self.release_locks(&slot.file));
        }
        drop(old);
    }

    /// Keeps only those descriptors that `keep` says.
    fn keep(&self, keep: impl Fn(Fd, &Descriptor) -> bool) -> Result<(), Errno> {
        let mut guard = self.slots.lock();
        let all = guard
            .slots
            .iter()
            .zip(0..)
            .all(|(slot, number)| match slot {
                Some(slot) => keep(Fd(number), slot),
                None => true,
            });
        if all {
            return Ok(());
        }
        let copy = guard.copy(&keep)?;
        let old = mem::replace(&mut *guard, copy);
        drop(guard);
        if self.locked.load(Ordering::Relaxed) {
            let slots = old.slots.iter().zip(0..);
            for (slot, number) in slots {
                if let Some(slot) = slot.as_ref().filter(|slot| !keep(Fd(number), slot)) {
                    self.release_locks(&slot.file);
                }
            }
        }
        drop(old);
        Ok(())
    }

    /// Changes the slots, after copying them if another process shares them.
    fn change<R>(&self, change: impl FnOnce(&mut Descriptors) -> R) -> Result<R, Errno> {
        let mut guard = self.slots.lock();
        let mut old = None;
        if Arc::get_mut(&mut guard).is_none() {
            match guard.copy(|_, _| true) {
                Ok(copy) => old = Some(mem::replace(&mut *guard, copy)),
                Err(error) => {
                    drop(guard);
                    // `change` may hold the last reference to a file.
                    drop(change);
                    return Err(error);
                }
            }
        }
        // Always there: it is our own now, and shared only under the lock.
        let result = Arc::get_mut(&mut guard).map(change).ok_or(Errno::ENOMEM);
        drop(guard);
        drop(old);
        result
    }
}

impl Default for FdTable {
    fn default() -> FdTable {
        FdTable::new()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
