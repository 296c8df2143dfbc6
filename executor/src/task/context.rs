//! Task-local context: what a primitive and the executor tell each other through the waker.
//!
//! A future that a task polls directly gets that task's waker, which leads to the task's
//! header. Behind another waker (of `FuturesUnordered`, of another executor) there is no such
//! context, and nothing depends on it.

use super::header::Header;
use super::label::Label;
use super::run_time::Virtual;
use super::share::ShareWord;
use super::stats::TaskStats;
use super::waker::task_of;
use crate::facade::atomic::Ordering;
use core::task::{Context, Poll};

/// The header of the task that polls.
pub(super) fn header<'a>(context: &Context<'a>) -> Option<&'a Header> {
    // SAFETY: the waker keeps the task alive.
    task_of(context.waker()).map(|task| unsafe { task.as_ref() })
}

/// Its statistics, if it has any.
fn stats<'a>(context: &Context<'a>) -> Option<&'a TaskStats> {
    // SAFETY: the waker keeps the task alive; its pointer is as `allocate` made it.
    task_of(context.waker()).and_then(|task| unsafe { Header::stats(task) })
}

/// Notes what the task that polls is about to wait for.
pub(crate) fn waits_for(context: &Context<'_>, label: &'static Label) {
    if label.0.is_empty() {
        return;
    }
    if let Some(stats) = stats(context) {
        stats.set_waits_for(label);
    }
}

/// Restricts the task that polls to these CPUs, a bit each; no bit lifts the restriction.
/// `Pending`: this CPU is not among them, and the task has been put into the queue of one
/// that is.
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

/// Gives the task that polls another share, and returns what it had; `None` without statistics.
pub(crate) fn set_share(context: &Context<'_>, share: ShareWord) -> Option<ShareWord> {
    stats(context).map(|stats| stats.set_share(share))
}

/// Sets the virtual run time of the task that polls.
pub(crate) fn set_run_time(context: &Context<'_>, run_time: Virtual) {
    if let Some(stats) = stats(context) {
        stats.set_run_time(run_time);
    }
}
