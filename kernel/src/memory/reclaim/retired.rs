//! References on their way out of the tables (rule M2).

use crate::arch::Frame;
use crate::arch::level::Level;
use crate::memory::stats::counters::{Counter, count};
use crate::trace::{self, Kind};
use arrayvec::ArrayVec;

/// References that one shootdown releases at the most.
pub(in crate::memory) const BATCH: usize = 64;
/// References on their way to a shootdown.
pub(in crate::memory) type RetiredBatch = ArrayVec<Retired, BATCH>;

/// A reference that was in a table entry and is not any more. Stale translations may
/// still lead to its frame.
///
/// There is no way to lose one silently: dropping it without a receipt is a defect (a
/// leak), and says so.
#[must_use = "a retired reference has to be released with the receipt of its shootdown"]
#[derive(Debug)]
pub struct Retired {
    pub(super) frame: Frame,
    pub(super) level: Level,
}

/// Proof that no CPU can use the translations which some shootdown was about.
///
/// Made by the shootdown code when all acks are in, or when the address space is active
/// nowhere else, and where no CPU can have had one; never by the passing of time.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    /// The shootdown's number in the trace, or 0.
    pub(super) shootdown: u64,
}

impl Receipt {
    /// For the shootdown code only: all CPUs have forgotten.
    pub(in crate::memory) fn all_forgot() -> Receipt {
        Receipt { shootdown: 0 }
    }

    /// For `space/untouched.rs` only: the page was in a tracked table, and was taken out while its
    /// accessed bit was clear, so no CPU has had a translation of it.
    pub(in crate::memory) fn never_cached() -> Receipt {
        Receipt { shootdown: 0 }
    }

    /// The same, by the shootdown with this number in the trace.
    pub(in crate::memory) fn all_acknowledged(shootdown: u64) -> Receipt {
        Receipt { shootdown }
    }
}

impl Retired {
    /// The reference to a page or table of `level` that the caller has just taken out of
    /// an entry.
    pub(in crate::memory) fn new(frame: Frame, level: Level) -> Retired {
        count(Counter::ReferencesRetired);
        let (number, height) = (frame.number(), level.height());
        trace::event(Kind::Retire, [number.into(), height.into()]);
        Retired { frame, level }
    }
}

impl Drop for Retired {
    fn drop(&mut self) {
        // On the host a test that panics unwinds, and the first panic is the one to read.
        #[cfg(not(target_os = "none"))]
        if std::thread::panicking() {
            return;
        }
        panic!("M2: a retired reference to {:?} was lost", self.frame);
    }
}
