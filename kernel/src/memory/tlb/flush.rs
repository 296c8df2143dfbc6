//! Forgetting translations after a change of entries (rules M2, M5, M7).
//!
//! Whoever has changed an entry calls [`ActiveCpus::flush_and_release`]. It flushes this CPU,
//! and when the address space is active nowhere else that is all: the references that
//! were taken out of the tables are released at once. Otherwise a
//! [shootdown](crate::memory::tlb::shootdown) takes them, and is sent to the other CPUs.
//!
//! A shootdown needs a place, and a reference that has been taken out of an entry cannot
//! wait for one: who holds it may be killed. So the place is made sure of first, by
//! [`ready`](crate::memory::tlb::shootdown::ready), before anything is changed.

use crate::arch;
use crate::arch::FRAME_SIZE;
use crate::arch::level::page_of;
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::{Receipt, Retired};
use crate::memory::stats::counters::{Counter, count};
use crate::memory::tlb::active_cpus::{ActiveCpus, CpuSet};
use crate::memory::tlb::asid::{self, Change};
use crate::memory::tlb::shootdown::{Ready, Ticket};
use arrayvec::ArrayVec;

/// References that one shootdown releases at the most.
pub(in crate::memory) const BATCH: usize = 64;
/// References on their way to a shootdown.
pub(in crate::memory) type RetiredBatch = ArrayVec<Retired, BATCH>;

/// From this many pages on everything is flushed at once (rule M7). An INVLPG costs about
/// as much as a few misses do; Linux uses 33 too (tlb_single_page_flush_ceiling).
const FULL_FLUSH: usize = 33;

/// The addresses whose translations have changed; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::memory) struct FlushRange {
    pub(in crate::memory) start: usize,
    pub(in crate::memory) end: usize,
}

impl FlushRange {
    /// All that a user program can address.
    pub(in crate::memory) const ALL: FlushRange = FlushRange {
        start: 0,
        end: usize::MAX,
    };

    /// Nothing: who is asked to forget it has only been asked.
    pub(in crate::memory) const NONE: FlushRange = FlushRange { start: 0, end: 0 };

    /// The page at this address.
    pub(in crate::memory) fn page(address: usize) -> FlushRange {
        let start = page_of(address);
        FlushRange {
            start,
            end: start + FRAME_SIZE,
        }
    }

    /// How many pages it has.
    pub(in crate::memory) fn pages(self) -> usize {
        (self.end - self.start) / FRAME_SIZE
    }

    pub(in crate::memory) fn flush_here(self) {
        if self.pages() >= FULL_FLUSH {
            arch::flush_all();
        } else {
            // Each INVLPG also drops all entries of the paging-structure caches (Intel SDM vol. 3,
            // 4.10.4.1), so this is enough for tables that were replaced, too.
            (self.start..self.end)
                .step_by(FRAME_SIZE)
                .for_each(arch::flush_page);
        }
    }
}

impl ActiveCpus {
    /// Flushes after a change of entries in the range, and releases the references as soon
    /// as nobody can use them. Returns what there is to wait for, if anything is.
    pub(in crate::memory) fn flush_and_release(
        &self,
        ready: Ready,
        range: FlushRange,
        retired: &mut RetiredBatch,
    ) -> Option<Ticket> {
        let (change, others) = self.flush(range);
        if others.is_empty() {
            release_all(retired);
            return None;
        }
        if planted(Planted::DroppedBeforeAcks) {
            release_all(retired);
        }
        Some(ready.send(others, change, retired))
    }

    /// Flushes this CPU, and says who else has to. If nobody has, no CPU has the old
    /// translations any more.
    fn flush(&self, range: FlushRange) -> (Change, CpuSet) {
        count(Counter::ShootdownsAsked);
        let (change, active) = self.advance(range);
        asid::here().forget(change);
        let others = active.without(arch::cpu());
        if others.is_empty() {
            count(Counter::ShootdownsAvoided);
        }
        (change, others)
    }
}

/// Releases references of which `flush` has said that no CPU can use them.
fn release_all(retired: &mut RetiredBatch) {
    if !retired.is_empty() {
        let since = arch::clock();
        retired
            .drain(..)
            .for_each(|retired| retired.release(Receipt::all_forgot(), since));
    }
}
