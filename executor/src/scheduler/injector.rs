//! A queue through the tasks themselves: any CPU puts tasks in without a lock
//! and without allocating, one at a time takes them out.
//!
//! This is Dmitry Vyukov's intrusive multi-producer queue: a producer swaps
//! itself into `tail` and then links its predecessor to itself. Between the
//! two steps the chain is cut; a consumer that gets there says [`Taken::Busy`]
//! and comes back later. A stub node keeps the chain from ever being without a
//! node. Consumers, which are the owner and CPUs that steal, exclude each
//! other by a lock that is only ever tried.

use crate::facade::Lock;
use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::task::{Header, Link, Runnable};
use alloc::boxed::Box;
use core::ptr::{NonNull, null_mut};
use crossbeam_utils::CachePadded;

pub(crate) struct Injector {
    /// The node put in last. Producers swap it.
    tail: CachePadded<AtomicPtr<Link>>,
    /// The node to be taken next, or the stub. Written under `consumer`.
    head: CachePadded<AtomicPtr<Link>>,
    /// Held by the CPU that takes.
    consumer: Lock<()>,
    /// In memory of its own, so that the queue may move before it is used.
    stub: NonNull<Link>,
}

// SAFETY: the stub is shared like the atomics; tasks are `Send` as `Runnable`.
unsafe impl Send for Injector {}
// SAFETY: as above.
unsafe impl Sync for Injector {}

/// What a try to take found.
#[must_use]
#[derive(Debug)]
pub(crate) enum Taken {
    Task(Runnable),
    Empty,
    /// A producer is between its two steps, or another consumer is at it.
    Busy,
}

impl Taken {
    /// The task, if there is one.
    pub(crate) fn task(self) -> Option<Runnable> {
        match self {
            Self::Task(task) => Some(task),
            Self::Empty | Self::Busy => None,
        }
    }
}

impl Injector {
    pub(crate) fn new() -> Self {
        let stub = NonNull::from(Box::leak(Box::new(Link::new())));
        Self {
            tail: CachePadded::new(AtomicPtr::new(stub.as_ptr())),
            head: CachePadded::new(AtomicPtr::new(stub.as_ptr())),
            consumer: Lock::new(()),
            stub,
        }
    }

    /// Puts a task in.
    pub(crate) fn push(&self, task: Runnable) {
        self.push_link(task.into_raw().cast());
    }

    fn push_link(&self, node: NonNull<Link>) {
        // SAFETY: the node is a scheduled task or the stub: alive, and in no
        // other queue.
        unsafe { node.as_ref() }
            .next
            .store(null_mut(), Ordering::Relaxed);
        // AcqRel: publishes the node; and sees the predecessor's `next` as its
        // own producer left it.
        let previous = self.tail.swap(node.as_ptr(), Ordering::AcqRel);
        // SAFETY: the predecessor cannot be taken before it is linked to its
        // successor (or proven last, which the swap just ended).
        unsafe { (*previous).next.store(node.as_ptr(), Ordering::Release) };
    }

    /// Is there nothing in it? Exact for a caller that has a fence between what it
    /// relies on and this call; a hint for others.
    pub(crate) fn is_empty(&self) -> bool {
        // Tail before head. A consumer moves the head to a task before it can
        // put the stub back to the tail, so a load that observes the stub as the tail
        // also observes the head past it, unless all was taken.
        let stub = self.stub.as_ptr();
        self.tail.load(Ordering::Acquire) == stub && self.head.load(Ordering::Acquire) == stub
    }

    /// Takes the task that was put in first.
    pub(crate) fn pop(&self) -> Taken {
        self.consumer
            .try_with(|()| self.pop_locked())
            .unwrap_or(Taken::Busy)
    }

    /// Takes up to `limit` tasks and gives them to `sink`, in order, until
    /// that gives one back.
    pub(crate) fn pop_some(&self, limit: usize, mut sink: impl FnMut(Runnable)) -> usize {
        self.consumer
            .try_with(|()| {
                let mut count = 0;
                while count < limit {
                    match self.pop_locked() {
                        Taken::Task(task) => sink(task),
                        Taken::Empty | Taken::Busy => break,
                    }
                    count += 1;
                }
                count
            })
            .unwrap_or(0)
    }

    /// With the consumer's lock held.
    fn pop_locked(&self) -> Taken {
        let stub = self.stub.as_ptr();
        // Relaxed: written under the lock that is held.
        let mut head = self.head.load(Ordering::Relaxed);
        // SAFETY: the head is a task that is in the queue, or the stub.
        let mut next = unsafe { (*head).next.load(Ordering::Acquire) };
        if head == stub {
            if next.is_null() {
                return if self.tail.load(Ordering::Acquire) == stub {
                    Taken::Empty
                } else {
                    Taken::Busy
                };
            }
            // Release: see `is_empty`.
            self.head.store(next, Ordering::Release);
            head = next;
            // SAFETY: `next` was linked, so it is a task in the queue.
            next = unsafe { (*head).next.load(Ordering::Acquire) };
        }
        if next.is_null() {
            if self.tail.load(Ordering::Acquire) != head {
                return Taken::Busy;
            }
            // The last task: the stub goes behind it, to get it out.
            self.push_link(self.stub);
            // SAFETY: the head is still in the queue.
            next = unsafe { (*head).next.load(Ordering::Acquire) };
            if next.is_null() {
                // A producer came in between and has not linked yet.
                return Taken::Busy;
            }
        }
        self.head.store(next, Ordering::Release);
        match NonNull::new(head.cast::<Header>()) {
            // SAFETY: the head is no stub here, so it was put in as a task,
            // and it has just been taken out.
            Some(task) => Taken::Task(unsafe { Runnable::from_raw(task) }),
            None => Taken::Empty,
        }
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "a queue with tasks was dropped");
        // SAFETY: allocated in `new`; no CPU reaches the queue any more.
        drop(unsafe { Box::from_raw(self.stub.as_ptr()) });
    }
}
