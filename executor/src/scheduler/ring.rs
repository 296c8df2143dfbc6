//! A CPU's ring of ready tasks: its owner pushes, any CPU takes.
//!
//! `head` and `tail` count up for ever (64 bits do not wrap); the entry of a
//! position is at the position modulo the capacity. The owner alone moves
//! `tail`. A CPU that takes entries reads them first and then moves `head` over
//! them by a compare-exchange: if that succeeds, no CPU took them before and
//! the owner cannot have overwritten them, since it never passes
//! `head + CAPACITY`; if it fails, what was read is forgotten.
//!
//! Why not `crossbeam_queue::ArrayQueue`: `cargo bench --bench queues` has the
//! numbers. It pays a compare-exchange for a push, and cannot hand over half
//! of itself.

use crate::facade::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::task::{Header, Runnable};
use alloc::boxed::Box;
use core::ptr::{NonNull, null_mut};
use crossbeam_utils::CachePadded;

/// Small under `loom`, so that full and wrapped rings are within its reach.
pub(super) const CAPACITY: usize = if cfg!(loom) { 4 } else { 1024 };
const MASK: usize = CAPACITY - 1;

pub(crate) struct Ring {
    /// Where the next entry is taken. Moved by the CPU that takes.
    head: CachePadded<AtomicUsize>,
    /// Where the next entry is put. Moved by the owner; the `Release` store
    /// publishes the entries before it.
    tail: CachePadded<AtomicUsize>,
    /// In memory of its own: a ring is built on a small stack.
    entries: Box<[AtomicPtr<Header>; CAPACITY]>,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self {
            head: CachePadded::new(AtomicUsize::new(0)),
            tail: CachePadded::new(AtomicUsize::new(0)),
            entries: Box::new(core::array::from_fn(|_| AtomicPtr::new(null_mut()))),
        }
    }

    fn entry(&self, position: usize) -> &AtomicPtr<Header> {
        // The mask keeps the index below the capacity.
        &self.entries[position & MASK]
    }

    /// The task of an entry that an exchange of the head has made ours.
    fn claimed(entry: *mut Header) -> Option<Runnable> {
        // SAFETY: each entry is claimed once, and was put in by `push`.
        NonNull::new(entry).map(|task| unsafe { Runnable::from_raw(task) })
    }

    /// How many entries there are, or were a moment ago.
    pub(crate) fn len(&self) -> usize {
        // The head first: it never passes a tail that is read later.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Acquire);
        tail.wrapping_sub(head).min(CAPACITY)
    }

    /// Is there nothing to take?
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a task at the end, or gives it back if the ring is full.
    ///
    /// # Safety
    ///
    /// Only the owner calls this, [`pop`](Self::pop), and
    /// [`steal_into`](Self::steal_into) with this ring as the destination.
    pub(crate) unsafe fn push(&self, task: Runnable) -> Result<(), Runnable> {
        // Relaxed: the owner wrote it.
        let tail = self.tail.load(Ordering::Relaxed);
        // Acquire: pairs with the AcqRel exchange of the head in `pop` and `steal_into`: the CPU that
        // moved the head has read the entries before it.
        let head = self.head.load(Ordering::Acquire);
        if tail.wrapping_sub(head) >= CAPACITY {
            return Err(task);
        }
        self.entry(tail)
            .store(task.into_raw().as_ptr(), Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the first task.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn pop(&self) -> Option<Runnable> {
        let tail = self.tail.load(Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        while head != tail {
            let entry = self.entry(head).load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                // Release: pairs with the Acquire load of the head in `push`.
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Self::claimed(entry);
                }
                Err(now) => head = now,
            }
        }
        None
    }

    /// Moves half of this ring (at least one task, if there is one) to
    /// `thief`, and returns one of them instead of moving it.
    ///
    /// # Safety
    ///
    /// The caller owns `thief`, which has room for half a ring.
    pub(crate) unsafe fn steal_into(&self, thief: &Ring) -> Option<Runnable> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            // Acquire: the entries before the tail have been written.
            let tail = self.tail.load(Ordering::Acquire);
            let available = tail.wrapping_sub(head);
            if available == 0 || available > CAPACITY {
                if available == 0 {
                    return None;
                }
                // The head is old: the owner went on by a full round.
                head = self.head.load(Ordering::Acquire);
                continue;
            }
            let count = available - available / 2;
            // Relaxed: the caller owns the thief's tail.
            let to = thief.tail.load(Ordering::Relaxed);
            debug_assert!(thief.len() + count - 1 <= CAPACITY, "a thief has room");
            let first = self.entry(head).load(Ordering::Relaxed);
            for offset in 1..count {
                let task = self
                    .entry(head.wrapping_add(offset))
                    .load(Ordering::Relaxed);
                thief
                    .entry(to.wrapping_add(offset - 1))
                    .store(task, Ordering::Relaxed);
            }
            match self.head.compare_exchange(
                head,
                head.wrapping_add(count),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    thief
                        .tail
                        .store(to.wrapping_add(count - 1), Ordering::Release);
                    return Self::claimed(first);
                }
                Err(now) => head = now,
            }
        }
    }
}
