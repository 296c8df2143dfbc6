//! What `/proc` tells of an address space, as far as it is known without waiting.

use super::address_space::AddressSpace;
use super::current::{is_current, visit};
use super::mmap_lock::Mappings;
use crate::arch::FRAME_SIZE;
use crate::arch::level::{LEAF_REACH, Level, USER_END};
use crate::arch::paging::Table;
use crate::memory::frame;
use crate::memory::table::occupancy;
use crate::memory::vma::vm_area::Vma;
use alloc::sync::Arc;

/// What an address space holds, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Footprint {
    /// Pages that are there.
    pub pages: u64,
    /// Tables.
    pub tables: u64,
    /// Its part of both, in parts of a frame: see [`share`](Self::share).
    parts: u64,
}

/// A frame that one entry alone holds, in parts.
const WHOLE: u64 = 1 << 20;

impl Footprint {
    /// Its part of the pages and tables: a frame with several holders counts in parts.
    pub fn share(&self) -> u64 {
        self.parts / WHOLE
    }
}

/// Adds what the entries of a table hold. `weight` is this address space's part of the table.
///
/// # Safety
/// The tables below are not freed during the call.
unsafe fn count_below(table: Table, level: Level, weight: u64, footprint: &mut Footprint) {
    occupancy::each(table, |_, entry| {
        let Some(frame) = entry.frame().filter(|&frame| !frame::is_zeroes(frame)) else {
            return;
        };
        // One entry holds it at least; the number may change meanwhile.
        let weight = weight / u64::from(frame::holders(frame).max(1));
        footprint.parts += weight;
        if level == Level::LEAF_TABLE {
            footprint.pages += 1;
            return;
        }
        footprint.tables += 1;
        // SAFETY: an entry above the lowest level points to a table, which stays as the caller
        // promises.
        unsafe { count_below(Table::new(frame), level.below(), weight, footprint) };
    });
}

impl AddressSpace {
    /// Bytes mapped, and bytes of that which are there, for /proc: as far as can be seen
    /// without waiting.
    pub fn usage_now(self: &Arc<AddressSpace>) -> (usize, usize) {
        let Some(mappings) = self.mmap_lock.try_read() else {
            return (0, 0);
        };
        let resident = match is_current(self) {
            true => self.resident(&mappings),
            false => visit(self, || self.resident(&mappings)),
        };
        (mappings.vmas.totals().all * FRAME_SIZE, resident)
    }

    /// What would come back if the address space were gone, as far as can be seen without waiting.
    pub fn footprint(self: &Arc<AddressSpace>) -> Footprint {
        let mut footprint = Footprint::default();
        let mut count = || {
            let root = self.root_table();
            // SAFETY: the address space is active here, so its tables stay (`look_up`).
            unsafe { count_below(root, Level::ROOT, WHOLE, &mut footprint) };
        };
        match is_current(self) {
            true => count(),
            false => visit(self, count),
        }
        footprint
    }

    /// Pages of private memory that may be written: what a program was promised.
    pub fn committed_now(&self) -> usize {
        let mappings = self.mmap_lock.try_read();
        mappings.map_or(0, |mappings| mappings.vmas.totals().data)
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
}
