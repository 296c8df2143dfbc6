//! What a primitive and the executor tell each other through the waker.
//!
//! A future that is polled by a task directly has that task's waker, and from
//! there gets at the task's header. Behind another waker (of
//! `FuturesUnordered`, of another executor) there are no hints, and nothing
//! depends on them.

use super::header::Header;
use super::stats::TaskStats;
use super::waker::task_of;
use crate::facade::atomic::Ordering;
use core::task::{Context, Poll};

/// How many operations that did not have to wait a task may do in one poll
/// (rule E4): enough to work a queue off in bulk, few enough that the others
/// get their turn.
pub(super) const BUDGET: u8 = 128;

/// The name of what a task may wait for, as snapshots show it.
///
/// ```
/// use executor::{Label, sync::WaitQueue};
/// static PIPE: Label = Label("pipe");
/// static READERS: WaitQueue = WaitQueue::labelled(&PIPE);
/// ```
///
/// Of several things that a task waits for at once the one counts that was
/// polled last. An empty name is for what should not count: the wish to be
/// told of a signal, for instance, beside what is really waited for.
#[derive(Debug, PartialEq, Eq)]
pub struct Label(pub &'static str);

/// The task that polls.
fn header<'a>(context: &Context<'a>) -> Option<&'a Header> {
    // SAFETY: the waker keeps the task alive.
    task_of(context.waker()).map(|task| unsafe { task.as_ref() })
}

/// Its stats, if it has any.
fn stats<'a>(context: &Context<'a>) -> Option<&'a TaskStats> {
    // SAFETY: the waker keeps the task alive; its pointer is as `allocate` made it.
    task_of(context.waker()).and_then(|task| unsafe { TaskStats::of(task) })
}

/// Takes one operation off the budget of the task that polls. `Pending`: it is
/// used up, and the task has been put at the end of the queue.
///
/// To be called before an operation has an effect.
pub(crate) fn spend(context: &Context<'_>) -> Poll<()> {
    let Some(header) = header(context) else {
        return Poll::Ready(());
    };
    // Only the poller touches the budget, so there is no read-modify-write.
    match header.budget.load(Ordering::Relaxed).checked_sub(1) {
        Some(left) => {
            header.budget.store(left, Ordering::Relaxed);
            Poll::Ready(())
        }
        None => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

/// Gives back what [`spend`] took: the operation had to wait.
pub(crate) fn unspend(context: &Context<'_>) {
    if let Some(header) = header(context) {
        let left = header.budget.load(Ordering::Relaxed);
        header
            .budget
            .store(left.saturating_add(1), Ordering::Relaxed);
    }
}

/// Says what the task that polls is about to wait for.
pub(crate) fn waits_for(context: &Context<'_>, label: &'static Label) {
    if label.0.is_empty() {
        return;
    }
    if let Some(stats) = stats(context) {
        stats.set_waits_for(label);
    }
}

/// Keeps the task that polls to these CPUs, a bit each, or to none in particular
/// if there is no bit. `Pending`: this CPU is not among them, and the task has
/// been put into the queue of one that is.
pub(crate) fn set_affinity(context: &Context<'_>, cpus: u64) -> Poll<()> {
    let (Some(header), Some(stats)) = (header(context), stats(context)) else {
        return Poll::Ready(());
    };
    stats.set_affinity(cpus);
    let here = header.last_cpu.load(Ordering::Relaxed);
    if cpus == 0 || cpus.checked_shr(here.into()).unwrap_or(0) & 1 != 0 {
        return Poll::Ready(());
    }
    context.waker().wake_by_ref();
    Poll::Pending
}
