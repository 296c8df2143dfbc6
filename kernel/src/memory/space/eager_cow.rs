//! Eager COW: copies that `fork` makes itself, before a fault asks for them (rules M1, M3).
//!
//! Parent and child go on where `fork` returns, and both write the stack there, and mostly a page of
//! the program's data. For each such page the parent would take a fault that copies three tables and
//! the page, and the child one that reuses what the parent has left. So an address space remembers
//! the first pages that faults had to copy after a fork (`first_writes.rs`). If they were written
//! since, the next fork gives the child its own copies: nothing is retired, and neither takes a
//! fault.
//!
//! ```text
//!  fork: the parent's root is write-protected, and flushed everywhere         as always
//!        the child breaks COW on the path to the page, and gets a copy        no CPU can write the page now
//!        the parent, alone again on its path, gets the writable bits back     a loosening: no flush
//! ```
//!
//! Whether a page was written since the last fork is in its dirty bit, which a fork clears in the
//! pages that it copies. A page that was not written is shared again, and forgotten.

use super::address_space::AddressSpace;
use super::first_writes::Pages;
use super::leaf::trace_copy;
use crate::arch::level::Level;
use crate::arch::paging::{Bits, Entry, Table};
use crate::memory::frame::{self, FrameRef, OutOfMemory};
use crate::memory::reclaim::retired::{Receipt, Retired, RetiredBatch};
use crate::memory::stats::counters::{Counter, count};
use core::sync::atomic::Ordering;

impl AddressSpace {
    /// The pages that a fork, which is about to share everything, shall copy: private ones of
    /// this address space alone that were written since the last one.
    ///
    /// The caller holds the mmap lock exclusively.
    pub(in crate::memory) fn likely_writes(&self) -> Pages {
        let noted = self.first_writes.pages.iter();
        let pages = noted.map(|page| page.load(Ordering::Relaxed));
        pages
            .filter(|&page| page != 0 && self.was_written(page))
            .collect()
    }

    fn was_written(&self, page: usize) -> bool {
        self.look_up(page).is_some_and(|(entry, writable)| {
            // A page of a shared mapping is its object's, too, and so never ours alone.
            let alone = entry.frame().is_some_and(frame::is_sole);
            writable && alone && entry.bits().contains(Bits::DIRTY)
        })
    }

    /// Gives `child`, which shares everything with us, copies of these pages. They are those of
    /// `likely_writes`, and no CPU can write them. Without memory they stay shared.
    ///
    /// The caller has held the mmap lock exclusively since then. The child is active nowhere.
    pub(in crate::memory) fn eager_cow(&self, child: &AddressSpace, pages: &Pages) {
        for &page in pages {
            let mut left = RetiredBatch::new();
            let copied = child.copy_from_parent(page, &mut left);
            for reference in left.drain(..) {
                // No CPU has ever walked the child's tables. And it is not the last: we hold all
                // that the child has left.
                reference.release_now(Receipt::all_forgot());
            }
            if copied.is_err() {
                return;
            }
            self.make_writable_again(page);
        }
        self.first_writes.keep(pages);
        child.first_writes.keep(pages);
    }

    fn copy_from_parent(&self, page: usize, left: &mut RetiredBatch) -> Result<(), OutOfMemory> {
        let table = self.break_cow_path(page, left)?;
        let index = Level::LEAF_TABLE.index(page);
        let entry = table.load(index);
        let Some(original) = entry.frame() else {
            return Ok(());
        };
        // SAFETY: the parent's tables hold the frame, and its mmap lock is held.
        let copy = unsafe { FrameRef::copy_of(original)? }.into_entry();
        count(Counter::CowCopies);
        trace_copy(page, original, copy);
        let bits = entry.bits().difference(Bits::DIRTY) | Bits::WRITE;
        // The caller alone can reach the child's tables.
        table.set(index, Entry::new(copy, bits));
        left.push(Retired::new(original, Level::PAGE));
        Ok(())
    }

    /// Undoes the fork's write-protection of a page that is not shared any more, with all tables
    /// on its path (rule M5: adding a right needs no flush).
    fn make_writable_again(&self, page: usize) {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        loop {
            let index = level.index(page);
            let Some(below) = table.load(index).frame() else {
                return;
            };
            debug_assert!(frame::is_sole(below), "the path to {page:#x} is shared");
            if level == Level::LEAF_TABLE {
                // No CPU has a translation with the right to write, and so none that
                // says "dirty" already.
                table.remove(index, Bits::DIRTY);
                table.add(index, Bits::WRITE);
                return;
            }
            table.add(index, Bits::WRITE);
            // SAFETY: above the lowest level entries point to tables; we hold this one, and the
            // mappings's lock.
            table = unsafe { Table::new(below) };
            level = level.below();
        }
    }
}
