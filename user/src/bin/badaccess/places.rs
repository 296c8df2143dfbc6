//! Addresses that cannot be used.

use user::sys::memory::Protection;
use user::testing::{Failure, Mapping};

/// Addresses where no program has anything, whatever it does.
pub const NOWHERE: &[(&str, usize)] = &[
    ("null", 0),
    ("the first page", 0xff8),
    ("beside the program", 0x3ff000),
    ("unmapped", 0x1234_5678_9000),
    ("the last page for users", 0x7fff_ffff_f000),
    ("the first address that is not canonical", 0x8000_0000_0000),
    ("not canonical", 0x1234_5678_9abc_def0),
    (
        "the last address that is not canonical",
        0xffff_7fff_ffff_fff0,
    ),
    ("the kernel's half", 0xffff_8000_0000_0000),
    ("kernel memory", 0xffff_8880_0010_0000),
    ("kernel code", 0xffff_ffff_8100_0000),
    ("the last page", 0xffff_ffff_ffff_f000),
];

/// Whether an address has the sign extension that the CPU asks of all (48 bits).
pub fn is_canonical(address: usize) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// Pages of each kind of right, side by side: writable, read-only, without access, unmapped.
pub struct Rights {
    area: Mapping,
}

impl Rights {
    pub fn new() -> Result<Self, Failure> {
        let area = Mapping::private(4)?;
        area.fill_all(1);
        area.protect(1, 1, Protection::READ)?;
        area.protect(2, 1, Protection::NONE)?;
        area.unmap(3, 1)?;
        Ok(Self { area })
    }

    pub fn read_only(&self) -> usize {
        self.area.page(1)
    }

    pub fn no_access(&self) -> usize {
        self.area.page(2)
    }

    pub fn unmapped(&self) -> usize {
        self.area.page(3)
    }

    /// Nothing was written to the pages that can be read.
    pub fn check(&self) -> Result<(), Failure> {
        self.area.check(0, 1)?;
        self.area.check(1, 1)
    }
}
