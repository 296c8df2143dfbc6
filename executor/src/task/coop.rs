//! The coop budget (rule E4): how much a task may do in one poll without having to wait.
//!
//! Each operation of a primitive takes one unit off the budget of the task that polls. An
//! operation that finds the budget used up wakes its own task and returns `Pending`, which
//! moves the task behind the others of its queue.

use super::context::header;
use crate::facade::atomic::Ordering;
use core::task::{Context, Poll};

/// Operations that a task may do in one poll without having to wait: enough to work off a
/// queue in bulk, few enough that the other tasks of the CPU get their turn.
pub(super) const BUDGET: u8 = 128;

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
