//! What `/proc` tells of an address space, as far as it is known without waiting.

use super::address_space::AddressSpace;
use super::current::is_current;
use super::mmap_lock::Mappings;
use crate::arch::FRAME_SIZE;
use crate::arch::level::{LEAF_REACH, Level};
use crate::memory::frame;
use crate::memory::vma::map::VmaMap;

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

    /// The VMAs, for /proc: none if a task changes them right now. Costs nothing: the next change
    /// makes a copy.
    pub fn vmas_now(&self) -> VmaMap {
        let mappings = self.mmap_lock.try_read();
        mappings.map_or_else(VmaMap::default, |mappings| mappings.vmas.clone())
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
