//! The state word of a task: seven bits, and above them the reference count.
//!
//! Every transition is one read-modify-write, and its return value tells
//! the caller what it has to do next.

use crate::facade::atomic::{AtomicU32, Ordering};
use core::fmt;

/// The task is in a queue; or the code that set the bit is about to put it there; or
/// (with [`RUNNING`]) its poller will put it there. Code that sets this
/// bit on a task that is neither running nor complete must submit the task. Only the
/// poller clears it. On a complete task the bit has no meaning.
const SCHEDULED: u32 = 1 << 0;

/// A CPU polls the task or drops its future, and owns the stage of the cell.
/// Set only by the CPU that took the task out of a queue. Never set together with
/// [`COMPLETE`].
const RUNNING: u32 = 1 << 1;

/// The future is gone. The output is in the cell and belongs to the join handle, if that
/// still wants it. Never cleared.
const COMPLETE: u32 = 1 << 2;

/// The future shall be dropped instead of polled. Never cleared.
const CANCELLED: u32 = 1 << 3;

/// The join handle exists and wants the output.
const JOIN_INTEREST: u32 = 1 << 4;

/// The joiner's word holds a waker, which the completing CPU takes.
/// While the bit is clear the word belongs to the join handle. While it is set the word is
/// not written before completion; after completion it belongs to the completing CPU.
const JOIN_WAKER: u32 = 1 << 5;

/// The future left no output: it was cancelled, or it panicked. Set with [`COMPLETE`].
const FAILED: u32 = 1 << 6;

/// One reference. The executor holds one from spawn to completion (it covers
/// the queues and the poll), the join handle one, each waker one.
const REFERENCE: u32 = 1 << 7;

/// The word at 16 million references. No task waits for so many things at once, so a loop
/// leaks wakers. The distance to the end of the word is enough for every CPU to add one
/// more reference before the first of them panics.
const MAX_REFERENCES: u32 = u32::MAX >> 1;

/// What a waker has to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Put the task into a queue.
    Submit,
    /// Nothing: it is queued already, its poller will queue it, or it is done.
    Nothing,
}

/// What a waker that gives up its reference has to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeOwned {
    /// Put the task into a queue, then drop the reference.
    Submit,
    /// Nothing: the reference is dropped.
    Nothing,
    /// That was the last reference: free the task.
    Free,
}

/// What the CPU that took a task out of a queue has to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Poll the future.
    Poll,
    /// Drop the future and complete the task as cancelled.
    Cancel,
}

/// What a poller has to do after a poll that returned `Pending`.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The task waits for its waker.
    Idle,
    /// It was woken during the poll: put it into a queue again.
    Resubmit,
}

/// What is in the stage when the future is gone.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The future's output.
    Output,
    /// Why there is none.
    Failure,
}

/// What the CPU that completed the task has to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completed {
    /// No join handle is left: drop the output.
    DropOutput,
    /// The join handle will find the output by itself.
    Leave,
    /// Take the join waker and wake it.
    WakeJoiner,
}

/// What the join handle may do with the joiner's word.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinField {
    /// The task goes on; the transition was made.
    Changed,
    /// The task has completed: read the output.
    Complete,
}

/// What a join handle that is dropped has to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detached {
    /// Empty the joiner's word, which is the handle's again.
    DropWaker,
    /// Drop the output, which is the handle's.
    DropOutput,
}

/// Whether a reference was the last one.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// Free the task.
    Last,
    /// Others hold it.
    Shared,
}

pub(crate) struct StateWord {
    /// All transitions that hand something over are AcqRel read-modify-writes: what was
    /// stored before one of them is observed after the next.
    word: AtomicU32,
}

impl StateWord {
    /// Scheduled, wanted by a join handle; two references: the executor's and
    /// the join handle's.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(SCHEDULED | JOIN_INTEREST | (2 * REFERENCE)),
        }
    }

    /// Wakes through a borrowed waker: one atomic operation.
    pub(crate) fn wake(&self) -> Wake {
        // Release even if the task is queued already: the poller's `start` (Acquire) pairs with
        // it, so the next poll observes what was stored before the wake-up.
        let old = self.word.fetch_or(SCHEDULED, Ordering::AcqRel);
        if old & (SCHEDULED | RUNNING | COMPLETE) == 0 {
            Wake::Submit
        } else {
            Wake::Nothing
        }
    }

    /// Wakes through a waker that is consumed. If nothing is to be submitted,
    /// its reference is dropped by the same atomic operation.
    pub(crate) fn wake_owned(&self) -> WakeOwned {
        let mut old = self.word.load(Ordering::Relaxed);
        loop {
            let submit = old & (SCHEDULED | RUNNING | COMPLETE) == 0;
            let new = if submit {
                old | SCHEDULED
            } else {
                (old | SCHEDULED) - REFERENCE
            };
            match self
                .word
                .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if submit => return WakeOwned::Submit,
                Ok(_) if new < REFERENCE => return WakeOwned::Free,
                Ok(_) => return WakeOwned::Nothing,
                Err(now) => old = now,
            }
        }
    }

    /// Asks for the future to be dropped.
    pub(crate) fn cancel(&self) -> Wake {
        let old = self.word.fetch_or(CANCELLED | SCHEDULED, Ordering::AcqRel);
        if old & (SCHEDULED | RUNNING | COMPLETE) == 0 {
            Wake::Submit
        } else {
            Wake::Nothing
        }
    }

    /// The caller took the task out of a queue.
    pub(crate) fn start(&self) -> Start {
        // The task is SCHEDULED and not RUNNING, so the sum exchanges the two
        // bits; an addition is one instruction where an exclusive-or with a
        // result is a loop.
        let old = self.word.fetch_add(RUNNING - SCHEDULED, Ordering::AcqRel);
        debug_assert_eq!(
            old & (SCHEDULED | RUNNING | COMPLETE),
            SCHEDULED,
            "a task in a queue is scheduled, and neither running nor complete"
        );
        if old & CANCELLED == 0 {
            Start::Poll
        } else {
            Start::Cancel
        }
    }

    /// The poll returned `Pending`.
    pub(crate) fn pending(&self) -> Pending {
        let old = self.word.fetch_sub(RUNNING, Ordering::AcqRel);
        debug_assert_eq!(old & (RUNNING | COMPLETE), RUNNING, "the poller runs it");
        if old & SCHEDULED == 0 {
            Pending::Idle
        } else {
            Pending::Resubmit
        }
    }

    /// The future is gone, and this is in the cell.
    pub(crate) fn complete(&self, left: Left) -> Completed {
        let complete = match left {
            Left::Output => COMPLETE,
            Left::Failure => COMPLETE | FAILED,
        };
        let old = self.word.fetch_add(complete - RUNNING, Ordering::AcqRel);
        debug_assert_eq!(old & (RUNNING | COMPLETE), RUNNING, "the poller runs it");
        if old & JOIN_INTEREST == 0 {
            Completed::DropOutput
        } else if old & JOIN_WAKER == 0 {
            Completed::Leave
        } else {
            Completed::WakeJoiner
        }
    }

    /// Is the output there?
    pub(crate) fn is_complete(&self) -> bool {
        self.word.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// What a task that is complete has left in the cell.
    pub(crate) fn left(&self) -> Left {
        // Relaxed: the caller has loaded COMPLETE (Acquire), and FAILED was set by the same
        // store.
        if self.word.load(Ordering::Relaxed) & FAILED == 0 {
            Left::Output
        } else {
            Left::Failure
        }
    }

    /// Has the task been asked to end?
    pub(crate) fn is_cancelled(&self) -> bool {
        self.word.load(Ordering::Relaxed) & CANCELLED != 0
    }

    /// What the task is doing, for display; it may have moved on.
    pub(crate) fn phase(&self) -> Phase {
        let word = self.word.load(Ordering::Relaxed);
        if word & COMPLETE != 0 {
            Phase::Done
        } else if word & RUNNING != 0 {
            Phase::Running
        } else if word & SCHEDULED != 0 {
            Phase::Ready
        } else {
            Phase::Waiting
        }
    }

    /// Does the joiner's word hold a waker for the completing CPU?
    pub(crate) fn has_join_waker(&self) -> bool {
        // Relaxed: only the join handle changes the bit, and only the join handle calls this.
        self.word.load(Ordering::Relaxed) & JOIN_WAKER != 0
    }

    /// The join handle has put a waker into the joiner's word and lends it to the
    /// completing CPU.
    pub(crate) fn lend_join_waker(&self) -> JoinField {
        self.change_join_waker(|word| word | JOIN_WAKER)
    }

    /// The join handle takes the joiner's word back.
    pub(crate) fn reclaim_join_waker(&self) -> JoinField {
        self.change_join_waker(|word| word & !JOIN_WAKER)
    }

    fn change_join_waker(&self, change: impl Fn(u32) -> u32) -> JoinField {
        let mut old = self.word.load(Ordering::Acquire);
        loop {
            if old & COMPLETE != 0 {
                return JoinField::Complete;
            }
            match self.word.compare_exchange_weak(
                old,
                change(old),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return JoinField::Changed,
                Err(now) => old = now,
            }
        }
    }

    /// The join handle goes.
    pub(crate) fn detach(&self) -> Detached {
        let mut old = self.word.load(Ordering::Acquire);
        loop {
            // After completion the waker bit stays as it is: the word belongs to the
            // completing CPU.
            let (new, act) = if old & COMPLETE == 0 {
                (old & !(JOIN_INTEREST | JOIN_WAKER), Detached::DropWaker)
            } else {
                (old & !JOIN_INTEREST, Detached::DropOutput)
            };
            match self
                .word
                .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return act,
                Err(now) => old = now,
            }
        }
    }

    /// One more reference; the caller holds one.
    pub(crate) fn retain(&self) {
        // Relaxed: the caller's own reference keeps the task alive.
        let old = self.word.fetch_add(REFERENCE, Ordering::Relaxed);
        if old > MAX_REFERENCES {
            // Taken back: a caller that catches the panic may try again without end.
            self.word.fetch_sub(REFERENCE, Ordering::Relaxed);
            panic!("a task's wakers are leaked in a loop");
        }
    }

    /// One reference less.
    pub(crate) fn release(&self) -> Released {
        let old = self.word.fetch_sub(REFERENCE, Ordering::AcqRel);
        debug_assert!(old >= REFERENCE, "a reference was dropped twice");
        if old < 2 * REFERENCE {
            Released::Last
        } else {
            Released::Shared
        }
    }
}

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a wake-up.
    Waiting,
    /// Is in a queue.
    Ready,
    /// Is being polled.
    Running,
    /// Has finished.
    Done,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Waiting => "waiting",
            Phase::Ready => "ready",
            Phase::Running => "running",
            Phase::Done => "done",
        })
    }
}

impl fmt::Debug for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        f.debug_struct("StateWord")
            .field("phase", &self.phase())
            .field("cancelled", &(word & CANCELLED != 0))
            .field("references", &(word / REFERENCE))
            .finish_non_exhaustive()
    }
}
