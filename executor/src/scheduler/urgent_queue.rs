//! Ready tasks that are urgent, by level: a list for each, the highest first.
//!
//! A task that was interrupted goes back to the front of its list; one that was woken, or whose turn
//! is over, to the end (sched(7) has the same rules for `SCHED_FIFO` and `SCHED_RR`).

use super::chain::Chain;
use crate::facade::Lock;
use crate::facade::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::task::{Runnable, Share};
use alloc::boxed::Box;

const LEVELS: usize = Share::HIGHEST as usize + 1;

pub(super) struct UrgentQueue {
    levels: Lock<Levels>,
    /// The highest level in use; 0 for an empty queue. Stored with the lock held; other loads are
    /// hints, but for that of a CPU about to park, which has a fence (see `parking`).
    top: AtomicU8,
    /// How many tasks there are. As `top`.
    len: AtomicUsize,
}

struct Levels {
    /// A bit for each list that is not empty.
    occupied: u128,
    lists: Box<[Chain]>,
}

impl Levels {
    fn top(&self) -> u8 {
        (u128::BITS - 1).saturating_sub(self.occupied.leading_zeros()) as u8
    }
}

/// At which end of its list a task enters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Front,
    Back,
}

impl UrgentQueue {
    pub(super) fn new() -> Self {
        Self {
            levels: Lock::new(Levels {
                occupied: 0,
                lists: Chain::many(LEVELS),
            }),
            top: AtomicU8::new(0),
            len: AtomicUsize::new(0),
        }
    }

    /// The highest level at which a task waits; 0: none does.
    pub(super) fn top(&self) -> u8 {
        self.top.load(Ordering::Acquire)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.top() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Puts a task in, whose level is not 0.
    pub(super) fn push(&self, task: Runnable, end: End) {
        let level = usize::from(task.share().level().clamp(1, Share::HIGHEST));
        self.levels.with(|levels| {
            levels.occupied |= 1 << level;
            match end {
                End::Front => levels.lists[level].push_front(task),
                End::Back => levels.lists[level].push_back(task),
            }
            self.note(levels, self.len.load(Ordering::Relaxed) + 1);
        });
    }

    /// Takes the first task of the highest level.
    pub(super) fn pop(&self) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        self.levels.with(|levels| {
            let level = usize::from(levels.top());
            let task = levels.lists[level].pop()?;
            if levels.lists[level].is_empty() {
                levels.occupied &= !(1 << level);
            }
            self.note(levels, self.len.load(Ordering::Relaxed) - 1);
            Some(task)
        })
    }

    fn note(&self, levels: &Levels, len: usize) {
        self.len.store(len, Ordering::Release);
        self.top.store(levels.top(), Ordering::Release);
    }
}

impl Drop for UrgentQueue {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "a queue with tasks was dropped");
    }
}
