//! The whole task, and what depends on the type of its future.

use super::header::{Class, Header, Runnable, TaskId, Vtable};
use super::join::JoinError;
use super::state::{Completed, Pending, Released, Start};
use super::waker;
use crate::facade::UnsafeCell;
use alloc::alloc::{Layout, alloc, dealloc};
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

/// The scheduler, as a task sees it.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// Puts a task that was just woken into a queue.
    fn submit(&self, task: Runnable);

    /// The task has completed: take it out of the list of tasks.
    ///
    /// # Safety
    ///
    /// The task was entered there, and this is called once.
    unsafe fn finished(&self, task: NonNull<Header>);

    /// Time for the accounts.
    fn stamp(&self) -> u64;
}

/// What became of a task that was run.
#[must_use]
#[derive(Debug)]
pub(crate) enum Ran {
    /// It waits, or has completed. The time is the end of the poll.
    Gone(u64),
    /// It was woken while it ran: put it into a queue again.
    Again(Runnable, u64),
}

/// What is known of a task before it exists.
pub(crate) struct About {
    pub(crate) id: TaskId,
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) home: u16,
    pub(crate) last_cpu: u16,
}

enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Empty,
}

/// The header is first, so that a pointer to it is a pointer to the cell.
#[repr(C)]
struct Cell<F: Future, S> {
    header: Header,
    scheduler: S,
    stage: UnsafeCell<Stage<F>>,
}

/// Makes a task with one allocation, scheduled, with the executor's reference
/// and the join handle's. `Err` gives the future back: no memory.
///
/// The returned pointer is good for one `Runnable` and one join handle.
pub(crate) fn allocate<F, S>(future: F, scheduler: S, about: About) -> Result<NonNull<Header>, F>
where
    F: Future + 'static,
    S: Schedule,
{
    let layout = Layout::new::<Cell<F, S>>();
    // SAFETY: the layout has a size: the header is in it.
    let memory = unsafe { alloc(layout) }.cast::<Cell<F, S>>();
    let Some(cell) = NonNull::new(memory) else {
        return Err(future);
    };
    let value = Cell {
        header: Header::new(vtable::<F, S>(), about),
        scheduler,
        stage: UnsafeCell::new(Stage::Future(future)),
    };
    // SAFETY: fresh memory of the right layout.
    unsafe { cell.write(value) };
    Ok(cell.cast())
}

fn vtable<F: Future + 'static, S: Schedule>() -> &'static Vtable {
    const {
        &Vtable {
            run: run::<F, S>,
            submit: submit::<F, S>,
            take_output: take_output::<F, S>,
            drop_output: drop_output::<F, S>,
            free: free::<F, S>,
        }
    }
}

/// # Safety
///
/// `header` is that of a live task of this type, and the caller holds its
/// `Runnable`.
unsafe fn run<F: Future + 'static, S: Schedule>(header: NonNull<Header>, started: u64) -> Ran {
    // SAFETY: by the contract; the reference ends before the task may be freed
    // by somebody else (each path below says so).
    let cell = unsafe { header.cast::<Cell<F, S>>().as_ref() };
    match cell.header.state.start() {
        Start::Cancel => {
            // SAFETY: RUNNING is ours, and so is the stage.
            unsafe { cell.finish(|| Err(JoinError::Cancelled)) };
        }
        Start::Poll => {
            // SAFETY: the task stays alive during the poll by the executor's
            // reference.
            let waker = unsafe { waker::borrowed(header) };
            cell.header.begin();
            let mut context = Context::from_waker(&waker);
            // SAFETY: RUNNING is ours, and so is the stage.
            let polled = unsafe { cell.poll(&mut context) };
            match polled {
                Ok(Poll::Pending) => {
                    let ended = cell.scheduler.stamp();
                    // The last touch of the cell: once the state says that the
                    // poll is over, another CPU may run it to its end.
                    cell.header.account(ended.wrapping_sub(started));
                    return match cell.header.state.pending() {
                        Pending::Idle => Ran::Gone(ended),
                        // SAFETY: we were told to resubmit it.
                        Pending::Resubmit => Ran::Again(unsafe { Runnable::new(header) }, ended),
                    };
                }
                // SAFETY: RUNNING is ours, and so is the stage.
                Ok(Poll::Ready(output)) => unsafe { cell.finish(|| Ok(output)) },
                // SAFETY: as above.
                Err(error) => unsafe { cell.finish(|| Err(error)) },
            }
        }
    }
    let ended = cell.scheduler.stamp();
    cell.header.account(ended.wrapping_sub(started));
    // SAFETY: the future is gone and the stage holds the output.
    unsafe { complete::<F, S>(header) };
    Ran::Gone(ended)
}

/// Announces that the task has completed, and gives up the executor's
/// reference.
///
/// # Safety
///
/// The caller runs the task, and its stage holds the output.
unsafe fn complete<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the executor's reference is given up at the end only.
    let cell = unsafe { header.cast::<Cell<F, S>>().as_ref() };
    match cell.header.state.complete() {
        // SAFETY: nobody wants the output, so the stage is still ours.
        Completed::DropOutput => unsafe { cell.empty() },
        Completed::Leave => {}
        Completed::WakeJoiner => {
            let joiner = cell
                .header
                .join_waker
                // SAFETY: after completion the field is the completer's.
                .with_mut(|waker| unsafe { (*waker).take() });
            if let Some(joiner) = joiner {
                joiner.wake();
            }
        }
    }
    // SAFETY: the task was entered into the list when it was spawned, and a
    // task completes once.
    unsafe { cell.scheduler.finished(header) };
    // SAFETY: the executor's reference, which ends here.
    unsafe { release(header) };
}

impl<F: Future, S> Cell<F, S> {
    /// Polls the future.
    ///
    /// # Safety
    ///
    /// The caller runs the task, and it has not completed.
    unsafe fn poll(&self, context: &mut Context<'_>) -> Result<Poll<F::Output>, JoinError> {
        self.stage.with_mut(|stage| {
            catch(|| {
                // SAFETY: by the contract nobody else touches the stage.
                match unsafe { &mut *stage } {
                    // SAFETY: the cell never moves, and the future is dropped
                    // in place.
                    Stage::Future(future) => unsafe { Pin::new_unchecked(future) }.poll(context),
                    Stage::Output(_) | Stage::Empty => {
                        unreachable!("a task that is not complete has its future")
                    }
                }
            })
        })
    }

    /// Drops the future and puts the output in its place.
    ///
    /// # Safety
    ///
    /// The caller runs the task.
    unsafe fn finish(&self, output: impl FnOnce() -> Result<F::Output, JoinError>) {
        self.stage.with_mut(|stage| {
            // SAFETY: by the contract nobody else touches the stage. The
            // future is dropped in place; should its destructor panic, the
            // assignment still completes.
            let dropped = catch(|| unsafe { *stage = Stage::Empty });
            let output = match dropped {
                Ok(()) => output(),
                Err(error) => Err(error),
            };
            // SAFETY: as above; the stage is empty.
            unsafe { *stage = Stage::Output(output) };
        });
    }

    /// Drops what is in the stage.
    ///
    /// # Safety
    ///
    /// The caller owns the stage.
    unsafe fn empty(&self) {
        self.stage.with_mut(|stage| {
            // SAFETY: by the contract. An output whose destructor panics has
            // nobody left to tell.
            drop(catch(|| unsafe { *stage = Stage::Empty }));
        });
    }
}

/// # Safety
///
/// As for [`Vtable`]; the caller has set `SCHEDULED` on an idle task and holds
/// a reference.
unsafe fn submit<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the task alive.
    let cell = unsafe { header.cast::<Cell<F, S>>().as_ref() };
    // SAFETY: the caller has set `SCHEDULED`.
    cell.scheduler.submit(unsafe { Runnable::new(header) });
}

/// # Safety
///
/// As for [`Vtable`]; `to` is good for a `Poll<Result<F::Output, JoinError>>`.
unsafe fn take_output<F: Future + 'static, S: Schedule>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the caller's reference keeps the task alive.
    let cell = unsafe { header.cast::<Cell<F, S>>().as_ref() };
    cell.stage.with_mut(|stage| {
        // SAFETY: the caller owns the stage and gives a valid destination.
        unsafe {
            if let Stage::Output(output) = core::ptr::replace(stage, Stage::Empty) {
                *to.cast::<Poll<Result<F::Output, JoinError>>>() = Poll::Ready(output);
            }
        }
    });
}

/// # Safety
///
/// As for [`Vtable`]; the caller owns the stage.
unsafe fn drop_output<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the task alive, and the stage is
    // the caller's.
    unsafe { header.cast::<Cell<F, S>>().as_ref().empty() };
}

/// # Safety
///
/// The last reference is gone.
unsafe fn free<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    let cell = header.cast::<Cell<F, S>>().as_ptr();
    // SAFETY: nobody else can reach the cell any more, and it was allocated
    // with this layout.
    unsafe {
        cell.drop_in_place();
        dealloc(cell.cast(), Layout::new::<Cell<F, S>>());
    }
}

/// Gives up one reference.
///
/// # Safety
///
/// The caller holds one and does not use it afterwards.
pub(super) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: the reference keeps the task alive until it is given up; when it
    // was the last one, nobody else can reach the task.
    unsafe {
        if header.as_ref().state.release() == Released::Last {
            (header.as_ref().vtable.free)(header);
        }
    }
}

/// Runs `f`; on the host, a panic becomes an error of that task.
#[cfg(feature = "std")]
fn catch<R>(f: impl FnOnce() -> R) -> Result<R, JoinError> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(f)).map_err(JoinError::Panicked)
}

/// Runs `f`. Without `std` a panic cannot be caught: where it would unwind
/// through the scheduler, a second panic ends the program.
#[cfg(not(feature = "std"))]
fn catch<R>(f: impl FnOnce() -> R) -> Result<R, JoinError> {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a task panicked where nothing can catch it");
        }
    }
    let bomb = Bomb;
    let result = f();
    core::mem::forget(bomb);
    Ok(result)
}
