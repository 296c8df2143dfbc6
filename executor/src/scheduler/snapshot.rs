//! Looking in from outside.

use super::current::RunningTask;
use super::shared::Shared;
use super::task_list::CHUNK;
use crate::platform::Platform;
use crate::task::{Header, Phase, TaskId, TaskStats};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::cell::RefCell;
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

impl<P: Platform> Shared<P> {
    /// The tasks that have not completed, `limit` of them at most.
    pub(super) fn snapshot(&self, limit: usize) -> Result<Vec<TaskInfo>, TryReserveError> {
        // In a cell: memory is found without the lock of the list, and filled with it held.
        let all = RefCell::new(Vec::new());
        for worker in &self.workers {
            let walked = worker.tasks.walk(
                || {
                    let mut all = all.borrow_mut();
                    let wanted = limit.saturating_sub(all.len()).min(CHUNK);
                    all.try_reserve(wanted).map_err(End::NoMemory)
                },
                |task| {
                    let mut all = all.borrow_mut();
                    if all.len() >= limit {
                        return Err(End::Enough);
                    }
                    // SAFETY: a task in the list is alive: it leaves the list before the
                    // executor's reference, which is the last to fall, is given up.
                    all.push(unsafe { TaskInfo::new(task) });
                    Ok(())
                },
            );
            match walked {
                Err(End::NoMemory(error)) => return Err(error),
                Err(End::Enough) => break,
                Ok(()) => {}
            }
        }
        let mut all = all.into_inner();
        all.sort_unstable_by_key(|task: &TaskInfo| task.id);
        Ok(all)
    }

    /// The poll that goes on on `cpu`.
    pub(super) fn running_since(&self, cpu: usize) -> Option<RunningTask> {
        self.workers.get(cpu)?.current.get()
    }
}

/// Why a walk ended early.
enum End {
    Enough,
    NoMemory(TryReserveError),
}
