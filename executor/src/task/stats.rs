//! What a task carries so that one can look at it, and that it can do without: with the feature
//! `lean` an executor may be made whose tasks have none.
//!
//! They are in the task's allocation, right before its header, so a pointer to the header
//! leads to them. The vtable says whether they are there; without the feature `lean` they
//! always are, and nobody looks.

use super::context::Label;
use super::header::Header;
use crate::facade::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use core::fmt;
use core::ptr::{NonNull, null_mut};

/// A task's number. No other task of the same executor has it, or had it.
///
/// In an executor without stats (feature `lean`) it is the address of the task: no other
/// has it at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Written by the poller alone, if at all, and read by anybody.
pub(crate) struct TaskStats {
    id: TaskId,
    name: &'static str,
    /// The CPUs where the task may run, a bit each; 0 stands for all. Who places the task
    /// after a poll reads what that poll wrote: the state word orders these.
    affinity: AtomicU64,
    /// Time spent in polls, in the platform's unit of accounting.
    busy: AtomicU64,
    /// What the task waits for since its last poll, or null; see `coop`.
    waits_for: AtomicPtr<Label>,
    /// Polls so far.
    polls: AtomicU32,
}

impl TaskStats {
    pub(crate) fn new(id: TaskId, name: &'static str) -> Self {
        Self {
            id,
            name,
            affinity: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            waits_for: AtomicPtr::new(null_mut()),
            polls: AtomicU32::new(0),
        }
    }

    /// Those of a task, if its executor keeps any.
    ///
    /// # Safety
    ///
    /// The task lives as long as `'a`, and the pointer came from its allocation, not from a
    /// reference to the header.
    pub(crate) unsafe fn of<'a>(task: NonNull<Header>) -> Option<&'a Self> {
        // SAFETY: the task lives; if its vtable says so, its stats end where the header begins.
        unsafe {
            let has_some = !cfg!(feature = "lean") || task.as_ref().vtable.stats;
            has_some.then(|| task.cast::<Self>().sub(1).as_ref())
        }
    }

    /// A poll begins: what it waited for is over.
    pub(super) fn begin(&self) {
        self.waits_for.store(null_mut(), Ordering::Relaxed);
    }

    /// Adds a poll. There is one poller, so no read-modify-write is needed.
    pub(super) fn add(&self, time: u64) {
        let polls = self.polls();
        self.polls.store(polls.wrapping_add(1), Ordering::Relaxed);
        if time != 0 {
            let busy = self.busy();
            self.busy.store(busy.wrapping_add(time), Ordering::Relaxed);
        }
    }

    pub(super) fn set_waits_for(&self, label: &'static Label) {
        let label: *const Label = label;
        self.waits_for.store(label.cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn set_affinity(&self, cpus: u64) {
        if self.affinity.load(Ordering::Relaxed) != cpus {
            self.affinity.store(cpus, Ordering::Relaxed);
        }
    }

    /// The CPUs where it may run, a bit each; `None` for all.
    pub(super) fn affinity(&self) -> Option<u64> {
        Some(self.affinity.load(Ordering::Relaxed)).filter(|&cpus| cpus != 0)
    }

    /// What it waits for, if it waits and somebody has said so.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        let label = self.waits_for.load(Ordering::Relaxed);
        // SAFETY: only references to static labels are stored there.
        unsafe { label.as_ref() }.map(|label| label.0)
    }

    pub(crate) fn polls(&self) -> u32 {
        self.polls.load(Ordering::Relaxed)
    }

    pub(crate) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}
