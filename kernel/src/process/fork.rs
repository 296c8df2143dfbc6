//! Making a process out of another (fork(2), vfork(2)), and a thread beside another; clone(2)
//! and clone3(2) are built of these two.

use super::credentials::Credentials;
use super::ids::{self, NotEntered, Pid};
use super::pidfd::PidFdFor;
use super::registers::Registers;
use super::signal::Signal;
use super::spawn_guard::{Beginning, SpawnGuard};
use super::state::{Parts, Process};
use super::thread::Thread;
use super::user::Charge;
use crate::errno::Errno;
use crate::memory::{self, OutOfMemory};
use crate::trace::{self, Kind};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// What a new process shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ForkRequest {
    /// It uses its parent's memory, until it has its own (`CLONE_VM`).
    pub borrows_memory: bool,
    /// The calling thread waits until the child has a program of its own, or has ended
    /// (`CLONE_VFORK`).
    pub waits: bool,
    /// The signal that the parent gets when it ends; 0 is none.
    pub exit_signal: u32,
    /// It has none of its parent's signal handlers (`CLONE_CLEAR_SIGHAND`).
    pub clears_handlers: bool,
    /// It has its parent's table of open files (`CLONE_FILES`).
    pub shares_files: bool,
    /// Its parent is the caller's, as is its signal at the end (`CLONE_PARENT`).
    pub beside_maker: bool,
    /// Where the caller gets a descriptor of it (`CLONE_PIDFD`).
    pub pidfd: Option<usize>,
    /// How its thread begins.
    pub beginning: Beginning,
}

/// Why there is no new process or thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForkError {
    /// All numbers are taken, or as many as the user may have.
    TooMany,
    /// No memory.
    OutOfMemory,
    /// The caller has to end.
    Killed,
}

impl From<ForkError> for Errno {
    fn from(error: ForkError) -> Errno {
        match error {
            ForkError::TooMany => Errno::EAGAIN,
            ForkError::OutOfMemory => Errno::ENOMEM,
            // The caller does not live to see it.
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
            NotEntered::NoPid => ForkError::TooMany,
            NotEntered::Refused => ForkError::Killed,
            NotEntered::OutOfMemory => ForkError::OutOfMemory,
        }
    }
}

/// Makes a child of the thread's process, which returns 0 from the same system call.
pub async fn fork(
    thread: &Thread,
    registers: &mut Registers,
    request: ForkRequest,
) -> Result<Pid, Errno> {
    memory::ensure_free().map_err(ForkError::from)?;
    let parent = thread.process();
    let own = thread.space();
    let space = if request.borrows_memory {
        own.clone()
    } else {
        own.fork().await.map_err(ForkError::from)?
    };
    // Again, as there was a wait: many may have been admitted meanwhile.
    memory::ensure_free().map_err(ForkError::from)?;
    let beginning = &request.beginning;
    let registers = beginning.registers(registers).map_err(ForkError::from)?;
    let signals = parent.signals.fork();
    if request.clears_handlers {
        signals.exec();
    }
    let (credentials, charge) = charge_task(parent)?;
    let files = match request.shares_files {
        true => parent.files.share(),
        false => parent.files.fork()?,
    };
    let family_parent = match request.beside_maker {
        true => parent.parent().ok_or(Errno::EINVAL)?,
        false => parent.clone(),
    };
    let exit_signal = match request.beside_maker {
        true => parent.attributes.exit_signal(),
        false => Signal::new(request.exit_signal as usize),
    };
    let pidfd = match request.pidfd {
        Some(address) => Some(PidFdFor::new(thread, address).await?),
        None => None,
    };
    let parts = Parts {
        space: space.clone(),
        files,
        cwd: parent.cwd(),
        umask: parent.umask.load(Ordering::Relaxed),
        group: None,
        session: Some(parent.session.load(Ordering::Relaxed)),
        limits: parent.limits.fork(request.borrows_memory),
        exit_signal,
        credentials,
        charge,
        signals,
        parent: Some(family_parent.clone()),
        names: parent.names(),
        executable: parent.executable(),
        uses_barriers: parent.may_use_barriers(),
        oom_score_adj: parent.oom_score_adj.load(Ordering::Relaxed),
    };
    let signals = thread.tcb().signals.inherited();
    let signals = match request.borrows_memory && !request.waits {
        true => signals.without_stack(),
        false => signals,
    };
    // A signal to the group that comes now finds the child, or has found the parent and ends
    // both (see `ids`). So the group is looked up there.
    let tcb = ids::enter(
        || !thread.tcb().fatal_signal_pending(),
        |pid| {
            let group = Some(parent.group.load(Ordering::Relaxed));
            Arc::new(Process::new(pid, Parts { group, ..parts }))
        },
        signals,
    )
    .map_err(ForkError::from)?;
    tcb.inherit(thread.tcb());
    let child = tcb.process().clone();
    let pid = child.pid;
    trace::event(Kind::Fork, [parent.pid.0.into(), pid.0.into()]);
    if let Some(pidfd) = pidfd {
        pidfd.keep(&child);
    }
    family_parent.family.add_child(child.clone());
    if request.beside_maker {
        // It may have ended meanwhile, and have handed over the children that it had.
        family_parent.hand_over_late();
    }
    if request.borrows_memory {
        parent.begins_sharing_memory();
        child.begins_sharing_memory();
    }
    let spawn_guard = SpawnGuard::new(tcb, space, registers, beginning);
    write_tid_to_maker(thread, pid, beginning).await;
    // Without memory for its task it has been killed, as its status tells.
    let _ = spawn_guard.start();
    // See `run::start`.
    thread.activate();
    if request.waits {
        child.vfork_done.wait().await;
    }
    Ok(pid)
}

/// Makes another thread of the same process, which returns 0 from the same system call.
pub async fn add_thread(
    thread: &Thread,
    registers: &mut Registers,
    beginning: &Beginning,
) -> Result<Pid, Errno> {
    memory::ensure_free().map_err(ForkError::from)?;
    let registers = beginning.registers(registers).map_err(ForkError::from)?;
    let signals = thread.tcb().signals.inherited().without_stack();
    let (_, charge) = charge_task(thread.process())?;
    let tcb = ids::enter_thread(thread.process(), signals, charge).map_err(ForkError::from)?;
    tcb.inherit(thread.tcb());
    let tid = tcb.tid();
    let spawn_guard = SpawnGuard::new(tcb, thread.space().clone(), registers, beginning);
    write_tid_to_maker(thread, tid, beginning).await;
    spawn_guard.start().map_err(|_| ForkError::OutOfMemory)?;
    Ok(tid)
}

/// Counts one more task of the process's user.
fn charge_task(process: &Process) -> Result<(Credentials, Charge), ForkError> {
    let credentials = process.credentials();
    let charge = credentials.charge_task(process.limits.tasks());
    let charge = charge.ok_or(ForkError::TooMany)?;
    Ok((credentials, charge))
}

/// Writes the number of a new thread where its maker wants it, before it runs.
async fn write_tid_to_maker(maker: &Thread, number: Pid, beginning: &Beginning) {
    if let Some(address) = beginning.parent_tid {
        // A bad address is the maker's own loss, as on Linux.
        let _ = maker
            .space()
            .write_bytes(address, &number.0.to_le_bytes())
            .await;
    }
}
