//! What `/proc` tells of an address space, as far as it is known without waiting.

use super::address_space::AddressSpace;
use super::current::is_current;
use super::mmap_lock::Mappings;
use crate::arch::FRAME_SIZE;
use crate::arch::level::{LEAF_REACH, Level, USER_END};
use crate::memory::frame;
use crate::memory::vma::vm_area::Vma;

impl AddressSpace {
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
}
