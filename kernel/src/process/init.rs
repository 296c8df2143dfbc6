//! The first process, and the end of all others.

use super::credentials::Credentials;
use super::exec::{self, ExecError};
use super::exit_status::{End, ExitStatus};
use super::files::Files;
use super::ids::{self, Pid};
use super::registers::Registers;
use super::rlimit::Limits;
use super::signal::{self, InheritedSignals, Signal, Signals};
use super::spawn_guard;
use super::state::{Names, Parts, Process};
use super::thread::Thread;
use crate::errno::Errno;
use crate::fs;
use crate::fs::table::{FdTable, OnExec};
use crate::fs::walk::Start;
use crate::memory::AddressSpace;
use crate::sched;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as linux;

/// The exit status where there is no first program.
pub const NOT_STARTED: u8 = 127;

/// Makes process 1 and starts it with the program `path`.
///
/// # Errors
/// When the program cannot be loaded.
pub async fn start_init(path: &[u8], arguments: Vec<Vec<u8>>) -> Result<Arc<Process>, ExecError> {
    let files = FdTable::new();
    open_console(&files).await?;
    let credentials = Credentials::root()?;
    let charge = credentials.charge_task(u64::MAX);
    let parts = Parts {
        space: AddressSpace::new()?,
        files: Files::new(files)?,
        cwd: fs::tree().root().clone(),
        umask: 0o022,
        group: None,
        session: None,
        limits: Limits::usual(),
        exit_signal: Some(Signal::CHLD),
        charge: charge.ok_or(ExecError::OutOfMemory)?,
        credentials,
        signals: Signals::new(),
        parent: None,
        names: Arc::new(Names::default()),
        executable: None,
        uses_barriers: false,
        oom_score_adj: 0,
    };
    let tcb = ids::enter(
        || true,
        |pid| Arc::new(Process::new(pid, parts)),
        InheritedSignals::NOTHING,
    )
    .map_err(|_| ExecError::OutOfMemory)?;
    let process = tcb.process().clone();
    assert!(process.pid == Pid::INIT, "init is not the first process");
    let loaded = match exec::exec_first(&process, path, arguments).await {
        Ok(program) => Registers::new()
            .map(|registers| (program, registers))
            .map_err(ExecError::from),
        Err(error) => Err(error),
    };
    let (program, mut registers) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            // What the process has taken is given back as at any other end.
            tcb.leave(End::Process(ExitStatus::Code(NOT_STARTED)));
            return Err(error);
        }
    };
    let mut thread = Thread::new(tcb, program.space.clone());
    thread.replace(program, &mut registers);
    // Without memory for its task the process has ended, which the waiter for its end sees.
    let _ = spawn_guard::start(thread, registers, None);
    Ok(process)
}

/// Standard input, output and error of the first process. The terminal becomes that of the first
/// session and its group: ^C reaches all processes that have not moved to another group.
async fn open_console(files: &FdTable) -> Result<(), Errno> {
    let start = Start {
        directory: fs::tree().root(),
        caller: 1,
    };
    let console = fs::open::open(fs::tree(), start, b"/dev/console", linux::O_RDWR, 0).await?;
    for _ in 0..3 {
        files.add(console.clone(), OnExec::Keep)?;
    }
    Ok(())
}

/// Kills all processes but init, and waits until they are gone.
pub async fn end_all() {
    while ids::count() > 1 {
        // In each round: a process that was in `fork` may have a child that the last round missed.
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
