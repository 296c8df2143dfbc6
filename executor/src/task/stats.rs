//! Task statistics: what an observer sees of a task, and what the task can do without. With the
//! feature `lean` an executor can be made whose tasks have none.
//!
//! They lie in the task's allocation, right before its header, so a pointer to the header leads
//! to them (`Header::stats`). The vtable says whether they are there; without the feature `lean`
//! they always are, and that look is compiled out.

use super::label::{Label, TaskId};
use super::run_time::{Virtual, charge};
use super::share::{Share, ShareWord};
use crate::facade::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use core::ptr::null_mut;

/// The CPU that polls the task writes them; any CPU reads them.
pub(crate) struct TaskStats {
    id: TaskId,
    name: &'static str,
    /// The CPUs where the task may run, a bit each; 0 stands for all. The poller stores it before
    /// the state transition that ends the poll (AcqRel), and a CPU that enqueues the task has
    /// made a later transition (AcqRel), so its load observes that store.
    affinity: AtomicU64,
    /// Time spent in polls, in the unit of `Platform::stamp`.
    busy: AtomicU64,
    /// What the task waits for since its last poll, or null; see `context`.
    waits_for: AtomicPtr<Label>,
    /// Polls so far.
    polls: AtomicU32,
    /// The virtual run time. The poller stores it, and the CPU that holds the `Runnable`.
    run_time: AtomicU32,
    /// Its [`ShareWord`]. Only the poller stores it, so it stays as it is while the task is in a
    /// queue.
    share: AtomicU32,
}

impl TaskStats {
    pub(crate) fn new(id: TaskId, name: &'static str, share: Share) -> Self {
        Self {
            id,
            name,
            affinity: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            waits_for: AtomicPtr::new(null_mut()),
            polls: AtomicU32::new(0),
            run_time: AtomicU32::new(0),
            share: AtomicU32::new(ShareWord::from(share).0),
        }
    }

    /// A poll begins: the task no longer waits.
    pub(super) fn begin(&self) {
        self.waits_for.store(null_mut(), Ordering::Relaxed);
    }

    /// Adds a poll. Only the poller stores to these fields, so no read-modify-write is needed.
    ///
    /// The virtual run time grows by the time over the weight.
    pub(super) fn add(&self, time: u64) {
        let polls = self.polls();
        self.polls.store(polls.wrapping_add(1), Ordering::Relaxed);
        let more = charge(time, self.share().weight());
        self.set_run_time(self.run_time().wrapping_add(more));
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

    /// The CPUs where the task may run, a bit each; `None` for all.
    pub(super) fn affinity(&self) -> Option<u64> {
        Some(self.affinity.load(Ordering::Relaxed)).filter(|&cpus| cpus != 0)
    }

    /// What the task is given of its CPU.
    pub(super) fn share(&self) -> ShareWord {
        ShareWord(self.share.load(Ordering::Relaxed))
    }

    /// Changes that, and returns what it was.
    pub(super) fn set_share(&self, share: ShareWord) -> ShareWord {
        let old = self.share();
        if old != share {
            self.share.store(share.0, Ordering::Relaxed);
        }
        old
    }

    /// The name of what the task waits for, if its last poll left one.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        let label = self.waits_for.load(Ordering::Relaxed);
        // SAFETY: only references to static labels are stored there.
        unsafe { label.as_ref() }.map(|label| label.0)
    }

    pub(super) fn run_time(&self) -> Virtual {
        self.run_time.load(Ordering::Relaxed)
    }

    pub(super) fn set_run_time(&self, run_time: Virtual) {
        self.run_time.store(run_time, Ordering::Relaxed);
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
