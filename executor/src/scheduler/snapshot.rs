//! Looking in from outside.

use super::shared::Shared;
use crate::platform::Platform;
use crate::task::{Header, Phase, TaskId, TaskStats};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// A task, as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInfo {
    /// Its number.
    pub id: TaskId,
    /// Its name; empty in an executor without stats (feature `lean`).
    pub name: &'static str,
    /// What it is doing.
    pub phase: Phase,
    /// The CPU where it ran last; `None` before its first poll if it was
    /// spawned from outside all CPUs.
    pub cpu: Option<usize>,
    /// Polls so far; 0 without stats.
    pub polls: u32,
    /// Nanoseconds spent in polls; 0 without stats.
    pub busy_ns: u64,
    /// What it waits for, if it waits for something with a name, and has stats.
    pub waits_for: Option<&'static str>,
    /// Does it stay on its CPU?
    pub pinned: bool,
    /// Is it background work?
    pub background: bool,
}

impl TaskInfo {
    /// # Safety
    ///
    /// As for [`Header::stats`].
    unsafe fn new(task: NonNull<Header>) -> Self {
        use crate::facade::atomic::Ordering;
        use crate::task::Class;
        // SAFETY: the task lives, and the pointer is its.
        let (header, stats) = unsafe { (task.as_ref(), Header::stats(task)) };
        let phase = header.state.phase();
        let cpu = header.last_cpu.load(Ordering::Relaxed);
        Self {
            // SAFETY: as above.
            id: unsafe { Header::id(task) },
            name: stats.map_or("", TaskStats::name),
            phase,
            cpu: (cpu != super::shared::NOWHERE).then_some(cpu as usize),
            polls: stats.map_or(0, TaskStats::polls),
            busy_ns: stats.map_or(0, TaskStats::busy),
            waits_for: stats
                .and_then(TaskStats::waits_for)
                .filter(|_| phase == Phase::Waiting),
            pinned: header.class == Class::Pinned,
            background: header.class == Class::Background,
        }
    }
}

/// A poll that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningTask {
    /// The task's name; empty in an executor without stats (feature `lean`).
    pub name: &'static str,
    /// The task's number.
    pub id: TaskId,
    /// When the poll began.
    pub since: u64,
}

impl<P: Platform> Shared<P> {
    /// The tasks that have not completed, `limit` of them at most.
    pub(super) fn snapshot(&self, limit: usize) -> Result<Vec<TaskInfo>, TryReserveError> {
        let mut all = Vec::new();
        for worker in &self.workers {
            // Memory is found first: nothing is allocated with the lock held.
            loop {
                let wanted = limit - all.len();
                let room = all.capacity() - all.len();
                let missing = worker.tasks.with(|tasks| {
                    let count = tasks.iter().take(wanted).count();
                    if count > room {
                        return count;
                    }
                    // SAFETY: a task in the list has not completed, so it
                    // lives.
                    let infos = tasks.iter().map(|task| unsafe { TaskInfo::new(task) });
                    all.extend(infos.take(wanted));
                    0
                });
                if missing == 0 {
                    break;
                }
                all.try_reserve(missing + missing / 4)?;
            }
        }
        all.sort_unstable_by_key(|task: &TaskInfo| task.id);
        Ok(all)
    }

    /// The poll that goes on on `cpu`.
    pub(super) fn running_since(&self, cpu: usize) -> Option<RunningTask> {
        let (id, since) = self.workers.get(cpu)?.current()?;
        let id = TaskId(id);
        // The name is in the task, which only its list keeps alive. `try`:
        // whoever asks may be reporting a CPU that is stuck with the lock.
        let name = self.workers.iter().find_map(|worker| {
            worker.tasks.try_with(|tasks| {
                let mut name = None;
                tasks.for_each(|task| {
                    // SAFETY: as in `snapshot`.
                    unsafe {
                        if Header::id(task) == id {
                            name = Some(Header::name(task));
                        }
                    }
                });
                name
            })?
        });
        Some(RunningTask {
            name: name.unwrap_or("(gone)"),
            id,
            since,
        })
    }
}
