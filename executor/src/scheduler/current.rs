//! The poll that goes on on a CPU, for a watchdog (rule E4): its task's number and name, and
//! when it began.
//!
//! A sequence lock. The CPU makes `sequence` odd, stores the fields, and makes it even again;
//! any CPU loads the fields between two loads of `sequence`, and takes them if both observe
//! the same even number. So a look costs the same however many tasks there are, and takes no
//! lock.

use crate::facade::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use crate::facade::spin_hint;
use crate::task::TaskId;
use core::ptr::null_mut;

/// After so many looks that met a change, a look gives up.
const ATTEMPTS: usize = if cfg!(loom) { 2 } else { 1_000 };

pub(crate) struct Current {
    /// Even while the fields stand still. Counts up for ever (64 bits do not wrap), so two equal
    /// loads have no change between them.
    sequence: AtomicU64,
    /// The task's number plus one; 0 for no poll.
    task: AtomicU64,
    since: AtomicU64,
    name: AtomicPtr<u8>,
    name_length: AtomicUsize,
}

/// A poll that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningTask {
    /// The task's name; empty in an executor without task statistics (feature `lean`).
    pub name: &'static str,
    /// The task's number.
    pub id: TaskId,
    /// When the poll began.
    pub since: u64,
}

impl Current {
    pub(crate) fn new() -> Self {
        Self {
            sequence: AtomicU64::new(0),
            task: AtomicU64::new(0),
            since: AtomicU64::new(0),
            name: AtomicPtr::new(null_mut()),
            name_length: AtomicUsize::new(0),
        }
    }

    /// A poll begins. Called by the CPU itself, so no read-modify-write is needed.
    pub(crate) fn begin(&self, id: TaskId, name: &'static str, now: u64) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Before the stores to the fields: a look that observes one of them observes, by its own
        // fence, the odd number.
        fence(Ordering::Release);
        self.task.store(id.get().wrapping_add(1), Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
        self.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        self.name_length.store(name.len(), Ordering::Relaxed);
        // Release: pairs with the first load of a look, which then observes the fields.
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// It has ended. A single store: a look finds the poll, or none.
    pub(crate) fn end(&self) {
        self.task.store(0, Ordering::Relaxed);
    }

    /// The poll that goes on; `None` also if each look met a change.
    pub(crate) fn get(&self) -> Option<RunningTask> {
        for _ in 0..ATTEMPTS {
            let before = self.sequence.load(Ordering::Acquire);
            let task = self.task.load(Ordering::Relaxed);
            if task == 0 {
                return None;
            }
            let since = self.since.load(Ordering::Relaxed);
            let name = self.name.load(Ordering::Relaxed);
            let length = self.name_length.load(Ordering::Relaxed);
            // Between the loads of the fields and the second load of the sequence.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                // SAFETY: the number is even and the same before and after, so one `begin` stored
                // both; they are those of a name that lives for ever.
                let name = unsafe { core::slice::from_raw_parts(name, length) };
                // SAFETY: as above: it is a `str`.
                let name = unsafe { core::str::from_utf8_unchecked(name) };
                return Some(RunningTask {
                    name,
                    id: TaskId(task - 1),
                    since,
                });
            }
            spin_hint();
        }
        None
    }
}
