//! Moving the entries of a range to another place (rules M1, M2, M5).
//!
//! Entries move, with the reference that each holds. No page is copied, and a page that is shared by
//! copy-on-write stays so, without the right to write. Where both places are aligned alike, whole
//! tables move.
//!
//! ```text
//!   both paths made private, tables made at the new place         (can fail: nothing has moved)
//!   entries taken out of the old place and put into the new one   (cannot fail)
//!   VMAs follow, other CPUs asked to flush the old place
//!   ··· await ···
//! ```
//!
//! A CPU that has not flushed the old place uses the same frames by it as others do by the new one,
//! so nothing is lost or torn meanwhile. But no such frame may be dropped, and no copy may take its
//! place, before that CPU has acknowledged (CVE-2018-18281: a page freed at the new place was still
//! written by way of the old one). Either needs the mmap lock, which is not released before.

use super::address_space::AddressSpace;
use super::mmap_lock::Mappings;
use super::untouched::is_untouched;
use crate::arch::level::{LEAF_REACH, Level};
use crate::arch::paging::Table;
use crate::memory::frame::OutOfMemory;
use crate::memory::reclaim::retired::Retired;
use crate::memory::reclaim::retired::{BATCH, RetiredBatch};
use crate::memory::table::occupancy;
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown;

/// Entries that are moved between two waits, about: a leaf table has 512.
const ENTRIES_AT_ONCE: usize = 16 * 512;

/// Two ranges of the same length: the one that moves, and where it goes.
#[derive(Clone, Copy)]
pub(in crate::memory) struct Move {
    pub(in crate::memory) from: usize,
    pub(in crate::memory) to: usize,
    pub(in crate::memory) length: usize,
}

impl Move {
    /// The rest of the move when so many bytes have been moved.
    pub(in crate::memory) fn after(self, done: usize) -> Move {
        Move {
            from: self.from + done,
            to: self.to + done,
            length: self.length - done,
        }
    }

    /// The highest level whose entries move whole at the beginning of this move.
    fn level(self) -> Level {
        let fits = |level: &Level| {
            let size = level.entry_size();
            (self.from | self.to).is_multiple_of(size) && self.length >= size
        };
        let levels = Level::TABLES.into_iter().chain([Level::ROOT]);
        levels.rev().find(fits).unwrap_or(Level::LEAF_TABLE)
    }
}

impl AddressSpace {
    /// Makes all tables private that entries are taken out of or put into, and makes those that are
    /// missing at the new place.
    pub(in crate::memory) async fn prepare_move(
        &self,
        mappings: &mut Mappings,
        route: Move,
    ) -> Result<(), OutOfMemory> {
        // The range matters only for entries of pages, and none changes here.
        let range = FlushRange::page(route.from);
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        let mut opened = Ok(());
        let mut done = 0;
        while opened.is_ok()
            && let Some((step, level)) = self.next_step(route, done)
        {
            opened = self
                .break_cow_down_to(level, step.from, &mut retired)
                .and_then(|_| self.break_cow_down_to(level, step.to, &mut retired))
                .map(|_| ());
            done = route.length - step.after(run_of(step, level)).length;
            if retired.len() > BATCH - 8 {
                self.forget(mappings, ready, range, &mut retired);
                mappings.finish_outstanding().await;
                ready = shootdown::ready().await;
            }
            // Not with references in our hands, which may be given up in a wait.
            if retired.is_empty() {
                executor::spend_budget().await;
                ready = shootdown::ready().await;
            }
        }
        self.forget(mappings, ready, range, &mut retired);
        mappings.finish_outstanding().await;
        opened
    }

    /// Moves entries from the beginning of the move on; all tables for that are private. Returns
    /// how many bytes it has dealt with, and whether there was any entry of which a CPU may have a
    /// translation.
    pub(in crate::memory) fn move_some(
        &self,
        route: Move,
        retired: &mut RetiredBatch,
    ) -> (usize, bool) {
        let (mut done, mut looked_at, mut any) = (0, 0, false);
        while let Some((step, level)) = self.next_step(route, done) {
            if looked_at >= ENTRIES_AT_ONCE || retired.len() == BATCH {
                return (route.length - step.length, any);
            }
            let run = run_of(step, level);
            let (old, new) = (
                self.own_table(level, step.from),
                self.own_table(level, step.to),
            );
            if let (Some(old), Some(new)) = (old, new) {
                let size = level.entry_size();
                looked_at += run / size;
                let pages = level == Level::LEAF_TABLE;
                let tracked = pages && self.tracked_table(step.from).is_some();
                for at in (0..run).step_by(size) {
                    let entry = old.take(level.index(step.from + at));
                    if !entry.is_present() {
                        continue;
                    }
                    any |= !is_untouched(tracked, entry);
                    // Rule M1: the reference moves with its entry. Nothing is mapped at the new
                    // place, but a table with nothing in it may be there.
                    let empty = occupancy::put(new, level.index(step.to + at), entry);
                    if let Some(table) = empty.frame() {
                        any = true;
                        retired.push(Retired::new(table, level.below()));
                    }
                }
            }
            done = route.length - step.after(run).length;
        }
        (route.length, any)
    }

    /// What to do next after `done` bytes: the rest of the move from the first entry at the old
    /// place on, and the level of the table whose entries are to be moved there.
    fn next_step(&self, route: Move, done: usize) -> Option<(Move, Level)> {
        let mut rest = route.after(done);
        'next: while rest.length != 0 {
            let last = rest.level();
            let mut table = self.root_table();
            let mut level = Level::ROOT;
            while level != last {
                let Some(frame) = table.load(level.index(rest.from)).frame() else {
                    let size = level.entry_size();
                    let hole = size - rest.from % size;
                    rest = rest.after(hole.min(rest.length));
                    continue 'next;
                };
                // SAFETY: above the lowest level entries point to tables; we hold the mmap lock
                // exclusively, so they stay.
                table = unsafe { Table::new(frame) };
                level = level.below();
            }
            return Some((rest, last));
        }
        None
    }

    /// The table of that level on the path to the address, which `prepare_move` has made private.
    fn own_table(&self, last: Level, address: usize) -> Option<Table> {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        while level != last {
            let entry = table.load(level.index(address));
            debug_assert!(entry.is_writable(), "a shared table on the path");
            // SAFETY: as in `next_step`.
            table = unsafe { Table::new(entry.frame()?) };
            level = level.below();
        }
        Some(table)
    }
}

/// How many bytes from the beginning of the move on lie in one table of that level at either
/// end, and move by its entries. Above the lowest level one entry at a time.
fn run_of(route: Move, level: Level) -> usize {
    if level != Level::LEAF_TABLE {
        return level.entry_size();
    }
    let left = |address: usize| LEAF_REACH - address % LEAF_REACH;
    left(route.from).min(left(route.to)).min(route.length)
}
