//! What `/proc` tells of an address space, as far as it is known without waiting.

use super::address_space::AddressSpace;
use super::current::{is_current, visit};
use super::mmap_lock::Mappings;
use crate::arch::FRAME_SIZE;
use crate::arch::level::{LEAF_REACH, Level, USER_END};
use crate::arch::paging::Table;
use crate::memory::frame;
use crate::memory::table::occupancy;
use crate::memory::vma::vm_area::{Backing, Vma};
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

/// What is in memory of a VMA, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Residency {
    /// Each page divided by how many have it.
    pub proportional: usize,
    /// Pages that others have too.
    pub shared: usize,
    /// Pages that no other has.
    pub private: usize,
    /// Pages of either kind that are no file's.
    pub anonymous: usize,
}

impl Residency {
    /// Both together.
    pub fn plus(self, other: Residency) -> Residency {
        Residency {
            proportional: self.proportional + other.proportional,
            shared: self.shared + other.shared,
            private: self.private + other.private,
            anonymous: self.anonymous + other.anonymous,
        }
    }
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

    /// From where to where the program's heap goes, or nothing if that is being changed right now.
    pub fn heap_now(&self) -> (usize, usize) {
        let mappings = self.mmap_lock.try_read();
        mappings.map_or((0, 0), |mappings| (mappings.heap_start, mappings.heap_end))
    }

    /// Shows each VMA with what is in memory of it, from the lowest up, until `visit` returns false.
    /// None if they are being changed right now.
    pub fn visit_residency_now(
        self: &Arc<AddressSpace>,
        mut visit_vma: impl FnMut(&Vma, Residency) -> bool,
    ) {
        let Some(mappings) = self.mmap_lock.try_read() else {
            return;
        };
        let mut look = || {
            for vma in mappings.vmas.iter() {
                if !visit_vma(vma, self.residency(vma)) {
                    break;
                }
            }
        };
        match is_current(self) {
            true => look(),
            false => visit(self, look),
        }
    }

    /// What is in memory of a VMA.
    fn residency(&self, vma: &Vma) -> Residency {
        let mut residency = Residency::default();
        let mut at = vma.start;
        while let Some((from, table)) = self.next_leaf_table(at, vma.end) {
            at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
            let spaces = self.spaces_of_leaf_table(from);
            for page in (from..at.min(vma.end)).step_by(FRAME_SIZE) {
                let frame = table.load(Level::LEAF_TABLE.index(page)).frame();
                let Some(frame) = frame.filter(|&frame| !frame::is_zeroes(frame)) else {
                    continue;
                };
                let is_of_object = match &vma.backing {
                    Backing::Anonymous => false,
                    Backing::Private(object, offset) | Backing::Shared(object, offset) => {
                        let index = (offset + (page - vma.start) as u64) / FRAME_SIZE as u64;
                        object.holds(index, frame)
                    }
                };
                let entries = u64::from(frame::holders(frame)) - u64::from(is_of_object);
                let sharers = entries.max(1) * spaces;
                residency.proportional += FRAME_SIZE / sharers as usize;
                match sharers {
                    1 => residency.private += FRAME_SIZE,
                    _ => residency.shared += FRAME_SIZE,
                }
                if !is_of_object {
                    residency.anonymous += FRAME_SIZE;
                }
            }
        }
        residency
    }

    /// How many address spaces have the leaf table of an address, as far as the counts tell.
    fn spaces_of_leaf_table(&self, address: usize) -> u64 {
        let mut spaces = 1;
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        while level != Level::LEAF_TABLE {
            let Some(frame) = table.load(level.index(address)).frame() else {
                break;
            };
            spaces *= u64::from(frame::holders(frame).max(1));
            // SAFETY: an entry above the lowest level points to a table, which stays as this CPU is
            // active in the address space.
            table = unsafe { Table::new(frame) };
            level = level.below();
        }
        spaces
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
