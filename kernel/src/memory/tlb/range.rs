//! The range of addresses that a change of entries concerns.

use crate::arch::level::page_of;
use crate::arch::{self, FRAME_SIZE};

/// From this many pages on everything is flushed (rule M7). An INVLPG costs about as much as a
/// few misses; Linux uses 33 too (tlb_single_page_flush_ceiling).
const FULL_FLUSH: usize = 33;

/// The addresses whose translations have changed; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::memory) struct FlushRange {
    pub(in crate::memory) start: usize,
    pub(in crate::memory) end: usize,
}

impl FlushRange {
    /// All that a user program can address.
    pub(in crate::memory) const ALL: FlushRange = FlushRange {
        start: 0,
        end: usize::MAX,
    };

    /// No address: a CPU that is asked to flush it only acknowledges.
    pub(in crate::memory) const NONE: FlushRange = FlushRange { start: 0, end: 0 };

    /// The page at this address.
    pub(in crate::memory) fn page(address: usize) -> FlushRange {
        let start = page_of(address);
        FlushRange {
            start,
            end: start + FRAME_SIZE,
        }
    }

    /// How many pages it has.
    pub(in crate::memory) fn pages(self) -> usize {
        (self.end - self.start) / FRAME_SIZE
    }

    pub(in crate::memory) fn flush_here(self) {
        if self.pages() >= FULL_FLUSH {
            arch::flush_all();
        } else {
            // Each INVLPG also drops all entries of the paging-structure caches (Intel SDM vol. 3,
            // 4.10.4.1), so this is enough for tables that were replaced, too.
            (self.start..self.end)
                .step_by(FRAME_SIZE)
                .for_each(arch::flush_page);
        }
    }
}
