//! Numbers of processes, and the way from a number to its process.
//!
//! The table's lock also orders signals to many with `fork`: such a signal is sent to all
//! members in one hold of it, and a child enters under it only if its parent has no
//! signal that ends it. So the signal is either there before the child, which then is not
//! made, or finds the child in the table. Under this lock only wait queues are locked, and
//! nothing is dropped.

use super::thread::Process;
use alloc::collections::{BTreeMap, TryReserveError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use spin::Mutex;

/// The number of a process (and of its only thread).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Pid(pub u32);

impl Pid {
    /// The first process, which gets the orphans.
    pub const INIT: Pid = Pid(1);
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numbers go round at this one, as Linux's default pid_max.
const LIMIT: u32 = 32768;

struct Table {
    processes: BTreeMap<Pid, Arc<Process>>,
    last: u32,
    made: u64,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    processes: BTreeMap::new(),
    last: 0,
    made: 0,
});

/// Why a process cannot enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotEntered {
    /// No number is free.
    NoPid,
    /// It must not be any more.
    Refused,
}

/// Makes a process under a number that no other has, zombies included, if `may` it still
/// be. Both are called under the table's lock.
pub(super) fn enter(
    may: impl FnOnce() -> bool,
    make: impl FnOnce(Pid) -> Arc<Process>,
) -> Result<Arc<Process>, NotEntered> {
    let mut table = TABLE.lock();
    if !may() {
        return Err(NotEntered::Refused);
    }
    if table.processes.len() >= LIMIT as usize - 1 {
        return Err(NotEntered::NoPid);
    }
    loop {
        table.last = if table.last + 1 < LIMIT {
            table.last + 1
        } else {
            2
        };
        if !table.processes.contains_key(&Pid(table.last)) {
            break;
        }
    }
    table.made += 1;
    let pid = Pid(table.last);
    let process = make(pid);
    table.processes.insert(pid, process.clone());
    Ok(process)
}

/// Forgets a process that has been waited for, unless it is forgotten already.
pub(super) fn remove(process: &Arc<Process>) {
    let mut table = TABLE.lock();
    let known = table.processes.get(&process.pid);
    if known.is_some_and(|known| Arc::ptr_eq(known, process)) {
        // The caller has a reference, so nothing is dropped under the lock.
        table.processes.remove(&process.pid);
    }
}

/// The process with this number, a zombie too.
pub fn find(pid: Pid) -> Option<Arc<Process>> {
    TABLE.lock().processes.get(&pid).cloned()
}

/// The process with the lowest number above this one, zombies included. Whoever goes from
/// one to the next sees all that are there the whole time.
pub fn next(after: Pid) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    let mut rest = table
        .processes
        .range((Bound::Excluded(after), Bound::Unbounded));
    rest.next().map(|(_, process)| process.clone())
}

/// Visits all processes at one moment, zombies included. `visit` is called under the
/// table's lock, perhaps on an interrupt's path: it neither allocates nor waits.
pub fn for_each(visit: impl FnMut(&Process)) {
    let table = TABLE.lock();
    table.processes.values().map(|p| &**p).for_each(visit);
}

/// Whether there is such a process, zombies included. As for `for_each`.
pub fn any(matches: impl FnMut(&Process) -> bool) -> bool {
    let table = TABLE.lock();
    table.processes.values().map(|p| &**p).any(matches)
}

/// The tasks that their threads are, each with its process, in the order of the tasks'
/// numbers; `limit` of them at most. Memory is found with the table unlocked.
pub(super) fn by_task(limit: usize) -> Result<Vec<(u64, Arc<Process>)>, TryReserveError> {
    let mut list = Vec::new();
    list.try_reserve_exact(count().min(limit))?;
    {
        let table = TABLE.lock();
        let threads = table.processes.values();
        let threads = threads.filter_map(|process| Some((process.task()?, process.clone())));
        // No more than fit: what has come meanwhile is left out.
        list.extend(threads.take(list.capacity()));
    }
    list.sort_unstable_by_key(|&(task, _)| task);
    Ok(list)
}

/// How many there are, zombies included.
pub fn count() -> usize {
    TABLE.lock().processes.len()
}

/// How many there have been since the start.
pub fn total() -> u64 {
    TABLE.lock().made
}
