//! What a process consists of: what its threads have in common.

use super::attributes::Attributes;
use super::credentials::{Credentials, IdChange};
use super::executable::Executable;
use super::exit_status::ExitStatus;
use super::fail_counts::FailNth;
use super::family::Family;
use super::files::Files;
use super::pid::Pid;
use super::priority::Priority;
use super::rlimit::Limits;
use super::signal::number::Signal;
use super::signal::state::Signals;
use super::thread::{Name as ThreadName, Tcb};
use super::thread_group::ThreadGroup;
use super::usage::Usage;
use super::user::{Charge, Counted, User};
use crate::errno::Errno;
use crate::fs::node::Node;
use crate::fs::table::FdTable;
use crate::memory::{AddressSpace, FRAME_SIZE};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// A process: an address space, open files, a place in the family, and its threads.
pub struct Process {
    /// Its number, which is its leader's.
    pub pid: Pid,
    /// For others; each thread has its own reference. Gone when the process has exited.
    space: Mutex<Option<Arc<AddressSpace>>>,
    pub(super) files: Files,
    cwd: Mutex<Arc<Node>>,
    /// The bits that `open` and `mkdir` leave out.
    pub umask: AtomicU32,
    /// The process group, for the terminal and `kill`.
    pub group: AtomicU32,
    /// The session.
    pub session: AtomicU32,
    pub(super) limits: Limits,
    pub(super) attributes: Attributes,
    /// Users, groups and capabilities. A lock of its own, under which no other is taken.
    credentials: Mutex<Credentials>,
    /// Counts it among its user's processes, until it is forgotten.
    charge: Mutex<Charge>,
    pub(super) signals: Signals,
    pub(super) family: Family,
    pub(super) threads: ThreadGroup,
    /// Set when a `vfork` child no longer uses its parent's memory.
    pub(super) vfork_done: VforkDone,
    /// Another process has, or has had, the same memory.
    shares_memory: AtomicBool,
    /// The program has said that it uses private barriers (membarrier(2)).
    uses_barriers: AtomicBool,
    /// The name of the program (comm), and its argument list.
    names: Mutex<Arc<Names>>,
    /// The program's file; none before the first program, and after the end.
    executable: Mutex<Option<Arc<Executable>>>,
    /// What all children have used that were waited for.
    pub(super) children_usage: Mutex<Usage>,
    /// The most pages that were seen in memory.
    peak: AtomicU64,
    /// The clock when it was made.
    pub started: u64,
    /// Shifts what the process counts for when memory runs out (`oom`).
    pub(super) oom_score_adj: AtomicI32,
    /// See [`super::fail_nth`].
    pub(super) fail_nth: FailNth,
}

/// What `ps` shows. Shared by `fork`.
#[derive(Default)]
pub struct Names {
    /// The last part of the program's path, 15 bytes at most.
    pub short: Vec<u8>,
    /// The arguments, each with its zero byte; the first page of them.
    pub arguments: Vec<u8>,
}

impl Names {
    /// The name that a thread has which has not asked for another.
    pub(super) fn short_name(&self) -> ThreadName {
        let short = self.short.iter().copied();
        short.take(ThreadName::new().capacity()).collect()
    }
}

/// Whether a `vfork` child has released its parent's memory.
pub(super) struct VforkDone {
    returned: AtomicBool,
    queue: WaitQueue,
}

impl VforkDone {
    pub(super) const fn new() -> VforkDone {
        VforkDone {
            returned: AtomicBool::new(false),
            queue: WaitQueue::labelled(&Label("vfork")),
        }
    }

    /// The child has its own memory, or none any more.
    pub(super) fn complete(&self) {
        // Release: pairs with the Acquire in `wait`. Most processes have no waiter.
        if !self.returned.swap(true, Ordering::AcqRel) {
            self.queue.wake_all();
        }
    }

    pub(super) async fn wait(&self) {
        self.queue
            .wait_until(|| self.returned.load(Ordering::Acquire).then_some(()))
            .await;
    }
}

impl Process {
    pub(super) fn new(pid: Pid, parts: Parts) -> Process {
        Process {
            pid,
            space: Mutex::new(Some(parts.space)),
            files: parts.files,
            cwd: Mutex::new(parts.cwd),
            umask: AtomicU32::new(parts.umask),
            group: AtomicU32::new(parts.group.unwrap_or(pid.0)),
            session: AtomicU32::new(parts.session.unwrap_or(pid.0)),
            limits: parts.limits,
            attributes: Attributes::new(parts.exit_signal),
            credentials: Mutex::new(parts.credentials),
            charge: Mutex::new(parts.charge),
            signals: parts.signals,
            family: Family::new(parts.parent),
            threads: ThreadGroup::new(),
            vfork_done: VforkDone::new(),
            shares_memory: AtomicBool::new(false),
            uses_barriers: AtomicBool::new(parts.uses_barriers),
            names: Mutex::new(parts.names),
            executable: Mutex::new(parts.executable),
            children_usage: Mutex::new(Usage::NONE),
            peak: AtomicU64::new(0),
            started: crate::arch::clock(),
            oom_score_adj: AtomicI32::new(parts.oom_score_adj),
            fail_nth: FailNth::default(),
        }
    }

    /// The address space, or none after the exit.
    pub fn space(&self) -> Option<Arc<AddressSpace>> {
        self.space.lock().clone()
    }

    /// Changes the address space, and returns the one from before.
    pub(super) fn set_space(&self, space: Option<Arc<AddressSpace>>) -> Option<Arc<AddressSpace>> {
        self.limits.memory_is_own();
        core::mem::replace(&mut *self.space.lock(), space)
    }

    /// Whether another process has, or has had, the same memory.
    pub(super) fn shares_memory(&self) -> bool {
        // Relaxed: the fork that made the second process orders the store before both of them.
        self.shares_memory.load(Ordering::Relaxed)
    }

    /// Another process is about to get the same memory.
    pub(super) fn begins_sharing_memory(&self) {
        self.shares_memory.store(true, Ordering::Relaxed);
    }

    /// It has got memory of its own.
    pub(super) fn stops_sharing_memory(&self) {
        self.shares_memory.store(false, Ordering::Relaxed);
    }

    /// Whether the program has said that it uses private barriers.
    pub fn may_use_barriers(&self) -> bool {
        // Relaxed: threads that know of each other's call have been told by other means.
        self.uses_barriers.load(Ordering::Relaxed)
    }

    /// The program says so.
    pub fn allow_barriers(&self) {
        self.uses_barriers.store(true, Ordering::Relaxed);
    }

    /// The program is replaced by one that has not said anything yet.
    pub(super) fn forget_barriers(&self) {
        self.uses_barriers.store(false, Ordering::Relaxed);
    }

    /// The open files.
    pub fn files(&self) -> &FdTable {
        self.files.table()
    }

    /// Takes a copy of the table of open files if other processes use it (unshare(2)).
    pub fn unshare_files(&self) -> Result<(), Errno> {
        self.files.unshare()
    }

    /// The directory where relative paths begin.
    pub fn cwd(&self) -> Arc<Node> {
        self.cwd.lock().clone()
    }

    /// Changes that directory.
    pub fn set_cwd(&self, directory: Arc<Node>) {
        let old = core::mem::replace(&mut *self.cwd.lock(), directory);
        drop(old);
    }

    /// What prctl(2) sets.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether it has called `execve` since it was made.
    pub fn has_executed(&self) -> bool {
        self.attributes.has_executed.load(Ordering::Relaxed)
    }

    /// Its users, groups and capabilities.
    pub fn credentials(&self) -> Credentials {
        self.credentials.lock().clone()
    }

    /// Looks at its users, groups and capabilities.
    pub fn with_credentials<T>(&self, look: impl FnOnce(&Credentials) -> T) -> T {
        look(&self.credentials.lock())
    }

    /// The counts of its real user.
    pub(super) fn user(&self) -> Arc<User> {
        self.credentials.lock().user.clone()
    }

    /// Changes its users, groups and capabilities. After an error nothing has changed.
    pub fn change_credentials<T>(
        &self,
        change: impl FnOnce(&mut Credentials) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        // Made and dropped outside of the lock.
        let mut new = self.credentials();
        let result = change(&mut new)?;
        let charge = new.user.charge(Counted::Task, u64::MAX);
        let old = core::mem::replace(&mut *self.credentials.lock(), new);
        // A count that wraps is none: there are fewer tasks than pids.
        let old_charge = charge.map(|charge| core::mem::replace(&mut *self.charge.lock(), charge));
        drop((old, old_charge));
        Ok(result)
    }

    /// Becomes what a new program is.
    pub(super) fn set_credentials(&self, new: Credentials) {
        let old = core::mem::replace(&mut *self.credentials.lock(), new);
        drop(old);
    }

    /// Changes its users.
    ///
    /// # Errors
    /// As setuid(2), setreuid(2), setresuid(2).
    pub fn set_users(&self, change: IdChange) -> Result<(), Errno> {
        self.change_credentials(|credentials| credentials.change_users(change))
    }

    /// Changes its groups.
    ///
    /// # Errors
    /// As setgid(2), setregid(2), setresgid(2).
    pub fn set_groups(&self, change: IdChange) -> Result<(), Errno> {
        self.change_credentials(|credentials| credentials.change_groups(change))
    }

    /// What it is called.
    pub fn names(&self) -> Arc<Names> {
        self.names.lock().clone()
    }

    /// The program's file, if it has one.
    pub(super) fn executable(&self) -> Option<Arc<Executable>> {
        self.executable.lock().clone()
    }

    pub(super) fn set_executable(&self, executable: Option<Arc<Executable>>) {
        let old = core::mem::replace(&mut *self.executable.lock(), executable);
        drop(old);
    }

    pub(super) fn set_names(&self, names: Names) {
        let names = Arc::new(names);
        let old = core::mem::replace(&mut *self.names.lock(), names);
        drop(old);
    }

    fn leader(&self) -> Option<Arc<Tcb>> {
        self.threads.find(|thread| thread.is_leader())
    }

    /// What its leader is called, or the program if that has left.
    pub fn name(&self) -> ThreadName {
        let name = self.leader().map(|leader| leader.name());
        name.unwrap_or_else(|| self.names().short_name())
    }

    /// The CPUs where its leader may run, a bit each; none if that has left.
    pub fn affinity(&self) -> u64 {
        self.leader().map_or(0, |leader| leader.affinity())
    }

    /// How its leader is scheduled; as usual if that has left.
    pub fn priority(&self) -> Priority {
        self.leader()
            .map_or(Priority::USUAL, |leader| leader.priority())
    }

    /// Whether a CPU polls one of its threads right now.
    pub fn is_running(&self) -> bool {
        self.threads.find(|thread| thread.is_running()).is_some()
    }

    /// How many threads it has.
    pub fn thread_count(&self) -> usize {
        self.threads.len()
    }

    /// Whether its leader waits for something; all threads, if that has left.
    pub fn leader_is_waiting(&self) -> bool {
        self.leader()
            .map_or_else(|| self.is_waiting(), |leader| leader.is_waiting())
    }

    /// Whether all its threads wait for something.
    pub fn is_waiting(&self) -> bool {
        self.threads.find(|thread| !thread.is_waiting()).is_none()
    }

    /// What its threads have used so far.
    pub fn usage(&self) -> Usage {
        let usage = self.threads.usage();
        let resident = match self.space() {
            Some(space) => space.usage_now().1 / FRAME_SIZE,
            // A fault brings one page mostly.
            None => usage.faults as usize,
        };
        // Relaxed: each number stands for itself.
        let before = self.peak.fetch_max(resident as u64, Ordering::Relaxed);
        Usage {
            peak: before.max(resident as u64),
            ..usage
        }
    }

    /// Nanoseconds of CPU time of its threads so far.
    pub fn cpu_time(&self) -> u64 {
        self.threads.usage().time()
    }

    /// What all children have used that were waited for, with theirs.
    pub fn children_usage(&self) -> Usage {
        *self.children_usage.lock()
    }

    /// The status with which it ended, when it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.family.exit_status()
    }
}

/// What a new process is made of.
pub(super) struct Parts {
    pub(super) space: Arc<AddressSpace>,
    pub(super) files: Files,
    pub(super) cwd: Arc<Node>,
    pub(super) umask: u32,
    pub(super) group: Option<u32>,
    pub(super) session: Option<u32>,
    pub(super) limits: Limits,
    pub(super) exit_signal: Option<Signal>,
    pub(super) credentials: Credentials,
    pub(super) charge: Charge,
    pub(super) signals: Signals,
    pub(super) parent: Option<Arc<Process>>,
    pub(super) names: Arc<Names>,
    pub(super) executable: Option<Arc<Executable>>,
    pub(super) uses_barriers: bool,
    pub(super) oom_score_adj: i32,
}
