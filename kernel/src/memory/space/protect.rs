//! mprotect: rights that go are gone everywhere when it returns (rule M5). Where no CPU has used the
//! pages (`untouched.rs`) they are gone at once, and no other CPU is asked.

use super::address_space::AddressSpace;
use super::error::MapError;
use super::leaf::leaf_bits;
use super::mmap_lock::Mappings;
use super::untouched::is_untouched;
use crate::arch::FRAME_SIZE;
use crate::arch::level::{LEAF_REACH, Level};
use crate::arch::paging::Bits;
use crate::memory::reclaim::retired::{BATCH, RetiredBatch};
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown;
use crate::memory::vma::map::{Totals, checked_end};
use crate::memory::vma::vm_area::{Protection, Vma, VmaFlags};

/// Leaf tables that are changed between two waits, at the most.
const TABLES_AT_ONCE: usize = 64;
/// Vmas, likewise.
const VMAS_AT_ONCE: usize = 256;

/// What of its range a change of rights concerns.
enum Reach {
    /// The range.
    Range,
    /// Also what lies below it in the same VMA, which has to be one that grows.
    DownToStart,
}

impl AddressSpace {
    /// Changes what a program may do with a range. Where it meets a gap, or a VMA that may never
    /// have such a right, it fails, as on Linux: what lies before that has been changed.
    pub async fn protect(
        &self,
        start: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MapError> {
        self.protect_from(start, length, protection, Reach::Range)
            .await
    }

    /// The same for all of a VMA that grows, from its start on (`PROT_GROWSDOWN`).
    pub async fn protect_grown(
        &self,
        start: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MapError> {
        self.protect_from(start, length, protection, Reach::DownToStart)
            .await
    }

    async fn protect_from(
        &self,
        start: usize,
        length: usize,
        protection: Protection,
        reach: Reach,
    ) -> Result<(), MapError> {
        let end = checked_end(start, length).ok_or(MapError::BadRange)?;
        let mut mappings = self.mmap_lock.write().await;
        let start = match reach {
            Reach::Range => start,
            Reach::DownToStart => {
                let vma = mappings.vmas.find(start).ok_or(MapError::NotMapped)?;
                if !vma.flags.contains(VmaFlags::GROWS_DOWN) {
                    return Err(MapError::BadKind);
                }
                vma.start
            }
        };
        self.protect_locked(&mut mappings, start, end, protection)
            .await
    }

    async fn protect_locked(
        &self,
        mappings: &mut Mappings,
        start: usize,
        end: usize,
        protection: Protection,
    ) -> Result<(), MapError> {
        let (end, outcome) = how_far(mappings, start, end, protection);
        if start == end {
            return outcome;
        }
        let change = |vma: &mut Vma| vma.protection = protection;
        mappings.vmas.may_change(start, end, change)?;
        if protection.contains(Protection::WRITE) && !may_become_data(mappings, start, end) {
            return Err(MapError::OutOfMemory);
        }
        let range = FlushRange { start, end };
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        let mut opened = Ok(());
        let mut at = start;
        while opened.is_ok()
            && let Some((from, _)) = self.next_leaf_table(at, end)
        {
            opened = self.break_cow_path(from, &mut retired).map(|_| ());
            at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
            if retired.len() > BATCH - 4 {
                self.forget(mappings, ready, range, &mut retired);
                mappings.finish_outstanding().await;
                executor::spend_budget().await;
                ready = shootdown::ready().await;
            }
        }
        self.forget(mappings, ready, range, &mut retired);
        mappings.finish_outstanding().await;
        opened?;
        let mut at = start;
        while at < end {
            let ready = shootdown::ready().await;
            let done = self.end_of_step(mappings, at, end);
            // What fails for lack of memory has changed nothing, or, as on Linux, the areas before
            // some one of many.
            let mut nodes = mappings.vmas.reserve_change(at, done)?;
            let lost = self.change_rights(at, done, protection);
            if lost {
                let range = FlushRange {
                    start: at,
                    end: done,
                };
                let none = &mut RetiredBatch::new();
                mappings.expect(self.active_cpus.flush_and_release(ready, range, none));
            }
            // The VMAs change with their pages: a thread that is killed in the wait leaves no page
            // with more rights than its VMA has.
            mappings.vmas.change(at, done, change, &mut nodes);
            // Rule M5: a right that goes is gone everywhere when the call returns.
            mappings.finish_outstanding().await;
            executor::spend_budget().await;
            at = done;
        }
        outcome
    }

    /// Up to where a range is changed without a wait: some VMAs, and some tables.
    fn end_of_step(&self, mappings: &Mappings, start: usize, end: usize) -> usize {
        let end = mappings.vmas.end_of_nth(VMAS_AT_ONCE, start, end);
        // Not more tables than that, however they lie.
        if end - start <= (TABLES_AT_ONCE - 1) * LEAF_REACH {
            return end;
        }
        let mut at = start;
        for _ in 0..TABLES_AT_ONCE {
            let Some((from, _)) = self.next_leaf_table(at, end) else {
                return end;
            };
            at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
        }
        at.min(end)
    }

    /// Sets the rights of leaf entries in the range, whose tables are private. The right to
    /// write is only taken; a page that may be written gets it by a fault. Returns whether any
    /// entry lost a right that a CPU may have cached.
    fn change_rights(&self, start: usize, end: usize, protection: Protection) -> bool {
        let wanted = leaf_bits(protection);
        let mut lost = false;
        let mut at = start;
        while let Some((from, table)) = self.next_leaf_table(at, end) {
            at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
            let tracked = self.tracked_table(from).is_some();
            let first = Level::LEAF_TABLE.index(from);
            let last = Level::LEAF_TABLE.index(at.min(end) - FRAME_SIZE);
            for index in first..=last {
                if !table.load(index).is_present() {
                    continue;
                }
                let mut gone = Bits::USER.union(Bits::NO_EXECUTE).difference(wanted);
                gone.set(Bits::WRITE, !protection.contains(Protection::WRITE));
                let before = table.remove(index, gone);
                // Here, and not before: `NO_EXECUTE` takes a right too.
                let last = table.add(index, wanted);
                let had = before.bits();
                let loses = had.intersects(gone.intersection(Bits::USER | Bits::WRITE))
                    || (!had.contains(Bits::NO_EXECUTE) && wanted.contains(Bits::NO_EXECUTE));
                lost |= loses && !is_untouched(tracked, last);
            }
        }
        lost
    }
}

/// Up to where the rights of a range may be changed, and what is in the way there.
fn how_far(
    mappings: &Mappings,
    start: usize,
    end: usize,
    protection: Protection,
) -> (usize, Result<(), MapError>) {
    let reached = mappings.vmas.allowed_until(start, end, protection);
    if reached == end {
        return (end, Ok(()));
    }
    let in_the_way = match mappings.vmas.find(reached) {
        None => MapError::NotMapped,
        Some(_) => MapError::NotAllowed,
    };
    (reached, Err(in_the_way))
}

/// Whether all of the range may count as data, where it can (`RLIMIT_DATA`).
fn may_become_data(mappings: &Mappings, start: usize, end: usize) -> bool {
    let at_most = Totals {
        data: (end - start) / FRAME_SIZE,
        ..Totals::default()
    };
    if mappings.limits.allow(mappings.vmas.totals(), at_most) {
        return true;
    }
    let as_data = |vma: &Vma| {
        let part = vma.part(vma.start.max(start), vma.end.min(end));
        let written = Vma {
            protection: Protection::WRITE,
            ..part
        };
        Totals::of(&written)
    };
    let before = mappings.vmas.totals_within(start, end);
    let after = mappings.vmas.overlapping(start, end).map(as_data);
    let after = after.fold(Totals::default(), Totals::plus);
    let there = mappings.vmas.totals().minus(before);
    // What is there already stays, even beyond a limit that has come later.
    after.data <= before.data || mappings.limits.allow(there, after)
}
