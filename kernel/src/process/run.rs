//! The future that a user thread is (idea 1 of the design).
//!
//! Polling it enters ring 3. What ends user mode comes back as a [`Trap`], is dealt with,
//! and user mode is entered again, all in one poll, until the thread has to wait or its
//! time slice is over. Before each poll this CPU enters the thread's address space; after
//! each the FPU's registers are saved, for the next poll may be elsewhere.

use super::exec;
use super::exit::ExitStatus;
use super::ids::{self, Pid};
use super::signal::{self, Signal, Signals};
use super::thread::{Names, Parts, Process, Thread};
use crate::arch::{self, Access, FpuState, Trap, UserContext, Violation};
use crate::errno::{Errno, SysResult};
use crate::fs;
use crate::fs::table::{FdTable, OnExec};
use crate::fs::walk::Start;
use crate::log::Rationed;
use crate::memory::{self, AddressSpace, Counter, FaultError};
use crate::{sched, syscall};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::pin;
use futures_util::future::{Either, select};
use linux_raw_sys::general::O_RDWR;

/// Lines about programs that crash.
static CRASHES: Rationed = Rationed::new();

/// What a system call leads to.
pub enum Outcome {
    /// Back to the program, with this result.
    Return(SysResult),
    /// Back to the program, whose registers have been set already.
    Resume,
    /// The end of the process.
    Exit(ExitStatus),
}

/// Starts a thread that is ready to go. Without memory for its task its process is killed
/// (rule M10), and this CPU has left its address space then.
pub(super) fn start(thread: Arc<Thread>, user: Box<UserContext>, child_tid: Option<usize>) {
    let process = thread.process().clone();
    let life = whole_life(thread, user, child_tid);
    match sched::executor().task("user").try_spawn(life) {
        // Nobody waits for the task itself: the process's status tells.
        Ok(task) => process.set_task(task.id()),
        Err(no_memory) => {
            drop(no_memory);
            process.end(ExitStatus::Signal(Signal::KILL));
        }
    }
}

/// Makes process 1 and starts it with the program `path`.
///
/// # Errors
/// When the program cannot be loaded.
pub async fn start_init(
    path: &[u8],
    arguments: Vec<Vec<u8>>,
) -> Result<Arc<Process>, exec::ExecError> {
    let files = FdTable::new();
    open_console(&files).await?;
    let parts = Parts {
        space: AddressSpace::new()?,
        files,
        cwd: fs::tree().root().clone(),
        umask: 0o022,
        group: None,
        session: None,
        signals: Signals::new(0),
        parent: None,
        names: Arc::new(Names::default()),
    };
    let process = ids::enter(|| true, |pid| Arc::new(Process::new(pid, parts)))
        .map_err(|_| exec::ExecError::OutOfMemory)?;
    assert!(process.pid == Pid::INIT, "init is not the first process");
    let fpu = FpuState::new().ok_or(exec::ExecError::OutOfMemory)?;
    let thread = Arc::new(Thread::new(process.clone(), fpu, 0));
    let mut user = Box::new(UserContext::new(0, 0));
    exec::exec_first(&thread, &mut user, path, arguments).await?;
    start(thread, user, None);
    Ok(process)
}

/// Standard input, output and error of the first process. The terminal becomes its session's and
/// its group's: ^C reaches all who have not moved to another group.
async fn open_console(files: &FdTable) -> Result<(), Errno> {
    let start = Start {
        directory: fs::tree().root(),
        caller: 1,
    };
    let console = fs::open::open(fs::tree(), start, b"/dev/console", O_RDWR, 0).await?;
    for _ in 0..3 {
        files.add(console.clone(), OnExec::Keep)?;
    }
    Ok(())
}

async fn whole_life(thread: Arc<Thread>, mut user: Box<UserContext>, child_tid: Option<usize>) {
    let status = {
        let mut life = pin!(async {
            let status = run(&thread, &mut user, child_tid).await;
            thread.tell_it_leaves().await;
            status
        });
        poll_fn(|context| {
            let begin = arch::clock();
            thread.process().activate();
            sched::begin_slice();
            let result = life.as_mut().poll(context);
            if result.is_pending() {
                thread.fpu.lock().save_if_loaded();
            }
            thread.process().add_cpu_time(arch::clock() - begin);
            result
        })
        .await
    };
    thread.process().end(status);
}

async fn run(thread: &Thread, user: &mut UserContext, child_tid: Option<usize>) -> ExitStatus {
    if let Some(address) = child_tid {
        // A bad address is the program's own loss, as on Linux.
        let tid = thread.process().pid.0.to_le_bytes();
        let _ = thread.space().write_bytes(address, &tid).await;
    }
    loop {
        if thread.has_signals()
            && let Some(status) = thread.take_signals().await
        {
            return status;
        }
        let trap = user.run(&mut thread.fpu.lock());
        let ended = match trap {
            Trap::Syscall => system_call(thread, user).await,
            Trap::PageFault { address, access } => page_fault(thread, user, address, access).await,
            Trap::Interrupt => {
                sched::note_interrupt();
                memory::serve();
                // The executor looks after its timers, and polls us again if nobody else is ready.
                executor::yield_now().await;
                None
            }
            Trap::Exception { vector, error } => exception(thread, user, vector, error),
        };
        if let Some(status) = ended {
            return status;
        }
    }
}

/// Does the system call, unless a signal that ends the process comes first.
async fn system_call(thread: &Thread, user: &mut UserContext) -> Option<ExitStatus> {
    let outcome = {
        let call = pin!(syscall::dispatch(thread, user));
        let killed = pin!(thread.ended_by_signal());
        match select(call, killed).await {
            Either::Left((outcome, _)) => outcome,
            // The loop takes the signal, which is the end.
            Either::Right(_) => Outcome::Resume,
        }
    };
    match outcome {
        Outcome::Return(result) => {
            user.set_result(result.unwrap_or_else(|errno| errno.to_return()))
        }
        Outcome::Resume => {}
        Outcome::Exit(status) => return Some(status),
    }
    None
}

async fn page_fault(
    thread: &Thread,
    user: &UserContext,
    address: usize,
    access: Access,
) -> Option<ExitStatus> {
    let error = {
        let space = thread.space();
        let fault = pin!(space.fault(address, access));
        let killed = pin!(thread.ended_by_signal());
        match select(fault, killed).await {
            Either::Left((Ok(()), _)) | Either::Right(_) => return None,
            Either::Left((Err(error), _)) => error,
        }
    };
    let process = thread.process();
    let (signal, why) = match error {
        FaultError::NotMapped => (Signal::SEGV, "nothing is mapped there"),
        FaultError::NotAllowed => (Signal::SEGV, "not allowed"),
        FaultError::BeyondEnd => (Signal::BUS, "beyond the end of the file"),
        FaultError::OutOfMemory => {
            memory::count(Counter::OutOfMemoryKills);
            log::warn!(
                "out of memory: process {} is killed, {} frames are free",
                process.pid,
                memory::free_frames()
            );
            return Some(ExitStatus::Signal(Signal::KILL));
        }
    };
    CRASHES.info(format_args!(
        "process {}: {access:?} at {address:#x} by {:#x}: {why}",
        process.pid,
        user.ip()
    ));
    Some(ExitStatus::Signal(signal))
}

/// The signal for an exception, as Linux has it (arch/x86/kernel/traps.c).
fn exception(thread: &Thread, user: &UserContext, vector: u8, error: u64) -> Option<ExitStatus> {
    let signal = match Violation::of(vector) {
        Violation::Arithmetic => Signal::FPE,
        Violation::Debug => Signal::TRAP,
        Violation::Instruction => Signal::ILL,
        Violation::Bus => Signal::BUS,
        Violation::Protection => Signal::SEGV,
    };
    CRASHES.info(format_args!(
        "process {}: exception {vector}, error code {error:#x}, at {:#x}",
        thread.process().pid,
        user.ip()
    ));
    Some(ExitStatus::Signal(signal))
}

/// Kills everybody but init, and waits until they are gone.
pub async fn end_all() {
    while ids::count() > 1 {
        // Each time: whoever was in `fork` has a child that the last time did not see.
        signal::kill_all();
        let mut last = Pid::INIT;
        while let Some(process) = ids::next(last) {
            last = process.pid;
            if process.exit_status().is_some()
                && process.parent().is_none_or(|p| p.exit_status().is_some())
            {
                ids::remove(&process);
            }
        }
        sched::executor().sleep(1_000_000).await;
    }
}
