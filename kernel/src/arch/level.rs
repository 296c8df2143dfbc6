//! Where an address leads in the tree of tables: levels and indices (Intel SDM vol. 3,
//! 4.5).

use super::entry::ENTRIES;
use super::frame::FRAME_SIZE;

/// The first address that is not a user program's. The last page below the hole of
/// non-canonical addresses is left out, as on Linux: a `syscall` there would return to
/// one.
pub const USER_END: usize = (1 << 47) - FRAME_SIZE;

/// The height of a node in the tree: 0 is a page, 1 a table of pages, 4 the root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Level(u8);

impl Level {
    /// A page.
    pub const PAGE: Level = Level(0);
    /// A table whose entries point to pages.
    pub const LEAF_TABLE: Level = Level(1);
    /// The root of an address space.
    pub const ROOT: Level = Level(4);
    /// The tables that address spaces share, from the bottom up.
    pub const TABLES: [Level; 3] = [Level(1), Level(2), Level(3)];

    /// The height as a number.
    pub fn height(self) -> u8 {
        self.0
    }

    /// The level of what the entries of a table of this level point to.
    pub fn below(self) -> Level {
        Level(self.0.saturating_sub(1))
    }

    /// The index into arrays with one place for each of [`Level::TABLES`]; none for a
    /// page.
    pub fn chain(self) -> Option<usize> {
        (1..=3).contains(&self.0).then(|| usize::from(self.0) - 1)
    }

    /// Which entry of a table of this level covers the address.
    pub fn index(self, address: usize) -> usize {
        (address >> self.entry_shift()) % ENTRIES
    }

    /// How many bytes one entry of a table of this level covers.
    pub fn entry_size(self) -> usize {
        1 << self.entry_shift()
    }

    fn entry_shift(self) -> u32 {
        12 + 9 * (u32::from(self.0).saturating_sub(1))
    }
}

/// Entries of a root that belong to user programs: the lower half.
pub const USER_ENTRIES: usize = ENTRIES / 2;

/// The address rounded down to its page.
pub fn page_of(address: usize) -> usize {
    address & !(FRAME_SIZE - 1)
}

/// Bytes that one leaf table covers.
pub const LEAF_REACH: usize = ENTRIES * FRAME_SIZE;
