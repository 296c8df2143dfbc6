//! What a process and a thread consist of.

use super::exit::{ExitStatus, Family};
use super::ids::Pid;
use super::signal::Signals;
use crate::arch::FpuState;
use crate::fs::node::Node;
use crate::fs::table::FdTable;
use crate::memory::AddressSpace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use executor::sync::WaitQueue;
use executor::{Label, TaskId};
use spin::Mutex;

/// A process: an address space, open files, a place in the family, and one thread.
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// Gone when the process has exited.
    space: Mutex<Option<Arc<AddressSpace>>>,
    files: FdTable,
    cwd: Mutex<Arc<Node>>,
    /// The bits that `open` and `mkdir` leave out.
    pub umask: AtomicU32,
    /// The process group, for the terminal and `kill`.
    pub group: AtomicU32,
    /// The session.
    pub session: AtomicU32,
    pub(super) signals: Signals,
    pub(super) family: Family,
    /// A `vfork` child still uses its parent's memory.
    pub(super) borrowed: Borrowed,
    /// The name of the program (comm), and its argument list.
    names: Mutex<Arc<Names>>,
    /// Nanoseconds that its thread was polled, in user mode or for it in the kernel.
    cpu_time: AtomicU64,
    /// The same of all children that were waited for.
    pub(super) children_time: AtomicU64,
    /// The clock when it was made.
    pub started: u64,
    /// The number of the executor's task that its thread is, or [`NO_TASK`].
    task: AtomicU64,
}

/// The thread has not begun yet.
const NO_TASK: u64 = u64::MAX;

/// What `ps` shows. Shared by `fork`.
#[derive(Default)]
pub struct Names {
    /// The last part of the program's path, 15 bytes at most.
    pub short: Vec<u8>,
    /// The arguments, each with its zero byte; the first page of them.
    pub arguments: Vec<u8>,
    /// The program's path.
    pub path: Vec<u8>,
}

/// Whether a `vfork` child has let go of the memory that it borrowed.
pub(super) struct Borrowed {
    returned: AtomicBool,
    queue: WaitQueue,
}

impl Borrowed {
    pub(super) const fn new() -> Borrowed {
        Borrowed {
            returned: AtomicBool::new(false),
            queue: WaitQueue::labelled(&Label("vfork")),
        }
    }

    /// The child has its own memory, or none any more.
    pub(super) fn give_back(&self) {
        // Release: pairs with the Acquire in `wait`. Most processes have nobody who waits.
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
            signals: parts.signals,
            family: Family::new(parts.parent),
            borrowed: Borrowed::new(),
            names: Mutex::new(parts.names),
            cpu_time: AtomicU64::new(0),
            children_time: AtomicU64::new(0),
            started: crate::arch::clock(),
            task: AtomicU64::new(NO_TASK),
        }
    }

    /// The address space, or none after the exit.
    pub fn space(&self) -> Option<Arc<AddressSpace>> {
        self.space.lock().clone()
    }

    /// Makes this CPU enter the address space, if there is one.
    pub(super) fn activate(&self) {
        if let Some(space) = &*self.space.lock() {
            crate::memory::activate(space);
        }
    }

    /// Changes the address space, and returns the one from before.
    pub(super) fn set_space(&self, space: Option<Arc<AddressSpace>>) -> Option<Arc<AddressSpace>> {
        core::mem::replace(&mut *self.space.lock(), space)
    }

    /// The open files.
    pub fn files(&self) -> &FdTable {
        &self.files
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

    /// What it is called.
    pub fn names(&self) -> Arc<Names> {
        self.names.lock().clone()
    }

    pub(super) fn set_names(&self, names: Names) {
        let names = Arc::new(names);
        let old = core::mem::replace(&mut *self.names.lock(), names);
        drop(old);
    }

    /// Nanoseconds of CPU time so far.
    pub fn cpu_time(&self) -> u64 {
        self.cpu_time.load(Ordering::Relaxed)
    }

    /// The same of all children that were waited for.
    pub fn children_time(&self) -> u64 {
        self.children_time.load(Ordering::Relaxed)
    }

    /// The task that its thread is; none for a moment after it was made.
    pub fn task(&self) -> Option<u64> {
        // Relaxed: a number that stands for itself.
        Some(self.task.load(Ordering::Relaxed)).filter(|&task| task != NO_TASK)
    }

    pub(super) fn set_task(&self, task: TaskId) {
        self.task.store(task.get(), Ordering::Relaxed);
    }

    pub(super) fn add_cpu_time(&self, nanoseconds: u64) {
        self.cpu_time.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The status with which it ended, when it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.family.exit_status()
    }
}

/// What a new process is made of.
pub(super) struct Parts {
    pub(super) space: Arc<AddressSpace>,
    pub(super) files: FdTable,
    pub(super) cwd: Arc<Node>,
    pub(super) umask: u32,
    pub(super) group: Option<u32>,
    pub(super) session: Option<u32>,
    pub(super) signals: Signals,
    pub(super) parent: Option<Arc<Process>>,
    pub(super) names: Arc<Names>,
}

/// A thread, apart from its registers, which belong to its future.
pub struct Thread {
    process: Arc<Process>,
    pub(super) fpu: Mutex<FpuState>,
    /// Signals that are held back.
    pub blocked: AtomicU64,
    /// Where the kernel writes a zero when the thread ends (set_tid_address(2)), if somebody
    /// is left to see it.
    pub clear_tid: AtomicUsize,
    /// Whether its memory is its parent's (vfork).
    pub(super) borrows: AtomicBool,
}

impl Thread {
    pub(super) fn new(process: Arc<Process>, fpu: FpuState, blocked: u64) -> Thread {
        Thread {
            process,
            fpu: Mutex::new(fpu),
            blocked: AtomicU64::new(blocked),
            clear_tid: AtomicUsize::new(0),
            borrows: AtomicBool::new(false),
        }
    }

    /// Writes the zero that was asked for, when the thread is about to leave memory that
    /// it shares with its parent (set_tid_address(2)). A bad address is the program's
    /// own loss.
    pub(super) async fn tell_it_leaves(&self) {
        let address = self.clear_tid.swap(0, Ordering::Relaxed);
        if address != 0 && self.borrows.swap(false, Ordering::Relaxed) {
            self.process.activate();
            let _ = self.space().write_bytes(address, &[0; 4]).await;
        }
    }

    /// The process that it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The address space that it runs in. A thread that runs has one.
    ///
    /// # Panics
    /// When the thread has ended.
    pub fn space(&self) -> Arc<AddressSpace> {
        self.process
            .space()
            .expect("a running thread has an address space")
    }
}
