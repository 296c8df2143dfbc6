//! A thread, in two parts.
//!
//! [`Tcb`], the thread control block, is shared: other tasks find a thread by its number, signal
//! it, and end it through the Tcb. [`Thread`] belongs to the thread's own future and holds what only
//! the thread uses, first of all its address space. So a system call reaches its memory without a
//! lock and without counting a reference.

use super::pid::Pid;
use super::priority::{Priority, PriorityWord};
use super::signal::state::{InheritedSignals, ThreadSignals};
use super::state::Process;
use super::usage::{ThreadUsage, Usage};
use super::user::Charge;
use crate::arch::{self, CpuId};
use crate::memory::{self, AddressSpace};
use crate::sched;
use crate::sched::ipi;
use crate::trace::{self, Kind};
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use core::task::{Poll, Waker};
use executor::TaskId;
use spin::Mutex;

/// The thread has not begun yet.
const NO_TASK: u64 = u64::MAX;
/// The thread is not being polled.
const NO_CPU: usize = usize::MAX;

/// The name of a thread (prctl(2), `PR_SET_NAME`): 15 bytes at the most.
pub type Name = ArrayVec<u8, 15>;

/// A thread as others see it.
pub struct Tcb {
    process: Arc<Process>,
    /// Counts it among its user's threads. The leader is counted as the process.
    _charge: Option<Charge>,
    /// Its number. It changes once at the most, when the thread becomes the leader (execve(2)).
    pub(super) tid: AtomicU32,
    pub(super) signals: ThreadSignals,
    /// It has to end; never reset.
    exit_pending: AtomicBool,
    /// The waker of the thread's task, for `signal_wake`. Set from the thread's first wait to its
    /// end: a task has one waker all its life.
    pub(super) signal_waker: Mutex<Option<Waker>>,
    /// Where the list of the locks that it holds begins (set_robust_list(2)).
    robust_list: AtomicUsize,
    /// The CPUs where it may run, a bit each.
    affinity: AtomicU64,
    /// How it is scheduled.
    priority: PriorityWord,
    /// What it is called, if not like the program.
    name: Mutex<Option<Name>>,
    /// The CPU that polls it, or [`NO_CPU`].
    cpu: AtomicUsize,
    /// What it has used.
    pub(super) usage: ThreadUsage,
    /// It waits for something.
    is_waiting: AtomicBool,
    /// The number of the executor's task that it is, or [`NO_TASK`].
    task: AtomicU64,
}

impl Tcb {
    pub(super) fn new(
        process: Arc<Process>,
        tid: Pid,
        signals: InheritedSignals,
        charge: Option<Charge>,
    ) -> Tcb {
        Tcb {
            _charge: charge,
            process,
            tid: AtomicU32::new(tid.0),
            signals: ThreadSignals::new(signals),
            exit_pending: AtomicBool::new(false),
            signal_waker: Mutex::new(None),
            robust_list: AtomicUsize::new(0),
            affinity: AtomicU64::new(sched::all_cpus()),
            priority: PriorityWord::new(),
            name: Mutex::new(None),
            cpu: AtomicUsize::new(NO_CPU),
            usage: ThreadUsage::default(),
            is_waiting: AtomicBool::new(false),
            task: AtomicU64::new(NO_TASK),
        }
    }

    /// The process that it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Its number, from the same space as those of processes (gettid(2)).
    pub fn tid(&self) -> Pid {
        // Relaxed: a number that stands for itself.
        Pid(self.tid.load(Ordering::Relaxed))
    }

    /// Whether its number is the process's.
    pub fn is_leader(&self) -> bool {
        self.tid() == self.process.pid
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        self.usage.get()
    }

    /// Whether it waits for something: it is neither running nor ready to.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// It is about to wait.
    pub(super) fn begin_wait(&self) {
        self.is_waiting.store(true, Ordering::Relaxed);
        self.usage.voluntary_switch();
    }

    /// The task that it is; none for a moment after it was made.
    pub fn task(&self) -> Option<u64> {
        // Relaxed: a number that stands for itself.
        Some(self.task.load(Ordering::Relaxed)).filter(|&task| task != NO_TASK)
    }

    pub(super) fn set_task(&self, task: TaskId) {
        let (pid, tid) = (self.process.pid.0, self.tid().0);
        trace::event(Kind::Thread, [task.get(), pid.into(), tid.into()]);
        self.task.store(task.get(), Ordering::Relaxed);
    }

    /// Where the list of the locks that it holds begins, or 0.
    pub fn robust_list(&self) -> usize {
        // Relaxed: a number that stands for itself.
        self.robust_list.load(Ordering::Relaxed)
    }

    /// Changes that. Only for the thread itself.
    pub fn set_robust_list(&self, head: usize) {
        self.robust_list.store(head, Ordering::Relaxed);
    }

    /// Forgets the list, and says where it began.
    pub(super) fn take_robust_list(&self) -> usize {
        self.robust_list.swap(0, Ordering::Relaxed)
    }

    /// The CPUs where it may run, a bit each.
    pub fn affinity(&self) -> u64 {
        // Relaxed: a change is followed by a signal wake-up of the thread.
        self.affinity.load(Ordering::Relaxed)
    }

    /// Whether this CPU is one of them.
    pub(super) fn may_run_here(&self) -> bool {
        self.affinity() >> arch::cpu().0 & 1 != 0
    }

    /// Changes that; there is one at least. The thread moves when its next poll begins, which
    /// is soon if it is in user mode.
    pub fn set_affinity(&self, cpus: u64) {
        self.affinity.store(cpus, Ordering::Relaxed);
        self.signal_wake();
    }

    /// How it is scheduled.
    pub fn priority(&self) -> Priority {
        self.priority.get()
    }

    /// Changes that. It counts from the thread's next poll on, which begins soon if the thread waits.
    pub fn set_priority(&self, priority: Priority) {
        self.priority.set(priority);
        self.signal_wake();
    }

    /// Whether a CPU polls it that is not among these.
    pub fn runs_outside(&self, cpus: u64) -> bool {
        match self.cpu.load(Ordering::Relaxed) {
            NO_CPU => false,
            cpu => cpus >> cpu & 1 == 0,
        }
    }

    /// What it is called.
    pub fn name(&self) -> Name {
        let own = self.name.lock().clone();
        own.unwrap_or_else(|| self.process.names().short_name())
    }

    /// Changes that; `None` is the name of the program.
    pub fn set_name(&self, name: Option<Name>) {
        *self.name.lock() = name;
    }

    /// Whether a CPU polls it right now.
    pub fn is_running(&self) -> bool {
        self.cpu.load(Ordering::Relaxed) != NO_CPU
    }

    /// Copies what a new thread has from its maker.
    pub(super) fn inherit(&self, maker: &Tcb) {
        self.affinity.store(maker.affinity(), Ordering::Relaxed);
        self.priority.inherit(&maker.priority);
        *self.name.lock() = maker.name.lock().clone();
    }

    /// Makes the thread look for signals and a pending exit: it wakes up if it waits, and leaves user
    /// mode if it is there. The caller has published what is to be found before.
    pub(super) fn signal_wake(&self) {
        let waker = self.signal_waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
        // Pairs with the fence in `begin_poll`: either the load below observes the CPU, or its poll,
        // which then begins later, observes what the caller has published.
        fence(Ordering::SeqCst);
        let cpu = self.cpu.load(Ordering::Relaxed);
        // The interrupt stays pending while that CPU is in the kernel, until it enters user mode. A
        // thread that runs on this CPU is in the kernel, and looks before it returns to user mode.
        if cpu != NO_CPU && cpu != arch::cpu().0 {
            let _ = ipi::wake_cpu(CpuId(cpu));
        }
    }

    /// Makes the thread end, whatever it does.
    pub(super) fn set_exit_pending(&self) {
        // Release: pairs with the Acquire in `exit_pending`.
        self.exit_pending.store(true, Ordering::Release);
        self.signal_wake();
    }

    /// Whether it has to end, whatever it does.
    pub(super) fn exit_pending(&self) -> bool {
        self.exit_pending.load(Ordering::Acquire)
    }

    /// Waits until `condition` gives something; it is evaluated at each signal wake-up. Only for the
    /// thread itself.
    pub(super) async fn wait_for_signal_wake<T>(
        &self,
        mut condition: impl FnMut() -> Option<T>,
    ) -> T {
        poll_fn(|context| {
            self.set_signal_waker(context.waker());
            condition().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Has the task woken by `signal_wake`. Only for the thread itself, and before it looks: either
    /// that look finds what was left, or `signal_wake` finds the waker (both take the lock).
    pub(super) fn set_signal_waker(&self, waker: &Waker) {
        let mut signal_waker = self.signal_waker.lock();
        if signal_waker
            .as_ref()
            .is_some_and(|old| old.will_wake(waker))
        {
            return;
        }
        let old = signal_waker.replace(waker.clone());
        // To drop a waker may be to drop a task.
        drop(signal_waker);
        drop(old);
    }

    /// A poll of the thread begins on this CPU.
    pub(super) fn begin_poll(&self, now: u64) {
        self.usage.begin_poll(now);
        self.is_waiting.store(false, Ordering::Relaxed);
        self.cpu.store(arch::cpu().0, Ordering::Relaxed);
        // Pairs with the fence in `signal_wake`.
        fence(Ordering::SeqCst);
    }

    /// It has ended, and has taken that long.
    pub(super) fn end_poll(&self, nanoseconds: u64) {
        self.cpu.store(NO_CPU, Ordering::Relaxed);
        self.usage.end_poll(nanoseconds);
    }
}

/// A thread as it sees itself, apart from its registers.
pub struct Thread {
    pub(super) tcb: Arc<Tcb>,
    pub(super) space: Arc<AddressSpace>,
    /// Where the kernel writes a zero when the thread ends (set_tid_address(2)), if another thread
    /// shares the memory.
    pub clear_tid: AtomicUsize,
}

impl Thread {
    pub(super) fn new(tcb: Arc<Tcb>, space: Arc<AddressSpace>) -> Thread {
        Thread {
            tcb,
            space,
            clear_tid: AtomicUsize::new(0),
        }
    }

    /// What others see of it.
    pub fn tcb(&self) -> &Arc<Tcb> {
        &self.tcb
    }

    /// The process that it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        self.tcb.process()
    }

    /// Its number.
    pub fn tid(&self) -> Pid {
        self.tcb.tid()
    }

    /// The address space that it runs in.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// Makes this CPU enter its address space: at the start of a poll, or when the poll has
    /// left it.
    pub(super) fn activate(&self) {
        memory::activate(&self.space);
    }
}
