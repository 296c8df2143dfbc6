//! Numbers of processes, and the way from a number to its process.

use super::thread::Process;
use alloc::collections::{BTreeMap, TryReserveError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
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

/// No number is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoPid;

/// Makes a process under a number that no other has, zombies included.
pub(super) fn enter(make: impl FnOnce(Pid) -> Arc<Process>) -> Result<Arc<Process>, NoPid> {
    let mut table = TABLE.lock();
    if table.processes.len() >= LIMIT as usize - 1 {
        return Err(NoPid);
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

/// All processes, zombies included.
pub fn all() -> Vec<Arc<Process>> {
    TABLE.lock().processes.values().cloned().collect()
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
