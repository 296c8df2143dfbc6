//! The hierarchical timing wheel: insert and cancel in constant time.
//!
//! Time is cut into ticks of [`TICK_NS`]. Level 0 has a slot per tick for the
//! next 64 ticks, level 1 a slot per 64 ticks, and so on; nine levels cover all
//! of 64-bit time. A timer lies in the level of the highest digit (base 64) in
//! which its tick differs from the wheel's time, in the slot of that digit. So
//! all timers of a level come before all of the next one, and all slots in use
//! come after the wheel's own position: the next event is the first bit of the
//! lowest level in use. When the wheel's time reaches a slot of a higher
//! level, its timers move down.
//!
//! The wheel is not shared: the lock around it is in [`Timers`](super::timers::Timers).

use super::entry::{Position, TimerEntry};
use crate::list::List;
use alloc::boxed::Box;
use core::ptr::NonNull;

const TICK_SHIFT: u32 = 14;
/// The wheel's resolution: a timer goes off at most this much late, and never
/// early.
pub(crate) const TICK_NS: u64 = 1 << TICK_SHIFT;

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// 50 bits of ticks, six bits a level.
const LEVELS: usize = (64 - TICK_SHIFT).div_ceil(DIGIT_BITS) as usize;

/// The first tick at which the deadline is over.
pub(super) fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(TICK_NS)
}

struct Level {
    /// One bit per slot that is not empty.
    occupied: u64,
    slots: [List<TimerEntry>; SLOTS],
}

pub(super) struct Wheel {
    /// All timers up to and including this tick have gone off, or are in the slot `opened`.
    elapsed: u64,
    levels: Box<[Level]>,
    /// The slot that the wheel's time has reached, if it is not empty yet. Each of its timers
    /// goes off or moves down, one step at a time, because the lock is held during a step
    /// (rule E1). No timer is put into it: one whose tick has this digit differs from the
    /// wheel's time in a lower digit, or is due.
    opened: Option<Position>,
}

/// The deadline has passed already: nothing was inserted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due;

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            elapsed: 0,
            levels: (0..LEVELS)
                .map(|_| Level {
                    occupied: 0,
                    slots: core::array::from_fn(|_| List::new()),
                })
                .collect(),
            opened: None,
        }
    }

    /// Puts a timer in, to go off at its deadline.
    ///
    /// # Safety
    ///
    /// `entry` is in no wheel, and stays where it is and alive until it is
    /// removed or goes off.
    pub(super) unsafe fn insert(&mut self, entry: NonNull<TimerEntry>) -> Result<(), Due> {
        // SAFETY: the entry is alive, and its deadline stays as it is while it is in here.
        let tick = tick_of(unsafe { entry.as_ref() }.deadline());
        if tick <= self.elapsed {
            return Err(Due);
        }
        // The lowest digit counts as different even if it is not: level 0.
        let differs = (self.elapsed ^ tick) | (SLOTS as u64 - 1);
        let level = (63 - differs.leading_zeros()) / DIGIT_BITS;
        let slot = (tick >> (level * DIGIT_BITS)) as usize % SLOTS;
        let position = Position {
            level: level as u8,
            slot: slot as u8,
        };
        // SAFETY: the entry is alive, and the wheel's lock is held.
        unsafe { TimerEntry::set_position(entry, position) };
        if let Some(level) = self.levels.get_mut(level as usize) {
            level.occupied |= 1 << slot;
            if let Some(list) = level.slots.get_mut(slot) {
                // SAFETY: by the contract.
                unsafe { list.push_back(entry) };
            }
        }
        Ok(())
    }

    /// Takes a timer out.
    ///
    /// # Safety
    ///
    /// `entry` is in this wheel, at `position`.
    pub(super) unsafe fn remove(&mut self, entry: NonNull<TimerEntry>, position: Position) {
        let Position { level, slot } = position;
        let Some(level) = self.levels.get_mut(level as usize) else {
            return;
        };
        let Some(list) = level.slots.get_mut(slot as usize) else {
            return;
        };
        // SAFETY: by the contract it is in that list.
        unsafe { list.remove(entry) };
        if list.is_empty() {
            level.occupied &= !(1 << slot);
            if self.opened == Some(position) {
                self.opened = None;
            }
        }
    }

    /// Takes the first timer out of a slot, which is not empty.
    fn pop(&mut self, position: Position) -> Option<NonNull<TimerEntry>> {
        let level = self.levels.get_mut(usize::from(position.level))?;
        let entry = level.slots.get_mut(usize::from(position.slot))?.front()?;
        // SAFETY: it is in that list of this wheel.
        unsafe { self.remove(entry, position) };
        Some(entry)
    }

    /// The next slot in use, and its first tick.
    fn next_slot(&self) -> Option<(Position, u64)> {
        let (number, level) = self
            .levels
            .iter()
            .enumerate()
            .find(|(_, level)| level.occupied != 0)?;
        let slot = level.occupied.trailing_zeros();
        let shift = number as u32 * DIGIT_BITS;
        // The digits above this level's are those of the wheel's time.
        let above = match (shift + DIGIT_BITS).min(64) {
            64 => 0,
            bits => self.elapsed >> bits << bits,
        };
        let position = Position {
            level: number as u8,
            slot: slot as u8,
        };
        Some((position, above | (u64::from(slot) << shift)))
    }

    /// When the wheel wants to be turned next, in nanoseconds. For a timer far
    /// away that is when it moves down a level, which is before it is due.
    pub(super) fn next_event(&self) -> Option<u64> {
        if self.opened.is_some() {
            return Some(self.elapsed << TICK_SHIFT);
        }
        self.next_slot().map(|(_, tick)| tick << TICK_SHIFT)
    }

    /// Turns the wheel to `now` (nanoseconds) by one step: a timer that goes
    /// off, or one that moves down. `None` when there is nothing more to do.
    pub(super) fn turn(&mut self, now: u64) -> Option<Turned> {
        let now = now >> TICK_SHIFT;
        loop {
            if let Some(position) = self.opened {
                let entry = self.pop(position)?;
                // SAFETY: it was in this wheel, so it is alive, and has just
                // been taken out; the lock is held.
                return Some(match unsafe { self.insert(entry) } {
                    Err(Due) => Turned::Fired(entry),
                    Ok(()) => Turned::MovedDown,
                });
            }
            match self.next_slot() {
                Some((position, tick)) if tick <= now => {
                    self.elapsed = tick;
                    self.opened = Some(position);
                }
                _ => {
                    self.elapsed = self.elapsed.max(now);
                    return None;
                }
            }
        }
    }
}

/// One step of the wheel.
#[must_use]
#[derive(Debug)]
pub(super) enum Turned {
    /// This timer has gone off and is out of the wheel.
    Fired(NonNull<TimerEntry>),
    /// A timer moved to a lower level.
    MovedDown,
}
