//! The table of pids: from the number of a process or a thread to the process or thread.
//!
//! There is one space of numbers. A process and its leader share one, which the process keeps as
//! long as it exists, zombie included; each further thread has its own until it ends.
//!
//! The table's lock also orders signals to many processes with `fork`. Such a signal is sent to all
//! members in one hold of the lock, and a child enters the table under the lock only if no fatal
//! signal is pending for its parent. So either the signal comes first, and the child is not made, or
//! it finds the child in the table. Under this lock only wait queues are locked, and nothing is
//! dropped.

pub use super::pid::Pid;
use super::signal::InheritedSignals;
use super::state::Process;
use super::thread::Tcb;
use super::thread_group::NotJoined;
use super::user::Charge;
use alloc::collections::{BTreeMap, TryReserveError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use spin::Mutex;

/// Numbers go round at this one, as Linux's default pid_max.
pub(super) const LIMIT: u32 = 32768;

/// What a number stands for.
enum Numbered {
    /// A process, and its leader if that has not left.
    Process(Arc<Process>),
    /// A thread that is not the leader.
    Thread(Arc<Tcb>),
}

impl Numbered {
    fn process(&self) -> &Arc<Process> {
        match self {
            Numbered::Process(process) => process,
            Numbered::Thread(thread) => thread.process(),
        }
    }

    fn as_process(&self) -> Option<&Arc<Process>> {
        match self {
            Numbered::Process(process) => Some(process),
            Numbered::Thread(_) => None,
        }
    }
}

struct Table {
    numbers: BTreeMap<Pid, Numbered>,
    last: u32,
    made: u64,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    numbers: BTreeMap::new(),
    last: 0,
    made: 0,
});

impl Table {
    /// The next free number in turn.
    fn free_number(&mut self) -> Option<Pid> {
        if self.numbers.len() >= LIMIT as usize - 1 {
            return None;
        }
        loop {
            self.last = if self.last + 1 < LIMIT {
                self.last + 1
            } else {
                2
            };
            if !self.numbers.contains_key(&Pid(self.last)) {
                return Some(Pid(self.last));
            }
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.numbers.values().filter_map(Numbered::as_process)
    }
}

/// Why a process or thread cannot enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotEntered {
    /// No number is free.
    NoPid,
    /// Its maker has to end.
    Refused,
    /// No memory.
    OutOfMemory,
}

impl From<NotJoined> for NotEntered {
    fn from(error: NotJoined) -> NotEntered {
        match error {
            NotJoined::Ending => NotEntered::Refused,
            NotJoined::OutOfMemory => NotEntered::OutOfMemory,
        }
    }
}

/// Makes a process with its leader under a free number, if `may` allows it. `may` and `make` are
/// called under the table's lock.
pub(super) fn enter(
    may: impl FnOnce() -> bool,
    make: impl FnOnce(Pid) -> Arc<Process>,
    signals: InheritedSignals,
) -> Result<Arc<Tcb>, NotEntered> {
    let mut table = TABLE.lock();
    if !may() {
        return Err(NotEntered::Refused);
    }
    let pid = table.free_number().ok_or(NotEntered::NoPid)?;
    let process = make(pid);
    let leader = Arc::new(Tcb::new(process.clone(), pid, signals, None));
    process.threads.join(leader.clone())?;
    table.numbers.insert(pid, Numbered::Process(process));
    table.made += 1;
    Ok(leader)
}

/// Makes a further thread of a process, under a number of its own, unless all its threads
/// have to go.
pub(super) fn enter_thread(
    process: &Arc<Process>,
    signals: InheritedSignals,
    charge: Charge,
) -> Result<Arc<Tcb>, NotEntered> {
    let mut table = TABLE.lock();
    let tid = table.free_number().ok_or(NotEntered::NoPid)?;
    let thread = Arc::new(Tcb::new(process.clone(), tid, signals, Some(charge)));
    process.threads.join(thread.clone())?;
    table.numbers.insert(tid, Numbered::Thread(thread.clone()));
    table.made += 1;
    Ok(thread)
}

/// Forgets a process that has been waited for, unless it is forgotten already.
pub(super) fn remove(process: &Arc<Process>) {
    let mut table = TABLE.lock();
    let known = table.numbers.get(&process.pid);
    let known = known.and_then(Numbered::as_process);
    if known.is_some_and(|known| Arc::ptr_eq(known, process)) {
        // The caller has a reference, so nothing is dropped under the lock.
        table.numbers.remove(&process.pid);
    }
}

/// Forgets a thread that is not the leader, and that has left or becomes the leader.
pub(super) fn remove_thread(thread: &Arc<Tcb>) {
    let removed = TABLE.lock().numbers.remove(&thread.tid());
    // Not under the lock.
    drop(removed);
}

/// The process with this number, a zombie too; or the one whose thread has it.
pub fn find(pid: Pid) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    table.numbers.get(&pid).map(Numbered::process).cloned()
}

/// What has this number: its process, and itself if it is a thread that has not left.
pub fn find_thread(tid: Pid) -> Option<(Arc<Process>, Option<Arc<Tcb>>)> {
    let table = TABLE.lock();
    Some(match table.numbers.get(&tid)? {
        Numbered::Thread(thread) => (thread.process().clone(), Some(thread.clone())),
        Numbered::Process(process) => (
            process.clone(),
            process.threads.find(|thread| thread.is_leader()),
        ),
    })
}

/// The process with the lowest number above this one, zombies included. A walk from one to the
/// next sees all processes that exist throughout the walk.
pub fn next(after: Pid) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    let mut rest = table
        .numbers
        .range((Bound::Excluded(after), Bound::Unbounded));
    rest.find_map(|(_, numbered)| numbered.as_process().cloned())
}

/// The thread of a process with the lowest number above this one. A leader that has left is still
/// there while its process is.
pub fn next_thread_of(process: &Arc<Process>, after: Pid) -> Option<Pid> {
    let table = TABLE.lock();
    let mut rest = table
        .numbers
        .range((Bound::Excluded(after), Bound::Unbounded));
    rest.find(|(_, numbered)| Arc::ptr_eq(numbered.process(), process))
        .map(|(&tid, _)| tid)
}

/// Visits all processes at one moment, zombies included. `visit` is called under the
/// table's lock, perhaps on an interrupt's path: it does not wait, and goes on where it finds no memory.
pub fn for_each(visit: impl FnMut(&Process)) {
    let table = TABLE.lock();
    table.processes().map(|p| &**p).for_each(visit);
}

/// Whether there is such a process, zombies included. As for `for_each`.
pub fn any(matches: impl FnMut(&Process) -> bool) -> bool {
    let table = TABLE.lock();
    table.processes().map(|p| &**p).any(matches)
}

/// The tasks that all threads are, each with its thread, in the order of the tasks' numbers;
/// `limit` of them at most. Memory is found with the table unlocked.
pub(super) fn by_task(limit: usize) -> Result<Vec<(u64, Arc<Tcb>)>, TryReserveError> {
    let mut list = Vec::new();
    list.try_reserve_exact(count().min(limit))?;
    {
        let table = TABLE.lock();
        for process in table.processes() {
            process.threads.for_each(|thread| {
                // No more than fit: what has come meanwhile is left out.
                if let Some(task) = thread.task()
                    && list.len() < list.capacity()
                {
                    list.push((task, thread.clone()));
                }
            });
        }
    }
    list.sort_unstable_by_key(|&(task, _)| task);
    Ok(list)
}

/// How many numbers are taken, by processes, zombies and threads.
pub fn count() -> usize {
    TABLE.lock().numbers.len()
}

/// How many processes have a thread that runs or is ready to.
pub(super) fn running() -> usize {
    let table = TABLE.lock();
    let running = table.processes();
    running
        .filter(|process| process.exit_status().is_none() && !process.is_waiting())
        .count()
}

/// The number that was given out last.
pub(super) fn last() -> u32 {
    TABLE.lock().last
}

/// How many processes and threads there have been since the start.
pub fn total() -> u64 {
    TABLE.lock().made
}
