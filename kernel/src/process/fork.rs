//! Making a process out of another (fork(2), vfork(2), and clone(2) as far as it makes
//! processes).

use super::ids::{self, NotEntered, Pid};
use super::run;
use super::signal::Signals;
use super::thread::{Parts, Process, Thread};
use crate::arch::{FpuState, UserContext};
use crate::errno::Errno;
use crate::memory::{self, OutOfMemory};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// What a new process shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ForkRequest {
    /// It uses its parent's memory until it has its own (`CLONE_VM`). The parent has to
    /// wait that long.
    pub borrows_memory: bool,
    /// The parent waits until the child has a program of its own, or has ended
    /// (`CLONE_VFORK`).
    pub waits: bool,
    /// Its stack pointer, if not the parent's.
    pub stack: Option<usize>,
    /// Its thread pointer, if not the parent's (`CLONE_SETTLS`).
    pub tls: Option<usize>,
    /// Where the parent gets its number (`CLONE_PARENT_SETTID`).
    pub parent_tid: Option<usize>,
    /// Where it gets its number itself (`CLONE_CHILD_SETTID`).
    pub child_tid: Option<usize>,
    /// Where a zero is written when it ends (`CLONE_CHILD_CLEARTID`).
    pub clear_tid: Option<usize>,
}

/// Why there is no new process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForkError {
    /// All numbers are taken.
    NoPid,
    /// No memory.
    OutOfMemory,
    /// The parent is being killed.
    Killed,
}

impl From<ForkError> for Errno {
    fn from(error: ForkError) -> Errno {
        match error {
            ForkError::NoPid => Errno::EAGAIN,
            ForkError::OutOfMemory => Errno::ENOMEM,
            // The parent does not live to see it.
            ForkError::Killed => Errno::EINTR,
        }
    }
}

impl From<OutOfMemory> for ForkError {
    fn from(_: OutOfMemory) -> ForkError {
        ForkError::OutOfMemory
    }
}

impl From<NotEntered> for ForkError {
    fn from(error: NotEntered) -> ForkError {
        match error {
            NotEntered::NoPid => ForkError::NoPid,
            NotEntered::Refused => ForkError::Killed,
        }
    }
}

/// Makes a child of the thread's process, which returns 0 from the same system call.
pub async fn fork(thread: &Thread, user: &UserContext, request: ForkRequest) -> Result<Pid, Errno> {
    memory::admit().map_err(ForkError::from)?;
    let parent = thread.process();
    let own = thread.space();
    let space = if request.borrows_memory {
        own.clone()
    } else {
        own.fork().await.map_err(ForkError::from)?
    };
    // Again, as there was a wait: many may have been admitted meanwhile.
    memory::admit().map_err(ForkError::from)?;
    let mut fpu = FpuState::new().ok_or(ForkError::OutOfMemory)?;
    {
        let mut mine = thread.fpu.lock();
        mine.save_if_loaded();
        fpu.copy_from(&mine);
    }
    let parts = Parts {
        space,
        files: parent.files().fork(),
        cwd: parent.cwd(),
        umask: parent.umask.load(Ordering::Relaxed),
        group: None,
        session: Some(parent.session.load(Ordering::Relaxed)),
        signals: Signals::new(parent.signals.ignored()),
        parent: Some(parent.clone()),
        names: parent.names(),
    };
    // A signal to the group that comes now finds the child, or has found the parent and ends
    // both (see `ids`). So the group is looked up there.
    let child = ids::enter(
        || !thread.is_ended_by_signal(),
        |pid| {
            let group = Some(parent.group.load(Ordering::Relaxed));
            Arc::new(Process::new(pid, Parts { group, ..parts }))
        },
    )
    .map_err(ForkError::from)?;
    let pid = child.pid;
    parent.family.add_child(child.clone());

    let mut context = Box::new(user.clone());
    context.set_result(0);
    if let Some(stack) = request.stack {
        context.set_sp(stack);
    }
    if let Some(tls) = request.tls {
        context.set_tls(tls);
    }
    let blocked = thread.blocked.load(Ordering::Relaxed);
    let child_thread = Arc::new(Thread::new(child.clone(), fpu, blocked));
    child_thread
        .clear_tid
        .store(request.clear_tid.unwrap_or(0), Ordering::Relaxed);
    child_thread
        .borrows
        .store(request.borrows_memory, Ordering::Relaxed);
    let newborn = Newborn(Some((child_thread, context, request.child_tid)));
    if let Some(address) = request.parent_tid {
        // A bad address is the parent's own loss, as on Linux.
        let _ = own.write_bytes(address, &pid.0.to_le_bytes()).await;
    }
    drop(own);
    drop(newborn);
    // See `run::start`.
    parent.activate();
    if request.waits || request.borrows_memory {
        child.borrowed.wait().await;
    }
    Ok(pid)
}

/// A process that others can see and that does not run yet. It is started when this is
/// dropped: also when its parent is killed while it waits, for a process that never runs
/// would never end either.
struct Newborn(Option<(Arc<Thread>, Box<UserContext>, Option<usize>)>);

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some((thread, context, child_tid)) = self.0.take() {
            run::start(thread, context, child_tid);
        }
    }
}
