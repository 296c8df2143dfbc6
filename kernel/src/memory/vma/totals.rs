//! How many pages are mapped.

use crate::arch::FRAME_SIZE;
use crate::memory::vma::vm_area::{Vma, VmaFlags};

/// Pages in the areas of some kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// All.
    pub all: usize,
    /// What counts for RLIMIT_DATA: private, may be written, and is no stack.
    pub data: usize,
    /// Locked ones.
    pub locked: usize,
    /// Those that a fork treats in some way of its own.
    pub of_fork: usize,
}

impl Totals {
    /// The pages of one area.
    pub fn of(vma: &Vma) -> Totals {
        Totals::of_part(vma, vma.size())
    }

    /// The pages of a part of that many bytes.
    pub fn of_part(vma: &Vma, bytes: usize) -> Totals {
        let pages = bytes / FRAME_SIZE;
        let pages_if = |counts| if counts { pages } else { 0 };
        Totals {
            all: pages,
            data: pages_if(vma.is_data()),
            locked: pages_if(vma.flags.contains(VmaFlags::LOCKED)),
            of_fork: pages_if(vma.flags.intersects(VmaFlags::FORK_MASK)),
        }
    }

    /// Both together.
    pub fn plus(self, other: Totals) -> Totals {
        Totals {
            all: self.all + other.all,
            data: self.data + other.data,
            locked: self.locked + other.locked,
            of_fork: self.of_fork + other.of_fork,
        }
    }

    /// What is left without those of `other`, which are part of it.
    pub fn minus(self, other: Totals) -> Totals {
        Totals {
            all: self.all - other.all,
            data: self.data - other.data,
            locked: self.locked - other.locked,
            of_fork: self.of_fork - other.of_fork,
        }
    }
}
