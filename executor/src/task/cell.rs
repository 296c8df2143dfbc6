//! The whole task, and what depends on the types of its future and of the scheduler.

use super::coop::BUDGET;
use super::header::{Class, Header, PollOutcome, Runnable, Vtable};
use super::join_error::JoinError;
use super::label::TaskId;
use super::state::{Completed, Left, Pending, Start};
use super::stats::TaskStats;
use super::waker;
use crate::facade::UnsafeCell;
use crate::facade::atomic::Ordering;
use alloc::alloc::{Layout, alloc, dealloc};
#[cfg(feature = "std")]
use alloc::boxed::Box;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

/// The scheduler, as a task sees it.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// Puts a task that was just woken into a queue. May take spin locks and send an IPI, so
    /// the caller holds no spin lock (rule E1).
    fn submit(&self, task: Runnable);

    /// The task has completed: takes it out of the list of tasks.
    ///
    /// # Safety
    ///
    /// The task was entered there, and this is called once.
    unsafe fn finished(&self, task: NonNull<Header>);

    /// Time for the task statistics.
    fn stamp(&self) -> u64;
}

/// What is known of a task before it exists.
pub(crate) struct TaskSpec {
    /// Number and name, if it gets stats.
    pub(crate) stats: Option<(TaskId, &'static str)>,
    pub(crate) class: Class,
    pub(crate) last_cpu: u16,
}

/// The future; after the last poll its output, or why there is none. The state word says
/// which, since an enum with a future in it is a word larger than the future.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
    failure: ManuallyDrop<Failure>,
}

/// A [`JoinError`] of one word at most: small tasks have no room for more.
enum Failure {
    Cancelled,
    #[cfg(feature = "std")]
    Panicked(Box<JoinError>),
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Cancelled => Self::Cancelled,
            #[cfg(feature = "std")]
            panicked => Self::Panicked(Box::new(panicked)),
        }
    }
}

impl From<Failure> for JoinError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            #[cfg(feature = "std")]
            Failure::Panicked(panicked) => *panicked,
        }
    }
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
pub(crate) fn allocate<F, S>(future: F, scheduler: S, about: TaskSpec) -> Result<NonNull<Header>, F>
where
    F: Future + 'static,
    S: Schedule,
{
    debug_assert!(about.stats.is_some() || cfg!(feature = "lean"));
    let (layout, offset) = layout::<F, S>(about.stats.is_some());
    // SAFETY: the layout has a size: the header is in it.
    let Some(memory) = NonNull::new(unsafe { alloc(layout) }) else {
        return Err(future);
    };
    let vtable = vtable::<F, S>(about.stats.is_some());
    let stage = UnsafeCell::new(Stage {
        future: ManuallyDrop::new(future),
    });
    // SAFETY: fresh memory of the right layout, in which the cell follows the statistics. Each field
    // is written to its place, since a future may be large.
    unsafe {
        let cell = memory.add(offset).cast::<Cell<F, S>>();
        let place = cell.as_ptr();
        (&raw mut (*place).header).write(Header::new(vtable, about.class, about.last_cpu));
        (&raw mut (*place).scheduler).write(scheduler);
        (&raw mut (*place).stage).write(stage);
        if let Some((id, name)) = about.stats {
            cell.cast::<TaskStats>()
                .sub(1)
                .write(TaskStats::new(id, name, about.class.share()));
        }
        Ok(cell.cast())
    }
}

/// The layout of a task, and where in it the cell is: the statistics end where it begins.
fn layout<F: Future, S>(stats: bool) -> (Layout, usize) {
    if !stats {
        return (Layout::new::<Cell<F, S>>(), 0);
    }
    // Sizes are multiples of alignments, so statistics that end there are aligned too.
    const {
        match Layout::new::<TaskStats>().extend(Layout::new::<Cell<F, S>>()) {
            Ok(both) => both,
            Err(_) => panic!("a future as large as half of all memory"),
        }
    }
}

fn vtable<F: Future + 'static, S: Schedule>(stats: bool) -> &'static Vtable {
    const fn filled<F: Future + 'static, S: Schedule>(stats: bool) -> Vtable {
        Vtable {
            stats,
            run: run::<F, S>,
            submit: submit::<F, S>,
            take_output: take_output::<F, S>,
            drop_output: drop_output::<F, S>,
            free: free::<F, S>,
        }
    }
    if stats {
        const { &filled::<F, S>(true) }
    } else {
        const { &filled::<F, S>(false) }
    }
}

/// # Safety
///
/// `header` is that of a live task of this type, and the caller holds its
/// `Runnable`.
unsafe fn run<F: Future + 'static, S: Schedule>(
    header: NonNull<Header>,
    started: u64,
) -> PollOutcome {
    // SAFETY: by the contract. The task may be freed by another CPU only after the transition
    // that ends the poll, and no path below uses the reference after that.
    let cell = unsafe { header.cast::<Cell<F, S>>().as_ref() };
    let left = match cell.header.state.start() {
        // SAFETY: RUNNING is ours, and so is the stage.
        Start::Cancel => unsafe { cell.finish(|| Err(JoinError::Cancelled)) },
        Start::Poll => {
            // SAFETY: the task stays alive during the poll by the executor's
            // reference.
            let waker = unsafe { waker::borrowed(header) };
            cell.header.budget.store(BUDGET, Ordering::Relaxed);
            // SAFETY: as above; the pointer is as `allocate` made it.
            let stats = unsafe { Header::stats(header) };
            if let Some(stats) = stats {
                stats.begin();
            }
            let mut context = Context::from_waker(&waker);
            // SAFETY: RUNNING is ours, and so is the stage.
            let polled = unsafe { cell.poll(&mut context) };
            match polled {
                Ok(Poll::Pending) => {
                    let ended = cell.scheduler.stamp();
                    // The last use of the cell: after the transition another CPU may run the task
                    // to its end and free it.
                    if let Some(stats) = stats {
                        stats.add(ended.wrapping_sub(started));
                    }
                    return match cell.header.state.pending() {
                        Pending::Idle => PollOutcome::Gone(ended),
                        Pending::Resubmit => {
                            // SAFETY: the transition says to resubmit it.
                            let task = unsafe { Runnable::new(header) };
                            PollOutcome::Again(task, ended)
                        }
                    };
                }
                // SAFETY: RUNNING is ours, and so is the stage.
                Ok(Poll::Ready(output)) => unsafe { cell.finish(|| Ok(output)) },
                // SAFETY: as above.
                Err(error) => unsafe { cell.finish(|| Err(error)) },
            }
        }
    };
    let ended = cell.scheduler.stamp();
    // This poll is not added to the statistics, which go with the task.
    // SAFETY: the future is gone, and this is in the stage.
    unsafe { complete::<F, S>(header, left) };
    PollOutcome::Gone(ended)
}

/// Announces that the task has completed, and gives up the executor's
/// reference.
///
/// # Safety
///
/// The caller runs the task, and this is in its stage.
unsafe fn complete<F: Future + 'static, S: Schedule>(header: NonNull<Header>, left: Left) {
    // SAFETY: the executor's reference is given up at the end only.
    let cell = unsafe { header.cast::<Cell<F, S>>().as_ref() };
    match cell.header.state.complete(left) {
        // SAFETY: no join handle wants the output, so the stage is still ours.
        Completed::DropOutput => unsafe { cell.empty(left) },
        Completed::Leave => {}
        Completed::WakeJoiner => {
            let joiner = cell
                .header
                .joiner
                // SAFETY: after completion the field is the completing CPU's.
                .with_mut(|joiner| unsafe { (*joiner).take() });
            if let Some(joiner) = joiner {
                joiner.wake();
            }
        }
    }
    // SAFETY: the task was entered into the list when it was spawned, and a
    // task completes once.
    unsafe { cell.scheduler.finished(header) };
    // SAFETY: the executor's reference, which ends here.
    unsafe { Header::release(header) };
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
                // SAFETY: by the contract no other CPU touches the stage, which
                // still holds the future. The cell never moves, and the future is
                // dropped in place.
                let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
                future.poll(context)
            })
        })
    }

    /// Drops the future and puts the output in its place, or why there is none.
    ///
    /// # Safety
    ///
    /// The caller runs the task, and it has not completed.
    unsafe fn finish(&self, output: impl FnOnce() -> Result<F::Output, JoinError>) -> Left {
        self.stage.with_mut(|stage| {
            // SAFETY: by the contract no other CPU touches the stage, which still holds
            // the future. If its destructor panics it is gone all the same.
            let dropped = catch(|| unsafe { ManuallyDrop::drop(&mut (*stage).future) });
            // SAFETY: as above; nothing is left in the stage.
            unsafe {
                match dropped.and_then(|()| output()) {
                    Ok(output) => {
                        (&raw mut (*stage).output).write(ManuallyDrop::new(output));
                        Left::Output
                    }
                    Err(error) => {
                        (&raw mut (*stage).failure).write(ManuallyDrop::new(error.into()));
                        Left::Failure
                    }
                }
            }
        })
    }

    /// Takes out what the future has left.
    ///
    /// # Safety
    ///
    /// The caller owns the stage, and this is in it. It is empty then.
    unsafe fn take(&self, left: Left) -> Result<F::Output, JoinError> {
        // SAFETY: by the contract.
        self.stage.with_mut(|stage| unsafe {
            match left {
                Left::Output => Ok(ManuallyDrop::take(&mut (*stage).output)),
                Left::Failure => Err(ManuallyDrop::take(&mut (*stage).failure).into()),
            }
        })
    }

    /// Drops what the future has left.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    unsafe fn empty(&self, left: Left) {
        // SAFETY: passed on. A panic of the output's destructor has no task left
        // to report it.
        drop(catch(|| drop(unsafe { self.take(left) })));
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
    // SAFETY: the caller's reference keeps the task alive, the stage is the
    // caller's and the task complete, and the destination is good.
    unsafe {
        let cell = header.cast::<Cell<F, S>>().as_ref();
        let output = cell.take(cell.header.state.left());
        *to.cast::<Poll<Result<F::Output, JoinError>>>() = Poll::Ready(output);
    }
}

/// # Safety
///
/// As for [`Vtable`]; the caller owns the stage.
unsafe fn drop_output<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the task alive, the stage is the
    // caller's and the task complete.
    unsafe {
        let cell = header.cast::<Cell<F, S>>().as_ref();
        cell.empty(cell.header.state.left());
    }
}

/// # Safety
///
/// The last reference is gone.
unsafe fn free<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    let cell = header.cast::<Cell<F, S>>().as_ptr();
    // SAFETY: no CPU can reach the cell any more, and it was allocated with this layout.
    // Nothing is left in the stage: the task has completed, and the owner of the stage has
    // emptied it. Task statistics have nothing to drop. A waker that the join handle left and
    // did not lend is still in its word.
    unsafe {
        let (layout, offset) = layout::<F, S>(Header::stats(header).is_some());
        (*cell)
            .header
            .joiner
            .with_mut(|joiner| drop((*joiner).take()));
        cell.drop_in_place();
        dealloc(cell.cast::<u8>().sub(offset), layout);
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
