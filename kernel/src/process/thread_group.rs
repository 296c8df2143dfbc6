//! The threads of a process: which there are, whether more may join, and how all of them end.
//!
//! One lock guards the list and these decisions. [`ThreadGroup::end`] and
//! [`ThreadGroup::become_only`] set the exit of all listed threads pending and close the group, in
//! one hold of the lock. So a thread that is being made at that moment is either in the list and
//! marked, or cannot join. A marked thread gives up its wait or is interrupted in user mode, sees
//! the mark, and ends.
//!
//! [`ThreadGroup::leave`] is the one place that sees the last thread go, and so determines that the
//! process has ended, and with which status.
//!
//! The lock is taken after that of the numbers (`ids`), never before it. Under it only wait
//! queues are locked, and nothing is dropped.

use super::exit_status::{End, ExitStatus};
use super::thread::Tcb;
use super::usage::Usage;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Add;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// The threads of a process.
pub(super) struct ThreadGroup {
    members: Mutex<Members>,
    /// Woken when a thread has left.
    left: WaitQueue,
}

struct Members {
    threads: Vec<Arc<Tcb>>,
    /// How the process ends, once that is decided.
    verdict: Option<ExitStatus>,
    /// A thread is about to be the only one (execve(2)).
    is_closing: bool,
    /// What the threads have used that have left.
    used_by_left: Usage,
}

/// Why a thread cannot join.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotJoined {
    /// The process is ending, or becoming another program.
    Ending,
    /// No memory.
    OutOfMemory,
}

impl ThreadGroup {
    pub(super) const fn new() -> ThreadGroup {
        ThreadGroup {
            members: Mutex::new(Members {
                threads: Vec::new(),
                verdict: None,
                is_closing: false,
                used_by_left: Usage::NONE,
            }),
            left: WaitQueue::labelled(&Label("end of threads")),
        }
    }

    /// Lets a thread in, unless all have to go.
    pub(super) fn join(&self, thread: Arc<Tcb>) -> Result<(), NotJoined> {
        let mut members = self.members.lock();
        let result = if members.verdict.is_some() || members.is_closing {
            Err(NotJoined::Ending)
        } else if members.threads.try_reserve(1).is_err() {
            Err(NotJoined::OutOfMemory)
        } else {
            Ok(())
        };
        if result.is_ok() {
            members.threads.push(thread);
        }
        result
    }

    /// Decides that the process ends, and how, unless that has been decided already
    /// (exit_group(2), a signal that ends the process).
    pub(super) fn end(&self, status: ExitStatus) {
        let mut members = self.members.lock();
        if members.verdict.is_none() {
            members.verdict = Some(status);
            members
                .threads
                .iter()
                .for_each(|thread| thread.set_exit_pending());
        }
    }

    /// Takes a thread out. The last one gets the status of the process, which has ended by
    /// that.
    #[must_use = "the last one has to end the process"]
    pub(super) fn leave(&self, thread: &Tcb, end: End) -> Option<ExitStatus> {
        let (gone, last) = {
            let mut members = self.members.lock();
            let mut threads = members.threads.iter();
            let place = threads.position(|other| core::ptr::eq(&**other, thread));
            let gone = place.map(|place| members.threads.swap_remove(place));
            members.used_by_left = members.used_by_left + thread.usage();
            // The status of an exiting thread counts only without a decision, as on Linux since 6.0.
            let status = members.verdict.unwrap_or(match end {
                End::Thread(status) | End::Process(status) => status,
                End::ExitPending => ExitStatus::Code(0),
            });
            (gone, members.threads.is_empty().then_some(status))
        };
        // Not under the lock.
        drop(gone);
        self.left.wake_all();
        last
    }

    /// Ends all threads but this one, and waits until they are gone. `false`: this one has to
    /// end as well, or another is doing the same already and ends it.
    ///
    /// If the future is dropped while it waits, the thread is ending, and with it the process.
    pub(super) async fn become_only(&self, thread: &Tcb) -> bool {
        {
            let mut members = self.members.lock();
            if members.verdict.is_some() || members.is_closing {
                return false;
            }
            members.is_closing = true;
            let others = members.threads.iter();
            others
                .filter(|other| !core::ptr::eq(&***other, thread))
                .for_each(|other| other.set_exit_pending());
        }
        self.left
            .wait_until(|| (self.len() == 1).then_some(()))
            .await;
        true
    }

    /// After [`become_only`](Self::become_only): others may come again.
    pub(super) fn reopen(&self) {
        self.members.lock().is_closing = false;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.members.lock().threads.len()
    }

    /// What all threads have used, also those that have left.
    pub(super) fn usage(&self) -> Usage {
        let members = self.members.lock();
        let of_each = members.threads.iter().map(|thread| thread.usage());
        of_each.fold(members.used_by_left, Usage::add)
    }

    /// Makes all threads look for signals.
    pub(super) fn signal_wake(&self) {
        self.for_each(|thread| thread.signal_wake());
    }

    /// Visits all. `visit` is called under the lock: it neither allocates nor waits.
    pub(super) fn for_each(&self, visit: impl FnMut(&Arc<Tcb>)) {
        self.members.lock().threads.iter().for_each(visit);
    }

    /// The first that matches. As for `for_each`.
    pub(super) fn find(&self, mut matches: impl FnMut(&Tcb) -> bool) -> Option<Arc<Tcb>> {
        let members = self.members.lock();
        let mut threads = members.threads.iter();
        threads.find(|thread| matches(thread)).cloned()
    }
}

#[cfg(test)]
#[path = "thread_group_tests.rs"]
mod tests;
