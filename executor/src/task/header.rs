//! The part of a task that does not depend on the type of its future.

use super::label::TaskId;
use super::run_time::Virtual;
use super::share::{ORDINARY, Share, ShareWord};
use super::state::{Released, StateWord};
use super::stats::TaskStats;
use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicPtr, AtomicU8, AtomicU16};
use crate::list::{Linked, Links};
use core::ptr::{NonNull, null_mut};

/// The link of an intrusive queue.
pub(crate) struct Link {
    /// The next node, or null at the end. A producer stores it (Release); the consumer that
    /// follows it loads it (Acquire) and so observes the node behind it.
    pub(crate) next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            next: AtomicPtr::new(null_mut()),
        }
    }
}

/// Where a task may run, and before which others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// On any CPU.
    Interactive,
    /// On any CPU, after interactive tasks, with a guaranteed share.
    Background,
    /// Only on the CPU where it was spawned.
    Pinned,
}

impl Class {
    /// What such a task is given at first.
    pub(super) fn share(self) -> Share {
        match self {
            Self::Interactive | Self::Pinned => Share::ORDINARY,
            // A twelve percent share beside one other task.
            Self::Background => Share::Weight(ORDINARY / 8),
        }
    }
}

/// What became of a task that was run.
#[must_use]
#[derive(Debug)]
pub(crate) enum PollOutcome {
    /// It waits, or has completed. The time is the end of the poll.
    Gone(u64),
    /// It was woken during the poll: put it into a queue again.
    Again(Runnable, u64),
}

/// What depends on the types of the future and of the scheduler.
///
/// Each operation takes a pointer to the header of a live task of those types.
pub(super) struct Vtable {
    /// Are there [`TaskStats`] before the header?
    pub(super) stats: bool,
    pub(super) run: unsafe fn(NonNull<Header>, u64) -> PollOutcome,
    pub(super) submit: unsafe fn(NonNull<Header>),
    /// Moves the output of a complete task to the address; the caller owns the stage.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output of a complete task; the caller owns the stage.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// The waker of the join handle in one word, or null. What the word means is in `joiner`, which
/// also empties it: a word that is dropped drops nothing.
pub(super) struct JoinerWord(pub(super) *mut ());

/// Six words; the scheduler's handle and the future follow.
#[repr(C)]
pub(crate) struct Header {
    /// First, so that a pointer to it is a pointer to the header.
    pub(crate) link: Link,
    pub(crate) state: StateWord,
    /// The CPU of the last poll: where a wake-up sends the task. For a pinned task the CPU
    /// where it stays.
    pub(crate) last_cpu: AtomicU16,
    pub(crate) class: Class,
    /// What is left of the poll's budget; see `coop`. Only the poller uses it.
    pub(super) budget: AtomicU8,
    pub(super) vtable: &'static Vtable,
    /// See the rules at the module's head.
    pub(super) joiner: UnsafeCell<JoinerWord>,
    owned: Links<Header>,
}

/// Each task has a header, so a word here is a word for each task.
#[cfg(all(not(loom), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Header>() == 48);

// SAFETY: the cells inside are touched by one CPU at a time, by the rules at
// the module's head.
unsafe impl Sync for Header {}
// SAFETY: as above; nothing in a header is tied to a thread.
unsafe impl Send for Header {}

// SAFETY: always the same field, by address arithmetic alone.
unsafe impl Linked for Header {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises a live node; a field's address is not
        // null.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).owned) }
    }
}

impl Header {
    pub(super) fn new(vtable: &'static Vtable, class: Class, cpu: u16) -> Self {
        Self {
            link: Link::new(),
            state: StateWord::new(),
            last_cpu: AtomicU16::new(cpu),
            class,
            budget: AtomicU8::new(0),
            vtable,
            joiner: UnsafeCell::new(JoinerWord(null_mut())),
            owned: Links::new(),
        }
    }

    /// The task's statistics, if its executor keeps any.
    ///
    /// # Safety
    ///
    /// The task lives as long as `'a`, and the pointer came from its allocation, not from a
    /// reference to the header.
    pub(crate) unsafe fn stats<'a>(task: NonNull<Self>) -> Option<&'a TaskStats> {
        // SAFETY: the task lives; if its vtable says so, its stats end where the header begins.
        unsafe {
            let has_some = !cfg!(feature = "lean") || task.as_ref().vtable.stats;
            has_some.then(|| task.cast::<TaskStats>().sub(1).as_ref())
        }
    }

    /// The task's number.
    ///
    /// # Safety
    ///
    /// As for [`stats`](Self::stats).
    pub(crate) unsafe fn id(task: NonNull<Self>) -> TaskId {
        // SAFETY: passed on.
        match unsafe { Self::stats(task) } {
            Some(stats) => stats.id(),
            None => TaskId(task.addr().get() as u64),
        }
    }

    /// The task's name; empty without statistics.
    ///
    /// # Safety
    ///
    /// As for [`stats`](Self::stats).
    pub(crate) unsafe fn name(task: NonNull<Self>) -> &'static str {
        // SAFETY: passed on.
        unsafe { Self::stats(task) }.map_or("", TaskStats::name)
    }

    /// Gives up one reference, and frees the task if it was the last one.
    ///
    /// # Safety
    ///
    /// The caller holds one and does not use it afterwards.
    pub(super) unsafe fn release(task: NonNull<Self>) {
        // SAFETY: the reference keeps the task alive until it is given up; after the last
        // one no CPU can reach the task.
        unsafe {
            if task.as_ref().state.release() == Released::Last {
                (task.as_ref().vtable.free)(task);
            }
        }
    }
}

/// The right, and the duty, to run a task once.
///
/// A `Runnable` that is lost is a lost wake-up, so it has to be put into a queue or run.
#[must_use]
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: a task may move between CPUs; the scheduler keeps `Class::Pinned` tasks on their CPU.
unsafe impl Send for Runnable {}

impl Runnable {
    /// # Safety
    ///
    /// The caller has just set the bit `SCHEDULED` of a task that was idle, or a transition
    /// told it to resubmit the task, or it has just allocated the task.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// The pointer, for a queue of pointers.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        self.0
    }

    /// # Safety
    ///
    /// `header` came from [`into_raw`](Self::into_raw), once.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: only a task that is run completes, and to run it takes this `Runnable`; the
        // executor's reference, which is given up after completion, keeps the task alive.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn id(&self) -> TaskId {
        // SAFETY: the task is alive, as above; the pointer is as `allocate` made it.
        unsafe { Header::id(self.0) }
    }

    pub(crate) fn name(&self) -> &'static str {
        // SAFETY: as above.
        unsafe { Header::name(self.0) }
    }

    /// The CPUs to which the task is restricted, a bit each. `None` for a task without such a
    /// restriction, and for a pinned one, whose class says where it runs.
    pub(crate) fn affinity(&self) -> Option<u64> {
        // SAFETY: as above.
        let cpus = unsafe { Header::stats(self.0) }?.affinity()?;
        (self.header().class != Class::Pinned).then_some(cpus)
    }

    /// Has it not been polled yet? Without statistics it counts as polled.
    pub(crate) fn is_new(&self) -> bool {
        // SAFETY: as above.
        unsafe { Header::stats(self.0) }.is_some_and(|stats| stats.polls() == 0)
    }

    /// Its virtual run time; 0 without statistics.
    pub(crate) fn run_time(&self) -> Virtual {
        // SAFETY: as above.
        unsafe { Header::stats(self.0) }.map_or(0, TaskStats::run_time)
    }

    /// Sets its virtual run time.
    pub(crate) fn set_run_time(&self, run_time: Virtual) {
        // SAFETY: as above.
        if let Some(stats) = unsafe { Header::stats(self.0) } {
            stats.set_run_time(run_time);
        }
    }

    /// What it is given of its CPU; the share of an ordinary task without statistics.
    pub(crate) fn share(&self) -> ShareWord {
        // SAFETY: as above.
        unsafe { Header::stats(self.0) }.map_or(ShareWord::from(Share::ORDINARY), TaskStats::share)
    }

    /// Polls the task, or drops its future if it was cancelled. `started` is
    /// the time now.
    pub(crate) fn run(self, started: u64) -> PollOutcome {
        let header = self.0;
        // SAFETY: the task is alive (as above), and the vtable belongs to it.
        unsafe { (header.as_ref().vtable.run)(header, started) }
    }
}
