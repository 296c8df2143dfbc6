//! Where a race stands: what the players tell each other, on memory that is never taken.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

use user::sys::memory::PAGE;

use crate::trial::Meeting;

/// Where the pages are, and where they go: far from everything else, at the start of a leaf table.
pub const HERE: usize = 0x2000_0000_0000;
pub const THERE: usize = 0x2100_0000_0000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Giving,
    Given,
    Taking,
    Taken,
}

/// A phase of a round, as one word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub u64);

impl Moment {
    pub fn new(round: u64, phase: Phase) -> Self {
        Self(round << 2 | phase as u64)
    }

    pub fn round(self) -> u64 {
        self.0 >> 2
    }

    pub fn phase(self) -> Phase {
        [Phase::Giving, Phase::Given, Phase::Taking, Phase::Taken][(self.0 & 3) as usize]
    }
}

/// The most accessors.
pub const ACCESSORS: usize = 64;

pub struct Board {
    pub moment: AtomicU64,
    /// The last moment in which each accessor had an access from its beginning to its end.
    pub accessed: [AtomicU64; ACCESSORS],
    /// How many pages there are in this round.
    pub size: AtomicU64,
    /// The last round in which the second thread has taken.
    pub taken_twice: AtomicU64,
    pub ready: Meeting,
}

impl Board {
    pub fn new() -> Self {
        Self {
            moment: AtomicU64::new(0),
            accessed: [const { AtomicU64::new(0) }; ACCESSORS],
            size: AtomicU64::new(1),
            taken_twice: AtomicU64::new(0),
            ready: Meeting::new(),
        }
    }

    pub fn now(&self) -> Moment {
        Moment(self.moment.load(Acquire))
    }

    pub fn size(&self) -> usize {
        self.size.load(Relaxed) as usize
    }

    /// The word that is accessed.
    pub fn address(&self) -> usize {
        HERE + self.size() / 2 * PAGE + 64
    }

    /// The call has returned: in the one thread, or the first of the two.
    pub fn taken(&self, round: u64) {
        let (taking, taken) = (Phase::Taking, Phase::Taken);
        let (from, to) = (Moment::new(round, taking), Moment::new(round, taken));
        let _ = self.moment.compare_exchange(from.0, to.0, SeqCst, SeqCst);
    }
}

/// What accessors find and leave: the writer, and the round.
pub fn value(round: u64, writer: usize) -> u64 {
    round << 8 | writer as u64
}
