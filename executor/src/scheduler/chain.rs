//! A list of ready tasks through the links that they have anyway: what the queues of an executor
//! that shares time are made of. Its lock is that of the queue around it.

use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::task::{Header, Link, Runnable};
use alloc::boxed::Box;
use alloc::vec;
use core::ptr::{NonNull, null_mut};

/// First and last; both null when there is no task.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    first: *mut Link,
    last: *mut Link,
}

// SAFETY: the tasks are in it as `Runnable`s, which are `Send`.
unsafe impl Send for Chain {}

/// The link of a task that is in a chain, or is on its way into one.
///
/// # Safety
///
/// The task is alive.
unsafe fn next<'a>(link: NonNull<Link>) -> &'a AtomicPtr<Link> {
    // SAFETY: by the contract. Relaxed is enough everywhere: the lock of the queue orders all uses.
    unsafe { &(*link.as_ptr()).next }
}

impl Chain {
    const EMPTY: Self = Self {
        first: null_mut(),
        last: null_mut(),
    };

    /// So many without a task, made where they stay: a kernel's stack is small.
    pub(super) fn many(count: usize) -> Box<[Self]> {
        vec![Self::EMPTY; count].into_boxed_slice()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Behind all others.
    pub(super) fn push_back(&mut self, task: Runnable) {
        let link: NonNull<Link> = task.into_raw().cast();
        // SAFETY: the task is scheduled and in no queue; the last one is scheduled too. So both are
        // alive.
        unsafe {
            next(link).store(null_mut(), Ordering::Relaxed);
            match NonNull::new(self.last) {
                Some(last) => next(last).store(link.as_ptr(), Ordering::Relaxed),
                None => self.first = link.as_ptr(),
            }
        }
        self.last = link.as_ptr();
    }

    /// Before all others.
    pub(super) fn push_front(&mut self, task: Runnable) {
        let link: NonNull<Link> = task.into_raw().cast();
        // SAFETY: the task is scheduled and in no queue, so it is alive.
        unsafe { next(link) }.store(self.first, Ordering::Relaxed);
        if self.first.is_null() {
            self.last = link.as_ptr();
        }
        self.first = link.as_ptr();
    }

    /// The first one.
    pub(super) fn pop(&mut self) -> Option<Runnable> {
        let link = NonNull::new(self.first)?;
        // SAFETY: a task in the chain is scheduled, so it is alive.
        self.first = unsafe { next(link) }.load(Ordering::Relaxed);
        if self.first.is_null() {
            self.last = null_mut();
        }
        // SAFETY: it was put in as a `Runnable`, and has just been taken out.
        Some(unsafe { Runnable::from_raw(link.cast::<Header>()) })
    }
}
