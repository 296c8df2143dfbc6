//! Ready tasks in the order of their virtual run time: the queue of a CPU that shares time
//! instead of turns.
//!
//! The virtual run time of a task is the time that it was polled, divided by its weight. A CPU
//! runs the task with the least of it, so all tasks that stay ready get the same amount by their
//! weight, however often they yield.
//!
//! # Structure
//!
//! Virtual time is cut into slices of [`SLICE`] units. A calendar of [`SLICES`] lists has one
//! for each slice from the queue's own time on; a task lies in the list of its slice, behind those
//! that came before it. What is farther ahead lies in a coarser calendar of as many lists, each as
//! wide as the whole of the finer one; and what is beyond that in a third. A task that a poll moves
//! that far has a small weight, so the coarse order of its list costs it and the others little, and
//! its run time stays exact.
//!
//! A bit per list says whether it is empty, so both entering and taking take constant time, and the
//! lists go through the links that tasks have anyway: nothing allocates.
//!
//! The queue's time is at most the start of the first list in use, and never goes back. Times of 32
//! bits are enough for that: they are only compared by their distance, modulo 2^32.

use super::chain::Chain;
use crate::facade::Lock;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::task::Runnable;
use crate::task::run_time::{Virtual, lead};
use alloc::boxed::Box;

/// Units in a slice: about a millisecond.
pub(crate) const SLICE: Virtual = 1 << SLICE_BITS;
const SLICE_BITS: u32 = 12;
/// Lists in a calendar, one bit each.
const SLICES: u32 = u64::BITS;
/// Calendars.
const LEVELS: usize = 3;

pub(crate) struct FairQueue {
    calendars: Lock<Calendars>,
    /// How many tasks are in it. Stored with the lock held; a CPU that has put a task in and
    /// one that parks each have a fence between this and the other's word (see `parking`).
    len: AtomicUsize,
    /// The sum of their weights. As `len`.
    weight: AtomicUsize,
}

struct Calendars {
    /// A multiple of [`SLICE`].
    time: Virtual,
    levels: [Calendar; LEVELS],
}

struct Calendar {
    /// A bit for each list that is not empty, by its index in `lists`.
    occupied: u64,
    lists: Box<[Chain]>,
}

/// Where a list is in time.
#[derive(Clone, Copy)]
struct Position {
    level: usize,
    index: u32,
    /// Where it begins.
    start: Virtual,
}

/// A task that was taken, and where its list is in time.
pub(crate) struct Taken {
    pub(crate) task: Runnable,
    pub(crate) start: Virtual,
    /// How long the list is.
    pub(crate) width: Virtual,
}

/// The bits of a time within a list of this level.
fn bits(level: usize) -> u32 {
    SLICE_BITS + level as u32 * SLICES.trailing_zeros()
}

impl Calendars {
    /// The list of this level that begins first, of those in use.
    fn first_of(&self, level: usize) -> Option<Position> {
        let now = (self.time >> bits(level)) % SLICES;
        let turned = self.levels[level].occupied.rotate_right(now);
        let distance = (turned != 0).then(|| turned.trailing_zeros())?;
        let start = (self.time >> bits(level)).wrapping_add(distance) << bits(level);
        Some(Position {
            level,
            index: (now + distance) % SLICES,
            // A coarse list may have begun before the queue's time.
            start: self.time.wrapping_add(lead(start, self.time)),
        })
    }

    /// Of all in use the list that begins first, the finest of several.
    fn first(&self) -> Option<Position> {
        let all = (0..LEVELS).filter_map(|level| self.first_of(level));
        all.min_by_key(|position| lead(position.start, self.time))
    }

    /// The queue's time goes on to `floor`, but not over a list in use.
    fn follow(&mut self, floor: Virtual) {
        let by = match self.first() {
            Some(first) => lead(floor, self.time).min(lead(first.start, self.time)),
            None => lead(floor, self.time),
        };
        self.time = self.time.wrapping_add(by) & !(SLICE - 1);
    }

    /// The list of a time, and the time itself unless it is beyond all lists.
    fn position_of(&self, had: Virtual) -> (usize, u32, Virtual) {
        let ahead = lead(had, self.time);
        let last = LEVELS - 1;
        let had = self
            .time
            .wrapping_add(ahead.min((SLICES - 1) << bits(last)));
        let fits = |level: &usize| {
            let shift = bits(*level);
            // 2^32 is a multiple of the whole calendar, so this holds when the time wraps.
            let mask = Virtual::MAX >> shift;
            (had >> shift).wrapping_sub(self.time >> shift) & mask < SLICES
        };
        let level = (0..last).find(fits).unwrap_or(last);
        (level, (had >> bits(level)) % SLICES, had)
    }
}

impl FairQueue {
    pub(crate) fn new() -> Self {
        let calendar = |_| Calendar {
            occupied: 0,
            lists: Chain::many(SLICES as usize),
        };
        Self {
            calendars: Lock::new(Calendars {
                time: 0,
                levels: core::array::from_fn(calendar),
            }),
            len: AtomicUsize::new(0),
            weight: AtomicUsize::new(0),
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

    /// The sum of their weights.
    pub(crate) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// Puts a task in that has had `had`; it stands at `floor` at least. Returns where it stands.
    pub(crate) fn push(&self, task: Runnable, had: Virtual, floor: Virtual) -> Virtual {
        let weight = task.share().weight() as usize;
        self.calendars.with(|calendars| {
            calendars.follow(floor);
            let had = floor.wrapping_add(lead(had, floor));
            let (level, index, had) = calendars.position_of(had);
            let calendar = &mut calendars.levels[level];
            calendar.lists[index as usize].push_back(task);
            calendar.occupied |= 1 << index;
            // No read-modify-write: only a holder of the lock stores.
            let order = Ordering::Relaxed;
            self.weight.store(self.weight.load(order) + weight, order);
            self.len.store(self.len.load(order) + 1, Ordering::Release);
            had
        })
    }

    /// Takes the task that has had least.
    pub(crate) fn pop(&self) -> Option<Taken> {
        if self.is_empty() {
            return None;
        }
        self.calendars.with(|calendars| {
            let Position {
                level,
                index,
                start,
            } = calendars.first()?;
            calendars.time = start;
            let calendar = &mut calendars.levels[level];
            let list = &mut calendar.lists[index as usize];
            let task = list.pop()?;
            if list.is_empty() {
                calendar.occupied &= !(1 << index);
            }
            let order = Ordering::Relaxed;
            // Its share is as it was when it entered: only its poller changes that.
            let weight = task.share().weight() as usize;
            self.weight.store(self.weight.load(order) - weight, order);
            self.len.store(self.len.load(order) - 1, Ordering::Release);
            let width = 1 << bits(level);
            Some(Taken { task, start, width })
        })
    }

    /// When the list of the first task begins; `None` for an empty queue.
    pub(crate) fn first(&self) -> Option<Virtual> {
        if self.is_empty() {
            return None;
        }
        self.calendars
            .with(|calendars| calendars.first().map(|first| first.start))
    }
}

impl Drop for FairQueue {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "a queue with tasks was dropped");
    }
}
