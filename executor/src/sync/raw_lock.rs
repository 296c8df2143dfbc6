//! The lock under [`Mutex`](super::Mutex) and [`RwLock`](super::RwLock): a
//! [`Handoff`] whose word counts its holders.
//!
//! ```text
//!   bit 0  WAITERS  the list of waiters is not empty
//!   bit 1  WRITER   one holder, alone
//!   above           the number of readers
//! ```
//!
//! The order is first come, first served. Readers that stand next to each other in the list
//! get the lock together.

use super::handoff::{Handoff, Resource, Taking, WAITERS};
use crate::facade::atomic::Ordering;
use crate::facade::const_unless_loom;
use crate::task::Label;

static LABEL: Label = Label("lock");

const WRITER: usize = 1 << 1;
const READER: usize = 1 << 2;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// With other readers.
    Shared,
    /// Alone.
    Exclusive,
}

impl Mode {
    /// What is added to the word.
    fn amount(self) -> usize {
        match self {
            Self::Shared => READER,
            Self::Exclusive => WRITER,
        }
    }
}

/// The readers and the writer of a lock.
pub(super) struct Holders;

impl Resource for Holders {
    const LABEL: &'static Label = &LABEL;

    fn after(word: usize, want: usize) -> Option<usize> {
        let excluded = if want == READER { WRITER } else { !WAITERS };
        (word & excluded == 0).then(|| word + want)
    }

    fn try_take(handoff: &Handoff<Self>, want: usize) -> bool {
        if want == READER {
            return handoff.try_take(READER);
        }
        handoff
            .word
            .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    fn give_back(handoff: &Handoff<Self>, want: usize) {
        if want == READER {
            let before = handoff.word.fetch_sub(READER, Ordering::Release);
            if before == READER | WAITERS {
                handoff.hand_over(0);
            }
        } else if handoff
            .word
            .compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            handoff.hand_over(WRITER);
        }
    }
}

/// Takes a raw lock: the core of the futures of both locks.
pub(super) type Acquiring<'a> = Taking<'a, Holders>;

pub(super) struct RawLock(Handoff<Holders>);

impl RawLock {
    const_unless_loom! {
        pub(super) const fn new() -> Self {
            Self(Handoff::new(0))
        }
    }

    /// Waits for the lock.
    pub(super) fn acquire(&self, mode: Mode) -> Acquiring<'_> {
        Taking::new(&self.0, mode.amount())
    }

    /// Takes the lock if it is free and no task waits for it.
    pub(super) fn try_acquire(&self, mode: Mode) -> bool {
        Holders::try_take(&self.0, mode.amount())
    }

    /// Gives the lock up, or hands it over.
    pub(super) fn release(&self, mode: Mode) {
        Holders::give_back(&self.0, mode.amount());
    }

    /// Turns an exclusive hold into a shared one, without a moment in which
    /// the lock is free.
    pub(super) fn downgrade(&self) {
        let before = self.0.word.fetch_add(READER - WRITER, Ordering::Release);
        if before & WAITERS != 0 {
            self.0.hand_over(0);
        }
    }
}
