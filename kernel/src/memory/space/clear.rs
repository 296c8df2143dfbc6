//! Taking pages, and the VMAs that they belong to, out of a range (rules M2, M5, M10).
//!
//! First comes everything that can fail: nodes of the VMA map are reserved, and the paths to both
//! ends of the range are made private.
//! The change itself cannot fail. Pages that no CPU has used go without a shootdown (`untouched.rs`).

use super::address_space::AddressSpace;
use super::mmap_lock::Mappings;
use super::untouched::{drop_untouched, is_tracked, is_untouched};
use crate::arch::FRAME_SIZE;
use crate::arch::level::Level;
use crate::arch::paging::Table;
use crate::memory::frame::OutOfMemory;
use crate::memory::reclaim::retired::{BATCH, Retired, RetiredBatch};
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown::{self, Ready};

/// What becomes of the VMAs whose pages are taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::memory) enum Vmas {
    /// They stay, and begin anew.
    Keep,
    /// They go as well.
    Remove,
}

/// Vmas that are taken out in one go, at the most.
const VMAS_AT_ONCE: usize = 64;

impl AddressSpace {
    /// Takes all pages in the range out of the tables. When it returns no CPU can use them
    /// any more. Fails before it has changed anything.
    pub(in crate::memory) async fn clear(
        &self,
        mappings: &mut Mappings,
        start: usize,
        end: usize,
        areas: Vmas,
    ) -> Result<(), OutOfMemory> {
        if mappings.vmas.is_free(start, end) {
            return Ok(());
        }
        let mut nodes = match areas {
            Vmas::Remove => Some(mappings.vmas.reserve_removal(start, end)?),
            Vmas::Keep => None,
        };
        let range = FlushRange { start, end };
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        // Only at its two ends the range can cover a table in part; after this, clearing cannot
        // fail.
        let opened = self.open_edges(start, end, &mut retired);
        if opened.is_err() {
            self.forget(mappings, ready, range, &mut retired);
            mappings.finish_outstanding().await;
            return opened;
        }
        let mut at = start;
        loop {
            let done = self.clear_some(at, end, &mut retired);
            self.forget(mappings, ready, range, &mut retired);
            // The VMAs go with their pages: a thread that is killed in a wait leaves no page without
            // a VMA to the other threads of this memory.
            while let Some(nodes) = &mut nodes
                && at < done
            {
                at = mappings.vmas.remove_some(at, done, VMAS_AT_ONCE, nodes);
                if at < done {
                    executor::spend_budget().await;
                }
            }
            at = done;
            mappings.finish_outstanding().await;
            if at == end {
                break;
            }
            ready = shootdown::ready().await;
        }
        if let Some(nodes) = nodes {
            mappings.vmas.give_back(nodes);
        }
        Ok(())
    }

    /// Makes all CPUs forget the range and releases `retired` then. `mappings` keeps the
    /// shootdown to wait for. To be called before any wait.
    pub(in crate::memory) fn forget(
        &self,
        mappings: &mut Mappings,
        ready: Ready,
        range: FlushRange,
        retired: &mut RetiredBatch,
    ) {
        if retired.is_empty() {
            return;
        }
        let shootdown = self.active_cpus.flush_and_release(ready, range, retired);
        mappings.expect(shootdown);
    }

    /// Makes private the tables on the way to the first and to the last page, as far as there
    /// are any. These are all tables that the range can cover in part.
    fn open_edges(
        &self,
        start: usize,
        end: usize,
        retired: &mut RetiredBatch,
    ) -> Result<(), OutOfMemory> {
        for address in [start, end - FRAME_SIZE] {
            self.break_cow_existing(address, retired)?;
        }
        Ok(())
    }

    /// Takes entries out of the tables from `start` on, until `retired` is full or `end`
    /// is reached. Returns how far it came. Whole tables inside the range go as they
    /// are, shared or not. Pages that no CPU has used are dropped, without a flush (`untouched`): at the
    /// two ends of the range only, so they are not many.
    fn clear_some(&self, start: usize, end: usize, retired: &mut RetiredBatch) -> usize {
        let mut at = start;
        'next: while at < end && retired.len() < BATCH {
            let mut table = self.root_table();
            let mut level = Level::ROOT;
            let mut tracked = false;
            loop {
                let size = level.entry_size();
                let index = level.index(at);
                let entry = table.load(index);
                let covered = at.is_multiple_of(size) && end - at >= size;
                let Some(frame) = entry.frame() else {
                    at = (at / size + 1) * size;
                    continue 'next;
                };
                if covered {
                    let taken = table.take(index);
                    if is_untouched(tracked, taken) && level == Level::LEAF_TABLE {
                        drop_untouched(frame);
                    } else if taken.is_present() {
                        retired.push(Retired::new(frame, level.below()));
                    }
                    at += size;
                    continue 'next;
                }
                // Covered in part: `open_edges` has made it ours.
                debug_assert!(entry.is_writable() || level == Level::LEAF_TABLE);
                // SAFETY: above the lowest level entries point to tables, and at the lowest every
                // entry is covered; we hold the mmap lock exclusively, so it stays.
                table = unsafe { Table::new(frame) };
                level = level.below();
                tracked = is_tracked(entry);
            }
        }
        at.min(end)
    }
}
