//! An address space: a tree of tables, what may be mapped where, and the CPUs that are in
//! it.
//!
//! **The tree.** The root belongs to the address space alone. All tables below, like
//! pages, are frames with a reference count, and may be shared by many address spaces.
//! The invariant:
//!
//! > An entry with the writable bit set, in a table that only we can reach, points to a
//! > table or private page that only we hold.
//! > An entry without it may point to something shared.
//!
//! The processor ANDs the writable bits of all levels, so one cleared bit in the root
//! protects everything below it. That is all that [`fork`](AddressSpace::fork) does.
//! Whoever wants to *change* something first un-shares the path to it (`unshare.rs`).
//!
//! **The lock.** `layout` guards what may be mapped where (`layout.rs`). Faults hold it
//! shared, and change entries by compare-and-exchange; all that takes rights away or
//! shares holds it alone, across its wait for other CPUs.

use super::active::{Activity, is_current};
use super::ahead::FirstWrites;
use super::count::{Dropped, TooManyHolders};
use super::counters::{Counter, count};
use super::flush::{Range, RetiredBatch};
use super::frames::{self, FrameRef, OutOfMemory, Purpose};
use super::layout::{Layout, LayoutLock};
use super::limits::Limits;
use super::planted::{Planted, planted};
use super::reclaim::{Receipt, Retired};
use super::shootdown;
use super::sparse;
use super::vma::VmaMap;
use super::{FRAME_SIZE, Frame};
use crate::arch;
use crate::arch::level::{LEAF_REACH, Level};
use crate::arch::paging::{Bits, Entry, Table};
use alloc::sync::Arc;

/// An address space.
pub struct AddressSpace {
    /// This holds the one reference to it.
    root: Frame,
    pub(super) activity: Activity,
    pub(super) layout: LayoutLock,
    pub(super) first_writes: FirstWrites,
}

impl AddressSpace {
    /// An empty one, with the usual limits.
    pub fn new() -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::limited(Limits::USUAL)
    }

    /// An empty one with these limits.
    pub fn limited(limits: Limits) -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::with_layout(Layout::empty(limits))
    }

    fn with_layout(layout: Layout) -> Result<Arc<AddressSpace>, OutOfMemory> {
        let root = FrameRef::zeroed(Purpose::User)?;
        arch::new_root(root.frame());
        Ok(Arc::new(AddressSpace {
            root: root.into_entry(),
            activity: Activity::new(),
            layout: LayoutLock::new(layout),
            first_writes: FirstWrites::default(),
        }))
    }

    /// The frame of the root.
    pub(super) fn root(&self) -> Frame {
        self.root
    }

    /// The root as a table.
    pub(super) fn root_table(&self) -> Table {
        // SAFETY: the root is a table from `with_layout` on, and lives as long as `self`.
        unsafe { Table::new(self.root) }
    }

    /// Copies the address space: the root's user entries, and one reference to each table
    /// that they point to (rule M3); and a page or two that are sure to be written next (`ahead.rs`).
    ///
    /// When this returns no CPU can write, through whatever stale translation, what is
    /// shared now. Until then the layout's lock keeps write faults of other threads
    /// from copying a frame that is still being written.
    pub async fn fork(&self) -> Result<Arc<AddressSpace>, OutOfMemory> {
        frames::admit()?;
        let mut layout = self.layout.write().await;
        let child = AddressSpace::with_layout(layout.for_child())?;
        let ready = shootdown::ready().await;
        let likely = self.likely_writes();
        let shared = self.share_with(&child);
        // Even if it failed half-way some entries have lost their writable bit, so that the flush
        // is due.
        if !planted(Planted::ForkWithoutFlush) {
            let none = &mut RetiredBatch::new();
            let shootdown = self.activity.flush_and_release(ready, Range::ALL, none);
            layout.expect(shootdown.filter(|_| !planted(Planted::ForkWithoutWaiting)));
        }
        if planted(Planted::CopiedAheadOfAcks) {
            self.copy_ahead(&child, &likely);
        }
        layout.settle().await;
        shared?;
        if !planted(Planted::CopiedAheadOfAcks) {
            self.copy_ahead(&child, &likely);
        }
        drop(layout);
        child.give_up_what_is_not_inherited().await?;
        count(Counter::Forks);
        Ok(child)
    }

    /// Gives `child`, which is empty, everything that `self` maps. On failure the child's
    /// entries so far are dropped with it.
    fn share_with(&self, child: &AddressSpace) -> Result<(), OutOfMemory> {
        let (from, to) = (self.root_table(), child.root_table());
        sparse::use_lines(to, sparse::lines(from));
        sparse::try_each(from, |index, entry| {
            from.write_protect(index);
            if let Some(table) = entry.frame() {
                // Rule M1: we hold a reference, so we may take one for the child.
                frames::take(table).map_err(|TooManyHolders| OutOfMemory)?;
            }
            to.set(index, entry.without(Bits::WRITE | Bits::ACCESSED));
            Ok(())
        })
    }

    /// The leaf entry for an address, and whether all levels allow writes. None where a
    /// table is missing.
    ///
    /// What it says about presence stays true as long as this CPU is active in the
    /// address space (or nobody is, and the caller owns it), until the next await: a
    /// frame that is taken out of the tables meanwhile is not dropped before this CPU
    /// acknowledges the shootdown, exactly as if its TLB held the entry (rule M2).
    pub(super) fn look_up(&self, address: usize) -> Option<(Entry, bool)> {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        let mut writable = true;
        loop {
            let entry = table.load(level.index(address));
            let frame = entry.frame()?;
            writable &= entry.is_writable();
            if level == Level::LEAF_TABLE {
                return Some((entry, writable));
            }
            // SAFETY: the entries of a table above the lowest level point to tables, which stay as
            // the head of this function says.
            table = unsafe { Table::new(frame) };
            level = level.below();
        }
    }

    /// Bytes mapped, and bytes of that which are there, for /proc: as far as can be seen
    /// without waiting. The second is known only for the address space that this CPU
    /// is in.
    pub fn usage_now(&self) -> (usize, usize) {
        let Some(layout) = self.layout.try_read() else {
            return (0, 0);
        };
        let resident = if is_current(self) {
            self.resident(&layout)
        } else {
            0
        };
        (layout.vmas.totals().all * FRAME_SIZE, resident)
    }

    /// The areas, for /proc: none if somebody changes them right now. Costs nothing: who
    /// changes them next makes a copy.
    pub fn areas_now(&self) -> VmaMap {
        let layout = self.layout.try_read();
        layout.map_or_else(VmaMap::default, |layout| layout.vmas.clone())
    }

    fn resident(&self, layout: &Layout) -> usize {
        let mut pages = 0;
        for vma in layout.vmas.iter() {
            let mut at = vma.start;
            while let Some((from, table)) = self.next_leaf_table(at, vma.end) {
                at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
                pages += (from..at.min(vma.end))
                    .step_by(FRAME_SIZE)
                    .filter_map(|page| table.load(Level::LEAF_TABLE.index(page)).frame())
                    .filter(|&frame| !frames::is_zeroes(frame))
                    .count();
            }
        }
        pages * FRAME_SIZE
    }

    /// The first address from `from` on and below `end` for which there is a leaf table,
    /// with that table, which stays as [`look_up`](Self::look_up) says. A range without
    /// tables costs next to nothing, however large it is.
    pub(super) fn next_leaf_table(&self, from: usize, end: usize) -> Option<(usize, Table)> {
        let mut at = from;
        'next: while at < end {
            let mut table = self.root_table();
            let mut level = Level::ROOT;
            while level != Level::LEAF_TABLE {
                let Some(frame) = table.load(level.index(at)).frame() else {
                    let size = level.entry_size();
                    at = at / size * size + size;
                    continue 'next;
                };
                // SAFETY: above the lowest level entries point to tables, which stay as `look_up`
                // says.
                table = unsafe { Table::new(frame) };
                level = level.below();
            }
            return Some((at, table));
        }
        None
    }
}

impl Drop for AddressSpace {
    /// Retires all that the root points to. It is dropped, and if nobody else holds it
    /// taken apart, by the reclaimer.
    fn drop(&mut self) {
        // Every CPU that is active here holds a reference to `self`, so none is, and each that
        // was has loaded another CR3 since, which made it forget.
        debug_assert!(self.activity.cpus().is_empty());
        let root = self.root_table();
        let since = arch::clock();
        sparse::each(root, |index, entry| {
            root.set(index, Entry::EMPTY);
            if let Some(frame) = entry.frame() {
                Retired::new(frame, Level::ROOT.below()).release(Receipt::all_forgot(), since);
            }
        });
        arch::clear_root(self.root);
        if frames::drop_reference(self.root) == Dropped::Last {
            // The next child's root.
            frames::free_zeroed(self.root);
        }
    }
}
