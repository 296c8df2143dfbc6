//! The part of a task that does not depend on its future's type.

use super::joiner::Joiner;
use super::state::State;
use super::stats::{TaskId, TaskStats};
use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicPtr, AtomicU8, AtomicU16};
use crate::list::{Linked, Links};
use core::ptr::NonNull;

/// The link of an intrusive queue.
pub(crate) struct Link {
    /// The next node, or null at the end. The store is a `Release`, the load
    /// of who follows it an `Acquire`.
    pub(crate) next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

/// Where a task may run, and before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Anywhere.
    Interactive,
    /// Anywhere, after interactive work, with a share of its own.
    Background,
    /// Where it was spawned only.
    Pinned,
}

/// What depends on the type of the future and of the scheduler.
///
/// All operations take a pointer to the header of a live task of that type.
pub(super) struct Vtable {
    /// Are there [`TaskStats`] before the header?
    pub(super) stats: bool,
    pub(super) run: unsafe fn(NonNull<Header>, u64) -> super::PollOutcome,
    pub(super) submit: unsafe fn(NonNull<Header>),
    /// Moves the output of a complete task to the address; the caller owns the stage.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output of a complete task; the caller owns the stage.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// Six words; the scheduler's handle and the future follow.
#[repr(C)]
pub(crate) struct Header {
    /// First, so that a pointer to it is a pointer to the header.
    pub(crate) link: Link,
    pub(crate) state: State,
    /// The CPU of the last poll: where a wake-up sends the task. For a pinned task the one
    /// where it stays.
    pub(crate) last_cpu: AtomicU16,
    pub(crate) class: Class,
    /// What is left of the poll's budget; see `coop`. Only the poller uses it.
    pub(super) budget: AtomicU8,
    pub(super) vtable: &'static Vtable,
    /// See the rules at the module's head.
    pub(super) joiner: UnsafeCell<Joiner>,
    owned: Links<Header>,
}

/// Each task has one, so a word here is a word for each task.
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
            state: State::new(),
            last_cpu: AtomicU16::new(cpu),
            class,
            budget: AtomicU8::new(0),
            vtable,
            joiner: UnsafeCell::new(Joiner::none()),
            owned: Links::new(),
        }
    }

    /// The task's number.
    ///
    /// # Safety
    ///
    /// As for [`TaskStats::of`].
    pub(crate) unsafe fn id(task: NonNull<Self>) -> TaskId {
        // SAFETY: passed on.
        match unsafe { TaskStats::of(task) } {
            Some(stats) => stats.id(),
            None => TaskId(task.addr().get() as u64),
        }
    }

    /// The task's name; empty without stats.
    ///
    /// # Safety
    ///
    /// As for [`TaskStats::of`].
    pub(crate) unsafe fn name(task: NonNull<Self>) -> &'static str {
        // SAFETY: passed on.
        unsafe { TaskStats::of(task) }.map_or("", TaskStats::name)
    }
}

/// The right, and the duty, to run a task once.
///
/// Losing one would lose a wake-up, so it has to be put somewhere.
#[must_use]
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: a task may move between CPUs; `Class::Pinned` ones are kept on their
// CPU by the scheduler.
unsafe impl Send for Runnable {}

impl Runnable {
    /// # Safety
    ///
    /// The caller has just set the bit `SCHEDULED` of a task that was idle, or
    /// was told to resubmit it, or made it.
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
        // SAFETY: a scheduled task has not completed, so the executor's
        // reference keeps it alive.
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

    /// The CPUs to which it is kept, a bit each, if it is, and is not pinned anyway.
    pub(crate) fn affinity(&self) -> Option<u64> {
        // SAFETY: as above.
        let cpus = unsafe { TaskStats::of(self.0) }?.affinity()?;
        (self.header().class != Class::Pinned).then_some(cpus)
    }

    /// Polls the task, or drops its future if it was cancelled. `started` is
    /// the time now.
    pub(crate) fn run(self, started: u64) -> super::PollOutcome {
        let header = self.0;
        // SAFETY: the task is alive (as above), and the vtable belongs to it.
        unsafe { (header.as_ref().vtable.run)(header, started) }
    }
}
