//! What a task is given of its CPU, in an executor that shares time (see `scheduler::fair`).

/// The weight of an ordinary task.
pub(crate) const ORDINARY: u32 = 1024;
/// The largest weight.
const MOST: u32 = (1 << 24) - 1;

/// A bit that no weight has: the task is urgent.
const URGENT: u32 = 1 << 31;
/// An urgent task that takes turns.
const TURNS: u32 = 1 << 30;

/// What a task is given of its CPU (see [`Executor::fair`](crate::Executor::fair)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// Time by weight, beside the other tasks that have one. An ordinary task has 1024; 0 counts
    /// as 1, and anything above 2^24 - 1 as that.
    Weight(u32),
    /// The CPU before all tasks with a weight, and before all urgent ones of a lower level: the
    /// lowest is 1, the highest [`Share::HIGHEST`].
    Urgent {
        /// The level.
        level: u8,
        /// It takes turns of [`Share::TURN`] nanoseconds with others of its level, in place of
        /// keeping the CPU until it waits.
        takes_turns: bool,
    },
}

impl Share {
    /// The highest level of urgent tasks.
    pub const HIGHEST: u8 = 127;
    /// Nanoseconds of a turn of an urgent task that takes turns.
    pub const TURN: u64 = 100_000_000;
    /// That of an ordinary task.
    pub const ORDINARY: Share = Share::Weight(ORDINARY);
}

/// A [`Share`] in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShareWord(pub(crate) u32);

impl From<Share> for ShareWord {
    fn from(share: Share) -> Self {
        Self(match share {
            Share::Weight(weight) => weight.clamp(1, MOST),
            Share::Urgent { level, takes_turns } => {
                let turns = if takes_turns { TURNS } else { 0 };
                URGENT | turns | u32::from(level.clamp(1, Share::HIGHEST))
            }
        })
    }
}

impl ShareWord {
    /// Its weight; that of an ordinary task if it is urgent.
    pub(crate) fn weight(self) -> u32 {
        match self.0 & URGENT {
            0 => self.0,
            _ => ORDINARY,
        }
    }

    /// The level of an urgent task; 0 for one with a weight.
    pub(crate) fn level(self) -> u8 {
        match self.0 & URGENT {
            0 => 0,
            _ => self.0 as u8,
        }
    }

    /// Does it take turns with others of its level?
    pub(crate) fn takes_turns(self) -> bool {
        self.0 & (URGENT | TURNS) == URGENT | TURNS
    }
}
