//! Flushing after a change of entries (rules M2, M5, M7).
//!
//! A caller that has changed entries calls [`ActiveCpus::flush_and_release`]. It flushes this CPU.
//! If the address space is active on no other CPU that is all: the references that were taken out
//! of the tables are released immediately. Otherwise a
//! [shootdown](crate::memory::tlb::shootdown) takes them and is sent to the other CPUs.
//!
//! A shootdown needs a slot, and a reference that has been taken out of an entry cannot wait for
//! one, because the task that has it may be killed. So [`ready`](crate::memory::tlb::shootdown::ready)
//! makes sure of a slot before anything is changed.

use super::active_cpus::ActiveCpus;
use super::asid::{self, Change};
use super::cpu_set::CpuSet;
use super::range::FlushRange;
use super::shootdown::{Ready, Ticket};
use crate::arch;
use crate::memory::planted::{Planted, planted, planted_in_call};
use crate::memory::reclaim::retired::{Receipt, RetiredBatch};
use crate::memory::stats::counters::{Counter, count};

impl ActiveCpus {
    /// Flushes after a change of entries in the range. The references are released as soon as no
    /// CPU can use them. Returns the shootdown to wait for, if there is one.
    pub(in crate::memory) fn flush_and_release(
        &self,
        ready: Ready,
        range: FlushRange,
        retired: &mut RetiredBatch,
    ) -> Option<Ticket> {
        if retired.is_empty() && planted_in_call(Planted::NotFlushed) {
            return None;
        }
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

    /// Flushes this CPU, and returns the other CPUs that have to. If there are none, no CPU has the
    /// old translations any more.
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
