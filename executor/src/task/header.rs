//! The part of a task that does not depend on its future's type.

use super::hints::{BUDGET, Label};
use super::state::State;
use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::list::{Linked, Links};
use core::fmt;
use core::ptr::NonNull;
use core::task::Waker;

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

/// A number that no other task of this executor has or had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where a task may run, and before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Anywhere.
    Interactive,
    /// Anywhere, after interactive work, with a share of its own.
    Background,
    /// On its home only.
    Pinned,
}

/// The operations that depend on the type of the future and the scheduler.
///
/// All take a pointer to the header of a live task of that type.
pub(super) struct Vtable {
    pub(super) run: unsafe fn(NonNull<Header>, u64) -> super::Ran,
    pub(super) submit: unsafe fn(NonNull<Header>),
    /// Moves the output to the address; the caller owns the stage.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Empties the stage; the caller owns it.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    pub(super) free: unsafe fn(NonNull<Header>),
}

#[repr(C)]
pub(crate) struct Header {
    /// First, so that a pointer to it is a pointer to the header.
    pub(crate) link: Link,
    pub(crate) state: State,
    pub(super) vtable: &'static Vtable,
    /// See the rules at the module's head.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
    owned: Links<Header>,
    pub(crate) id: TaskId,
    pub(crate) name: &'static str,
    /// The CPU whose list of tasks this one is in; for a pinned task also the
    /// CPU where it runs.
    pub(crate) home: u16,
    /// The CPU of the last poll: where a wake-up sends the task.
    pub(crate) last_cpu: AtomicU16,
    pub(crate) class: Class,
    /// The CPUs where it may run, a bit each; 0 stands for all. Only the poller
    /// writes it, and who places the task after that poll reads it: the state
    /// word orders these.
    kept_to: AtomicU64,
    /// Polls so far.
    polls: AtomicU32,
    /// What is left of the poll's budget; see `hints`. Only the poller uses
    /// it.
    pub(super) budget: AtomicU8,
    /// Time spent in polls, in the platform's unit of accounting.
    busy: AtomicU64,
    /// What the task waits for since its last poll, or null; see `hints`.
    pub(super) waits_for: AtomicPtr<Label>,
}

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
    pub(super) fn new(vtable: &'static Vtable, about: super::cell::About) -> Self {
        Self {
            link: Link::new(),
            state: State::new(),
            vtable,
            join_waker: UnsafeCell::new(None),
            owned: Links::new(),
            id: about.id,
            name: about.name,
            home: about.home,
            last_cpu: AtomicU16::new(about.last_cpu),
            class: about.class,
            kept_to: AtomicU64::new(0),
            polls: AtomicU32::new(0),
            budget: AtomicU8::new(0),
            busy: AtomicU64::new(0),
            waits_for: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// A poll begins.
    pub(super) fn begin(&self) {
        self.budget.store(BUDGET, Ordering::Relaxed);
        self.waits_for
            .store(core::ptr::null_mut(), Ordering::Relaxed);
    }

    /// Adds one poll to the accounts. Only the poller calls this, so there is
    /// one writer and no read-modify-write is needed.
    pub(super) fn account(&self, time: u64) {
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store(polls.wrapping_add(1), Ordering::Relaxed);
        if time != 0 {
            let busy = self.busy.load(Ordering::Relaxed);
            self.busy.store(busy.wrapping_add(time), Ordering::Relaxed);
        }
    }

    /// What the task waits for, if it waits and somebody has said so.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        let label = self.waits_for.load(Ordering::Relaxed);
        // SAFETY: only references to static labels are stored there.
        unsafe { label.as_ref() }.map(|label| label.0)
    }

    /// The CPUs where it may run, a bit each; `None` for all. (For a pinned task
    /// `home` alone counts.)
    pub(crate) fn kept_to(&self) -> Option<u64> {
        let cpus = self.kept_to.load(Ordering::Relaxed);
        (cpus != 0 && self.class != Class::Pinned).then_some(cpus)
    }

    /// Changes that. Only for the poller.
    pub(super) fn keep_to(&self, cpus: u64) {
        if self.kept_to.load(Ordering::Relaxed) != cpus {
            self.kept_to.store(cpus, Ordering::Relaxed);
        }
    }

    pub(crate) fn polls(&self) -> u32 {
        self.polls.load(Ordering::Relaxed)
    }

    pub(crate) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
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

    /// Polls the task, or drops its future if it was cancelled. `started` is
    /// the time now.
    pub(crate) fn run(self, started: u64) -> super::Ran {
        let header = self.0;
        // SAFETY: the task is alive (as above), and the vtable belongs to it.
        unsafe { (header.as_ref().vtable.run)(header, started) }
    }
}
