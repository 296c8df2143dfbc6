//! Ready tasks in the order of their virtual run time: the queue of a CPU that shares time
//! instead of turns.
//!
//! The virtual run time of a task is the time that it was polled, divided by its weight. A CPU
//! runs the task with the least of it, so all tasks that stay ready get the same amount,
//! however often they yield.
//!
//! # Structure
//!
//! Virtual time is cut into slices of [`SLICE`] units. A calendar of [`SLICES`] lists has one
//! for each slice from the queue's own time on; a task lies in the list of its slice, behind those
//! that came before it. A bit per list says whether it is empty, so both entering and taking
//! take constant time, and the lists go through the links that tasks have anyway: nothing
//! allocates.
//!
//! The queue's time is at most that of the first task in it, and never goes back. A task that
//! enters is moved into the calendar: one that is far ahead waits for at most the whole of it. Times of 32 bits are enough for that: they are only compared by
//! their distance, modulo 2^32.

use crate::facade::Lock;
use crate::facade::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::task::run_time::{Virtual, lead};
use crate::task::{Header, Link, Runnable};
use core::ptr::{NonNull, null_mut};

/// Units in a slice: about a millisecond.
pub(crate) const SLICE: Virtual = 1 << 12;
/// Slices in the calendar, one bit each.
const SLICES: u32 = u64::BITS;

pub(crate) struct FairQueue {
    calendar: Lock<Calendar>,
    /// How many tasks are in it. Stored with the lock held; a CPU that has put a task in and
    /// one that parks each have a fence between this and the other's word (see `parking`).
    len: AtomicUsize,
}

struct Calendar {
    /// The start of the first slice: a multiple of [`SLICE`].
    time: Virtual,
    /// A bit for each list that is not empty, by its index in `lists`.
    occupied: u64,
    /// First and last of each slice.
    lists: [(*mut Link, *mut Link); SLICES as usize],
}

// SAFETY: the tasks are in the queue as `Runnable`s, which are `Send`.
unsafe impl Send for Calendar {}

impl Calendar {
    /// The distance of the first slice in use from the queue's time, in slices.
    fn first(&self) -> Option<u32> {
        let turned = self.occupied.rotate_right(self.index(0));
        (turned != 0).then(|| turned.trailing_zeros())
    }

    /// The queue's time goes on, over slices that are empty.
    fn advance(&mut self, slices: u32) {
        self.time = self.time.wrapping_add(slices * SLICE);
    }

    /// The queue's time goes on to `floor`, but not over a task.
    fn follow(&mut self, floor: Virtual) {
        let slices = lead(floor, self.time) / SLICE;
        self.advance(slices.min(self.first().unwrap_or(slices)));
    }

    /// The index of the list that is so many slices away.
    fn index(&self, distance: u32) -> u32 {
        // 2^32 is a multiple of the whole calendar, so this holds when the time wraps.
        (self.time / SLICE + distance) % SLICES
    }
}

/// The link of a task that is in the queue, or is on its way into it.
///
/// # Safety
///
/// The task is alive.
unsafe fn next<'a>(link: NonNull<Link>) -> &'a AtomicPtr<Link> {
    // SAFETY: by the contract. Relaxed is enough everywhere: the lock orders all uses.
    unsafe { &(*link.as_ptr()).next }
}

impl FairQueue {
    pub(crate) fn new() -> Self {
        Self {
            calendar: Lock::new(Calendar {
                time: 0,
                occupied: 0,
                lists: [(null_mut(), null_mut()); SLICES as usize],
            }),
            len: AtomicUsize::new(0),
        }
    }

    /// Is there no task?
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Puts a task in that has had `had`; it stands at `floor` at least. Returns where it stands.
    pub(crate) fn push(&self, task: Runnable, had: Virtual, floor: Virtual) -> Virtual {
        let link: NonNull<Link> = task.into_raw().cast();
        self.calendar.with(|calendar| {
            calendar.follow(floor);
            let had = floor.wrapping_add(lead(had, floor));
            let ahead = lead(had, calendar.time).min((SLICES - 1) * SLICE);
            let index = calendar.index(ahead / SLICE);
            let (first, last) = calendar.lists[index as usize];
            // SAFETY: the task is scheduled and in no queue; those in the list are scheduled too,
            // so they are alive.
            unsafe {
                next(link).store(null_mut(), Ordering::Relaxed);
                match NonNull::new(last) {
                    Some(last) => next(last).store(link.as_ptr(), Ordering::Relaxed),
                    None => calendar.occupied |= 1 << index,
                }
            }
            let first = if first.is_null() {
                link.as_ptr()
            } else {
                first
            };
            calendar.lists[index as usize] = (first, link.as_ptr());
            // No read-modify-write: only a holder of the lock stores.
            let len = self.len.load(Ordering::Relaxed);
            self.len.store(len + 1, Ordering::Release);
            calendar.time.wrapping_add(ahead)
        })
    }

    /// Takes the task that has had least, and says from when on its slice is.
    pub(crate) fn pop(&self) -> Option<(Runnable, Virtual)> {
        if self.is_empty() {
            return None;
        }
        self.calendar.with(|calendar| {
            let distance = calendar.first()?;
            calendar.advance(distance);
            let index = calendar.index(0);
            let (first, last) = calendar.lists[index as usize];
            let link = NonNull::new(first)?;
            // SAFETY: a task in the queue is scheduled, so it is alive.
            let second = unsafe { next(link) }.load(Ordering::Relaxed);
            if second.is_null() {
                calendar.occupied &= !(1 << index);
                calendar.lists[index as usize] = (null_mut(), null_mut());
            } else {
                calendar.lists[index as usize] = (second, last);
            }
            let len = self.len.load(Ordering::Relaxed);
            self.len.store(len - 1, Ordering::Release);
            // SAFETY: it was put in as a `Runnable`, and has just been taken out.
            let task = unsafe { Runnable::from_raw(link.cast::<Header>()) };
            Some((task, calendar.time))
        })
    }

    /// When the slice of the first task begins; `None` for an empty queue.
    pub(crate) fn first(&self) -> Option<Virtual> {
        if self.is_empty() {
            return None;
        }
        self.calendar.with(|calendar| {
            let distance = calendar.first()?;
            Some(calendar.time.wrapping_add(distance * SLICE))
        })
    }
}

impl Drop for FairQueue {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "a queue with tasks was dropped");
    }
}
