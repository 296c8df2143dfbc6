//! Looking in from outside.

use super::shared::Shared;
use crate::platform::Platform;
use crate::task::{Header, Phase, TaskId};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// A task, as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInfo {
    /// Its number.
    pub id: TaskId,
    /// Its name.
    pub name: &'static str,
    /// What it is doing.
    pub phase: Phase,
    /// The CPU where it ran last; `None` before its first poll if it was
    /// spawned from outside all CPUs.
    pub cpu: Option<usize>,
    /// Polls so far.
    pub polls: u32,
    /// Nanoseconds spent in polls.
    pub busy_ns: u64,
    /// What it waits for, if it waits for something with a name.
    pub waits_for: Option<&'static str>,
    /// Does it stay on its CPU?
    pub pinned: bool,
    /// Is it background work?
    pub background: bool,
}

impl TaskInfo {
    fn new(header: &Header) -> Self {
        use crate::facade::atomic::Ordering;
        use crate::task::Class;
        let cpu = header.last_cpu.load(Ordering::Relaxed);
        Self {
            id: header.id,
            name: header.name,
            phase: header.state.phase(),
            cpu: (cpu != super::shared::NOWHERE).then_some(cpu as usize),
            polls: header.polls(),
            busy_ns: header.busy(),
            waits_for: header
                .waits_for()
                .filter(|_| header.state.phase() == Phase::Waiting),
            pinned: header.class == Class::Pinned,
            background: header.class == Class::Background,
        }
    }
}

/// A poll that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningTask {
    /// The task's name.
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
                    let infos = tasks
                        .iter()
                        .map(|task| TaskInfo::new(unsafe { task.as_ref() }));
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
                    let header = unsafe { task.as_ref() };
                    if header.id == id {
                        name = Some(header.name);
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
