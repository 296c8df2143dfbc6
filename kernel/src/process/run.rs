//! The future that a user thread is (idea 1 of the design).
//!
//! Read from the top:
//!
//! 1. `start` makes a thread into a task of the executor, whose body is `thread_main`: one
//!    program after the other, until the thread ends.
//! 2. `poll_as` makes each poll of that body one of the thread: in its address space, on a CPU
//!    where it may run, with its CPU time counted and its FPU registers saved at the end.
//! 3. `run` is the loop of one program: take signals, enter user mode, deal with the trap that ends
//!    it, repeat. All of it happens in one poll, until the thread has to wait or its time slice
//!    is over.
//! 4. A trap is offered to the fast path first (the `FastPath` below), while the program is still in
//!    its CPU. What the fast path does not finish comes back as a [`Trap`] for the slow path, a
//!    future: `system_call`, `page_fault`, or a signal for an exception.
//!
//! The registers are the future's own, and lent by `&mut` to each of these in turn.

use super::exception;
use super::exec::Program;
use super::exit_status::{End, ExitStatus};
use super::fail_counts::Cause;
use super::fail_nth;
use super::oom;
use super::outcome::Outcome;
use super::registers::Registers;
use super::signal::Signal;
use super::spawn_guard::{self, NotStarted};
use super::thread::Thread;
use crate::arch::{self, Access, FastPath, Trap};
use crate::memory::{self, FaultError};
use crate::wait::Restart;
use crate::{sched, syscall};
use alloc::boxed::Box;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use futures_util::future::{Either, select};

/// Makes this module what runs the threads. Called once, before the first thread is made.
pub fn init() {
    spawn_guard::set_start(start);
}

/// Starts a thread. Without memory for its task the thread ends here (rule M10), and with it its
/// process if it is the only one, which then counts as killed; this CPU has left the address space
/// in that case.
fn start(thread: Thread, registers: Registers, child_tid: Option<usize>) -> Result<(), NotStarted> {
    let tcb = thread.tcb().clone();
    let main = thread_main(thread, registers, child_tid);
    match sched::executor().task("user").try_spawn(main) {
        // The task itself is not awaited: the process's status tells of its end.
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

/// What follows a program.
enum AfterProgram {
    /// Another program, in the same thread.
    Program(Box<Program>),
    /// Nothing: the thread ends.
    End(End),
}

/// The body of a thread's task.
async fn thread_main(mut thread: Thread, mut registers: Registers, child_tid: Option<usize>) {
    if let Some(address) = child_tid {
        let write = async {
            // A bad address is the program's own loss, as on Linux.
            let _ = thread
                .space()
                .write_bytes(address, &thread.tid().0.to_le_bytes())
                .await;
        };
        poll_as(&thread, pin!(write)).await;
    }
    let end = loop {
        let after = {
            let program = pin!(async {
                let after = run(&thread, &mut registers).await;
                thread.release_memory().await;
                after
            });
            poll_as(&thread, program).await
        };
        match after {
            AfterProgram::Program(program) => thread.replace(*program, &mut registers),
            AfterProgram::End(end) => break end,
        }
    };
    thread.end(end);
}

/// Runs `work` so that each poll of it is one of the thread.
async fn poll_as<T>(thread: &Thread, mut work: Pin<&mut impl Future<Output = T>>) -> T {
    poll_fn(|context| {
        let affinity = thread.tcb().affinity();
        sched::executor().set_share(context, thread.tcb().priority().share());
        if sched::executor()
            .set_affinity(context, affinity)
            .is_pending()
        {
            return Poll::Pending;
        }
        let begin = arch::clock();
        thread.activate();
        thread.tcb().begin_poll(begin);
        sched::begin_slice(begin);
        let result = work.as_mut().poll(context);
        // The next poll may be on another CPU.
        arch::save_loaded_fpu();
        thread.tcb().end_poll(arch::clock() - begin);
        result
    })
    .await
}

/// Runs the program until it ends or is replaced.
async fn run(thread: &Thread, registers: &mut Registers) -> AfterProgram {
    // Set if the last system call was interrupted by a signal.
    let mut interrupted = None;
    loop {
        if (thread.has_signals() || interrupted.is_some())
            && let Some(status) = thread.take_signals(registers, interrupted.take()).await
        {
            return AfterProgram::End(End::Process(status));
        }
        if thread.tcb().exit_pending() {
            return AfterProgram::End(End::ExitPending);
        }
        let usage = &thread.tcb().usage;
        usage.enter_user();
        let trap = registers.user.run(&mut registers.fpu, thread);
        usage.leave_user();
        let killed = match trap {
            Trap::Syscall => match system_call(thread, registers).await {
                CallEnd::Resume => None,
                CallEnd::Interrupted(restart) => {
                    interrupted = Some(restart);
                    None
                }
                CallEnd::Left(after) => return after,
            },
            Trap::PageFault { address, access } => {
                usage.slow_fault();
                page_fault(thread, registers.user.ip(), address, access).await
            }
            Trap::Interrupt => {
                usage.involuntary_switch();
                // The executor looks at its timers, and polls this task again if no other is ready.
                executor::yield_now().await;
                None
            }
            Trap::Exception { vector, error } => {
                exception::exception(thread, registers, vector, error);
                None
            }
        };
        if let Some(status) = killed {
            return AfterProgram::End(End::Process(status));
        }
    }
}

/// The fast path of every trap. It runs inside of `UserContext::run`, so the registers are not to
/// be had here.
impl FastPath for Thread {
    #[inline(always)]
    fn system_call(&self, number: usize, arguments: [usize; 6]) -> Option<usize> {
        let result = syscall::fast_path(self, number, arguments);
        if result.is_some() {
            self.tcb().usage.fast_call();
        }
        result
    }

    fn page_fault(&self, address: usize, access: Access) -> bool {
        // An allocation that is to fail is counted on the slow path.
        let done = !fail_nth::awaits_fault(self) && self.space().fault_fast(address, access);
        if done {
            self.tcb().usage.fast_fault();
        }
        done
    }

    fn interrupt(&self) -> bool {
        memory::serve();
        let tcb = self.tcb();
        sched::may_go_on() && tcb.may_run_here() && !tcb.exit_pending() && !self.has_signals()
    }
}

/// How a system call has ended.
enum CallEnd {
    /// The registers are set.
    Resume,
    /// A signal has ended a wait, and the registers are as they were: the delivery of the signal
    /// decides whether the call is repeated.
    Interrupted(Restart),
    /// The program is over.
    Left(AfterProgram),
}

/// The slow path of a system call. It does the call, unless a fatal signal comes first.
async fn system_call(thread: &Thread, registers: &mut Registers) -> CallEnd {
    let mut is_repeated = false;
    let outcome = loop {
        let outcome = {
            let mut call = pin!(syscall::dispatch(thread, registers));
            poll_fn(|context| {
                let first = fail_nth::polled(thread, Cause::Call, || call.as_mut().poll(context));
                if first.is_ready() {
                    return first;
                }
                // Register the waker only when the call blocks; most calls never do.
                let tcb = thread.tcb();
                tcb.set_signal_waker(context.waker());
                if !thread.has_signals() && !tcb.exit_pending() {
                    tcb.begin_wait();
                    return Poll::Pending;
                }
                if tcb.fatal_signal_pending() {
                    // `run` takes the signal and ends.
                    return Poll::Ready(Outcome::Resume);
                }
                // A signal that came before the waker was registered has woken nothing: poll again,
                // so that an interruptible wait sees it (see `wait`).
                fail_nth::polled(thread, Cause::Call, || call.as_mut().poll(context))
            })
            .await
        };
        // Rule M10: the missing memory may be waiting for the reclaimer.
        if !is_repeated
            && syscall::may_be_repeated(&registers.user, &outcome)
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
            return CallEnd::Interrupted(restart);
        }
        Outcome::Return(result) => registers.user.set_result(syscall::to_return(result)),
        Outcome::Resume => {}
        Outcome::Replace(program) => return CallEnd::Left(AfterProgram::Program(program)),
        Outcome::Exit(end) => return CallEnd::Left(AfterProgram::End(end)),
    }
    CallEnd::Resume
}

/// The slow path of a page fault by the instruction at `ip`.
async fn page_fault(
    thread: &Thread,
    ip: usize,
    address: usize,
    access: Access,
) -> Option<ExitStatus> {
    let mut outcome = try_page_fault(thread, address, access).await;
    // A failure on purpose is not repaired.
    let on_purpose = fail_nth::ended(thread, Cause::Fault);
    if outcome == Some(FaultError::OutOfMemory) && !on_purpose {
        let killed = pin!(thread.tcb().wait_for_fatal_signal());
        let with_kills = pin!(async {
            let lock = oom::lock().await;
            loop {
                // The victim of another fault may have ended while this one waited for the lock.
                let outcome = try_page_fault(thread, address, access).await;
                if outcome != Some(FaultError::OutOfMemory) || !oom::kill_one(thread, &lock).await {
                    return outcome;
                }
                memory::direct_reclaim().await;
            }
        });
        outcome = match select(with_kills, killed).await {
            Either::Left((outcome, _)) => outcome,
            // `run` takes the signal and ends.
            Either::Right(_) => None,
        };
    }
    match outcome? {
        FaultError::OutOfMemory => Some(ExitStatus::Signal(Signal::KILL)),
        error => {
            exception::bad_access(thread, ip, (address, access), error);
            None
        }
    }
}

/// Makes the access possible, unless a fatal signal comes first. Returns why it is not possible.
async fn try_page_fault(thread: &Thread, address: usize, access: Access) -> Option<FaultError> {
    let mut fault = pin!(thread.space().fault_slow(address, access).resolve());
    let fault =
        poll_fn(|context| fail_nth::polled(thread, Cause::Fault, || fault.as_mut().poll(context)));
    let killed = pin!(thread.tcb().wait_for_fatal_signal());
    match select(fault, killed).await {
        Either::Left((Err(error), _)) => Some(error),
        Either::Left((Ok(()), _)) | Either::Right(_) => None,
    }
}
