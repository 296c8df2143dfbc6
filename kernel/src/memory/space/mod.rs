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
//! Whoever wants to *change* something first un-shares the path to it (`cow_break.rs`).
//!
//! **The lock.** `mappings` guards what may be mapped where (`mappings.rs`). Faults hold it
//! shared, and change entries by compare-and-exchange; all that takes rights away or
//! shares holds it alone, across its wait for other CPUs.

pub(in crate::memory) mod advise;
pub(in crate::memory) mod barrier;
pub(in crate::memory) mod brk;
pub(in crate::memory) mod cow_break;
pub(in crate::memory) mod eager_cow;
pub(in crate::memory) mod fault;
pub(in crate::memory) mod fork_advice;
pub(in crate::memory) mod map;
pub(in crate::memory) mod mmap_lock;
pub(in crate::memory) mod move_tables;
pub(in crate::memory) mod populate;
pub(in crate::memory) mod protect;
pub(in crate::memory) mod remap;
pub(in crate::memory) mod stack_growth;

use crate::arch;
use crate::arch::FRAME_SIZE;
use crate::arch::Frame;
use crate::arch::level::{LEAF_REACH, Level, USER_END};
use crate::arch::paging::{Bits, Entry, Table};
use crate::memory::frame::count::{Dropped, TooManyHolders};
use crate::memory::frame::{self, FrameRef, OutOfMemory, Purpose};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::{Receipt, Retired};
use crate::memory::space::eager_cow::FirstWrites;
use crate::memory::space::mmap_lock::{Mappings, MmapLock};
use crate::memory::stats::counters::{Counter, count};
use crate::memory::table::occupancy;
use crate::memory::tlb::active_cpus::{ActiveCpus, is_current};
use crate::memory::tlb::flush::{FlushRange, RetiredBatch};
use crate::memory::tlb::shootdown;
use crate::memory::vma::limits::Limits;
use crate::memory::vma::vm_area::Vma;
use alloc::sync::Arc;

/// An address space.
pub struct AddressSpace {
    /// This holds the one reference to it.
    root: Frame,
    pub(in crate::memory) active_cpus: ActiveCpus,
    pub(in crate::memory) mmap_lock: MmapLock,
    pub(in crate::memory) first_writes: FirstWrites,
}

impl AddressSpace {
    /// An empty one, with the usual limits.
    pub fn new() -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::limited(Limits::USUAL)
    }

    /// An empty one with these limits.
    pub fn limited(limits: Limits) -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::with_mappings(Mappings::empty(limits))
    }

    fn with_mappings(mappings: Mappings) -> Result<Arc<AddressSpace>, OutOfMemory> {
        let root = FrameRef::zeroed(Purpose::User)?;
        arch::new_root(root.frame());
        Ok(Arc::new(AddressSpace {
            root: root.into_entry(),
            active_cpus: ActiveCpus::new(),
            mmap_lock: MmapLock::new(mappings),
            first_writes: FirstWrites::default(),
        }))
    }

    /// The frame of the root.
    pub(in crate::memory) fn root(&self) -> Frame {
        self.root
    }

    /// The root as a table.
    pub(in crate::memory) fn root_table(&self) -> Table {
        // SAFETY: the root is a table from `with_mappings` on, and lives as long as `self`.
        unsafe { Table::new(self.root) }
    }

    /// Copies the address space: the root's user entries, and one reference to each table
    /// that they point to (rule M3); and a page or two that are sure to be written next (`eager_cow.rs`).
    ///
    /// When this returns no CPU can write, through whatever stale translation, what is
    /// shared now. Until then the mmap lock keeps write faults of other threads
    /// from copying a frame that is still being written.
    pub async fn fork(&self) -> Result<Arc<AddressSpace>, OutOfMemory> {
        frame::ensure_free()?;
        let mut mappings = self.mmap_lock.write().await;
        let vmas = mappings.vmas.for_child()?;
        let child = AddressSpace::with_mappings(mappings.for_child(vmas))?;
        let ready = shootdown::ready().await;
        let likely = self.likely_writes();
        let shared = self.share_with(&child);
        // Even if it failed half-way some entries have lost their writable bit, so that the flush
        // is due.
        if !planted(Planted::ForkWithoutFlush) {
            let none = &mut RetiredBatch::new();
            let shootdown = self
                .active_cpus
                .flush_and_release(ready, FlushRange::ALL, none);
            mappings.expect(shootdown.filter(|_| !planted(Planted::ForkWithoutWaiting)));
        }
        if planted(Planted::EagerCowBeforeAcks) {
            self.eager_cow(&child, &likely);
        }
        mappings.finish_outstanding().await;
        shared?;
        if !planted(Planted::EagerCowBeforeAcks) {
            self.eager_cow(&child, &likely);
        }
        let is_advised = mappings.vmas.concern_fork();
        drop(mappings);
        if is_advised {
            child.apply_fork_advice().await?;
        }
        count(Counter::Forks);
        Ok(child)
    }

    /// Gives `child`, which is empty, everything that `self` maps. On failure the child's
    /// entries so far are dropped with it.
    fn share_with(&self, child: &AddressSpace) -> Result<(), OutOfMemory> {
        let (from, to) = (self.root_table(), child.root_table());
        occupancy::mark_occupied(to, occupancy::of(from));
        occupancy::try_each(from, |index, entry| {
            from.write_protect(index);
            if let Some(table) = entry.frame() {
                // Rule M1: we hold a reference, so we may take one for the child.
                frame::take(table).map_err(|TooManyHolders| OutOfMemory)?;
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
    pub(in crate::memory) fn look_up(&self, address: usize) -> Option<(Entry, bool)> {
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
        let Some(mappings) = self.mmap_lock.try_read() else {
            return (0, 0);
        };
        let resident = if is_current(self) {
            self.resident(&mappings)
        } else {
            0
        };
        (mappings.vmas.totals().all * FRAME_SIZE, resident)
    }

    /// How many areas there are, for /proc: none if they are being changed right now.
    pub fn vma_count_now(&self) -> usize {
        let mappings = self.mmap_lock.try_read();
        mappings.map_or(0, |mappings| mappings.vmas.count())
    }

    /// Shows the areas that end above the address to `visit`, from the lowest up, until it returns
    /// false: for /proc. None if they are being changed right now.
    pub fn visit_vmas_now(&self, above: usize, mut visit: impl FnMut(&Vma) -> bool) {
        if let Some(mappings) = self.mmap_lock.try_read() {
            let mut areas = mappings.vmas.overlapping(above, USER_END);
            while areas.next().is_some_and(&mut visit) {}
        }
    }

    fn resident(&self, mappings: &Mappings) -> usize {
        let mut pages = 0;
        for vma in mappings.vmas.iter() {
            let mut at = vma.start;
            while let Some((from, table)) = self.next_leaf_table(at, vma.end) {
                at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
                pages += (from..at.min(vma.end))
                    .step_by(FRAME_SIZE)
                    .filter_map(|page| table.load(Level::LEAF_TABLE.index(page)).frame())
                    .filter(|&frame| !frame::is_zeroes(frame))
                    .count();
            }
        }
        pages * FRAME_SIZE
    }

    /// The first address from `from` on and below `end` for which there is a leaf table,
    /// with that table, which stays as [`look_up`](Self::look_up) says. A range without
    /// tables costs next to nothing, however large it is.
    pub(in crate::memory) fn next_leaf_table(
        &self,
        from: usize,
        end: usize,
    ) -> Option<(usize, Table)> {
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
        debug_assert!(self.active_cpus.cpus().is_empty());
        let root = self.root_table();
        let since = arch::clock();
        occupancy::each(root, |index, entry| {
            root.set(index, Entry::EMPTY);
            if let Some(frame) = entry.frame() {
                Retired::new(frame, Level::ROOT.below()).release(Receipt::all_forgot(), since);
            }
        });
        arch::clear_root(self.root);
        if frame::drop_reference(self.root) == Dropped::Last {
            // The next child's root.
            frame::free_zeroed(self.root);
        }
    }
}
