//! The future that a user thread is (idea 1 of the design).
//!
//! Polling it enters ring 3. What ends user mode comes back as a [`Trap`], is dealt with,
//! and user mode is entered again, all in one poll, until the thread has to wait or its
//! time slice is over. Before each poll this CPU enters the thread's address space; after
//! each the FPU's registers are saved, for the next poll may be elsewhere.

use super::exec::{self, Program};
use super::exit::{End, ExitStatus};
use super::fail_nth::{self, Cause};
use super::ids::{self, Pid};
use super::limits::Limits;
use super::signal::{self, InheritedSignals, SigInfo, Signal, Signals};
use super::state::{Names, Parts, Process};
use super::thread::Thread;
use crate::arch::{self, Access, AtOnce, FloatError, FpuState, Trap, UserContext, Violation};
use crate::errno::{Errno, SysResult};
use crate::fs;
use crate::fs::table::{FdTable, OnExec};
use crate::fs::walk::Start;
use crate::log::Rationed;
use crate::memory::{self, AddressSpace, Counter, FaultError};
use crate::wait::Restart;
use crate::{sched, syscall};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use futures_util::future::{Either, select};
use linux_raw_sys::general as linux;

/// Lines about programs that crash.
static CRASHES: Rationed = Rationed::new();

/// What a system call leads to.
pub enum Outcome {
    /// Back to the program, with this result.
    Return(SysResult),
    /// Back to the program, whose registers have been set already.
    Resume,
    /// On to another program.
    Replace(Box<Program>),
    /// The end of the thread, or of all.
    Exit(End),
}

/// There is no memory for a thread's task.
pub(super) struct NotStarted;

/// Starts a thread that is ready to go. Without memory for its task it leaves at once (rule
/// M10), and with it its process if it is the only one, which then counts as killed; this CPU
/// has left the address space in that case.
pub(super) fn start(
    thread: Thread,
    user: Box<UserContext>,
    child_tid: Option<usize>,
) -> Result<(), NotStarted> {
    let tcb = thread.tcb().clone();
    let life = whole_life(thread, user, child_tid);
    match sched::executor().task("user").try_spawn(life) {
        // Nobody waits for the task itself: the process's status tells.
        Ok(task) => {
            tcb.set_task(task.id());
            Ok(())
        }
        Err(no_memory) => {
            drop(no_memory);
            tcb.leave(End::Thread(ExitStatus::Signal(Signal::KILL)));
            Err(NotStarted)
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
        limits: Limits::usual(),
        signals: Signals::new(),
        parent: None,
        names: Arc::new(Names::default()),
        uses_barriers: false,
    };
    let tcb = ids::enter(
        || true,
        |pid| Arc::new(Process::new(pid, parts)),
        InheritedSignals::NOTHING,
    )
    .map_err(|_| exec::ExecError::OutOfMemory)?;
    let process = tcb.process().clone();
    assert!(process.pid == Pid::INIT, "init is not the first process");
    let program = exec::exec_first(&process, path, arguments).await?;
    let fpu = FpuState::new().ok_or(exec::ExecError::OutOfMemory)?;
    let mut thread = Thread::new(tcb, program.space.clone(), fpu);
    let mut user = Box::new(UserContext::new(0, 0));
    thread.replace(program, &mut user);
    // Without memory for its task it has ended, which is for whoever waits for it to see.
    let _ = start(thread, user, None);
    Ok(process)
}

/// Standard input, output and error of the first process. The terminal becomes its session's and
/// its group's: ^C reaches all who have not moved to another group.
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

async fn whole_life(mut thread: Thread, mut user: Box<UserContext>, child_tid: Option<usize>) {
    if let Some(address) = child_tid {
        let write = async {
            // A bad address is the program's own loss, as on Linux.
            let _ = thread
                .space()
                .write_bytes(address, &thread.tid().0.to_le_bytes())
                .await;
        };
        polled_by(&thread, pin!(write)).await;
    }
    let end = loop {
        let next = {
            let program = pin!(async {
                let next = run(&thread, &mut user).await;
                thread.tell_it_leaves().await;
                next
            });
            polled_by(&thread, program).await
        };
        match next {
            Next::Program(program) => thread.replace(*program, &mut user),
            Next::End(end) => break end,
        }
    };
    drop(user);
    thread.end(end);
}

/// Does something in the thread's name: each poll is one of the thread, in its address space,
/// with its FPU registers saved for the next.
async fn polled_by<T>(thread: &Thread, mut work: Pin<&mut impl Future<Output = T>>) -> T {
    poll_fn(|context| {
        let affinity = thread.tcb().affinity();
        if sched::executor().keep_to(context, affinity).is_pending() {
            return Poll::Pending;
        }
        let begin = arch::clock();
        thread.activate();
        thread.tcb().begin_poll();
        sched::begin_slice(begin);
        let result = work.as_mut().poll(context);
        if result.is_pending() {
            thread.fpu.lock().save_if_loaded();
        }
        thread.tcb().end_poll(arch::clock() - begin);
        result
    })
    .await
}

/// What follows a program.
enum Next {
    /// Another program, in the same thread.
    Program(Box<Program>),
    /// Nothing.
    End(End),
}

/// Runs the program until it ends or is replaced.
async fn run(thread: &Thread, user: &mut UserContext) -> Next {
    // The last system call was interrupted.
    let mut interrupted = None;
    loop {
        if (thread.has_signals() || interrupted.is_some())
            && let Some(status) = thread.take_signals(user, interrupted.take()).await
        {
            return Next::End(End::Process(status));
        }
        if thread.tcb().is_doomed() {
            return Next::End(End::Doomed);
        }
        let trap = user.run(&mut thread.fpu.lock(), thread);
        let ended = match trap {
            Trap::Syscall => match system_call(thread, user).await {
                Done::Back => None,
                Done::Interrupted(restart) => {
                    interrupted = Some(restart);
                    None
                }
                Done::Left(next) => return next,
            },
            Trap::PageFault { address, access } => page_fault(thread, user, address, access).await,
            Trap::Interrupt => {
                // The executor looks after its timers, and polls us again if nobody else is ready.
                executor::yield_now().await;
                None
            }
            Trap::Exception { vector, error } => {
                exception(thread, user, vector, error);
                None
            }
        };
        if let Some(status) = ended {
            return Next::End(End::Process(status));
        }
    }
}

/// The first stage of every trap (see `syscall`). The FPU's registers are not to be touched: their
/// lock is taken while the program runs.
impl AtOnce for Thread {
    #[inline(always)]
    fn system_call(&self, number: usize, arguments: [usize; 6]) -> Option<usize> {
        syscall::at_once(self, number, arguments)
    }

    fn page_fault(&self, address: usize, access: Access) -> bool {
        // What is to fail is for the second stage, which counts.
        !fail_nth::awaits_fault(self) && self.space().fault_fast(address, access)
    }

    fn interrupt(&self) -> bool {
        memory::serve();
        let tcb = self.tcb();
        sched::may_go_on() && tcb.may_run_here() && !tcb.is_doomed() && !self.has_signals()
    }
}

/// How a system call has ended.
enum Done {
    /// The registers are set.
    Back,
    /// A signal has ended a wait, and the registers are as they were: what becomes of the call is
    /// for the signal's handler to say.
    Interrupted(Restart),
    /// There is nothing to go back to.
    Left(Next),
}

/// The second stage of a system call: does it, unless something that ends the thread comes first.
async fn system_call(thread: &Thread, user: &mut UserContext) -> Done {
    let mut is_repeated = false;
    let outcome = loop {
        let outcome = {
            let mut call = pin!(syscall::dispatch(thread, user));
            poll_fn(|context| {
                let first = fail_nth::polled(thread, Cause::Call, || call.as_mut().poll(context));
                if first.is_ready() {
                    return first;
                }
                // Not before the call waits: most never do.
                let tcb = thread.tcb();
                tcb.listen(context.waker());
                if !thread.has_signals() && !tcb.is_doomed() {
                    return Poll::Pending;
                }
                if tcb.has_to_end() {
                    // The loop finds out why, which is the end.
                    return Poll::Ready(Outcome::Resume);
                }
                // What came before we listened has woken nobody: the wait looks again (see `wait`).
                fail_nth::polled(thread, Cause::Call, || call.as_mut().poll(context))
            })
            .await
        };
        // Rule M10: what waits to be dropped may be what is missing.
        if !is_repeated
            && syscall::may_be_repeated(user, &outcome)
            && memory::direct_reclaim().await
        {
            is_repeated = true;
            continue;
        }
        break outcome;
    };
    fail_nth::ended(thread, Cause::Call);
    match outcome {
        Outcome::Return(Err(error)) if let Some(restart) = Restart::of(error) => {
            return Done::Interrupted(restart);
        }
        Outcome::Return(result) => {
            user.set_result(syscall::to_return(result));
        }
        Outcome::Resume => {}
        Outcome::Replace(program) => return Done::Left(Next::Program(program)),
        Outcome::Exit(end) => return Done::Left(Next::End(end)),
    }
    Done::Back
}

/// The second stage of a page fault.
async fn page_fault(
    thread: &Thread,
    user: &UserContext,
    address: usize,
    access: Access,
) -> Option<ExitStatus> {
    let error = {
        let mut fault = pin!(thread.space().fault_slow(address, access).resolve());
        let fault = poll_fn(|context| {
            fail_nth::polled(thread, Cause::Fault, || fault.as_mut().poll(context))
        });
        let killed = pin!(thread.tcb().must_end());
        let resolved = select(fault, killed).await;
        fail_nth::ended(thread, Cause::Fault);
        match resolved {
            Either::Left((Ok(()), _)) | Either::Right(_) => return None,
            Either::Left((Err(error), _)) => error,
        }
    };
    let (signal, code, why) = match error {
        FaultError::NotMapped => (Signal::SEGV, linux::SEGV_MAPERR, "nothing is mapped there"),
        FaultError::NotAllowed => (Signal::SEGV, linux::SEGV_ACCERR, "not allowed"),
        FaultError::BeyondEnd => (Signal::BUS, linux::BUS_ADRERR, "beyond the end of the file"),
        FaultError::OutOfMemory => {
            memory::count(Counter::OutOfMemoryKills);
            log::warn!(
                "out of memory: process {} is killed, {} frames are free",
                thread.process().pid,
                memory::free_frames()
            );
            return Some(ExitStatus::Signal(Signal::KILL));
        }
    };
    if !thread.catches(signal) {
        CRASHES.info(format_args!(
            "process {}: {access:?} at {address:#x} by {:#x}: {why}",
            thread.process().pid,
            user.ip()
        ));
    }
    thread.force(SigInfo::fault(signal, code, address));
    None
}

/// The signal for an exception, as Linux has it (arch/x86/kernel/traps.c).
fn exception(thread: &Thread, user: &UserContext, vector: u8, error: u64) {
    let here = |signal, code| SigInfo::fault(signal, code, user.ip());
    let info = match Violation::of(vector) {
        Violation::Division => here(Signal::FPE, linux::FPE_INTDIV),
        Violation::Float => here(Signal::FPE, float_code(thread, vector)),
        Violation::Step => here(Signal::TRAP, linux::TRAP_TRACE),
        Violation::Breakpoint => SigInfo::kernel(Signal::TRAP),
        Violation::Instruction => here(Signal::ILL, linux::ILL_ILLOPN),
        Violation::Segment => SigInfo::kernel(Signal::BUS),
        Violation::Alignment => SigInfo::fault(Signal::BUS, linux::BUS_ADRALN, 0),
        Violation::Protection => SigInfo::kernel(Signal::SEGV),
    };
    if !thread.catches(info.signal()) {
        CRASHES.info(format_args!(
            "process {}: exception {vector}, error code {error:#x}, at {:#x}",
            thread.process().pid,
            user.ip()
        ));
    }
    thread.force(info);
}

fn float_code(thread: &Thread, vector: u8) -> u32 {
    match thread.fpu.lock().float_error(vector) {
        FloatError::Invalid => linux::FPE_FLTINV,
        FloatError::DivideByZero => linux::FPE_FLTDIV,
        FloatError::Overflow => linux::FPE_FLTOVF,
        FloatError::Underflow => linux::FPE_FLTUND,
        FloatError::Inexact => linux::FPE_FLTRES,
        FloatError::Unknown => linux::FPE_FLTUNK,
    }
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
