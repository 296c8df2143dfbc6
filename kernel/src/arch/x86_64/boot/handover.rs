//! What a loader hands over, in the same form for every protocol. `memory` makes the kernel's
//! `BootInfo` of it.

use crate::arch::interface::PhysRange;
use crate::arch::x86_64::layout::{DIRECT_MAP_SIZE, physical};
use crate::arch::x86_64::ranges::Ranges;

/// No memory.
pub const EMPTY: PhysRange = PhysRange { start: 0, end: 0 };

/// What a loader hands over. Each range may lie in `ram`.
pub struct Handover {
    /// All memory that the firmware calls usable.
    pub ram: Ranges,
    /// The loader's own structures.
    pub structures: PhysRange,
    /// The ACPI root pointer, or 0.
    pub rsdp: u64,
    /// The initramfs: the first module.
    pub initramfs: PhysRange,
    /// The text of the command line.
    pub command_line: PhysRange,
}

impl Handover {
    /// Nothing.
    pub const fn new() -> Handover {
        Handover {
            ram: Ranges::new(),
            structures: EMPTY,
            rsdp: 0,
            initramfs: EMPTY,
            command_line: EMPTY,
        }
    }

    /// Adds usable memory. What the direct map cannot hold is left out.
    pub fn add_memory(&mut self, start: u64, size: u64) {
        let end = start.saturating_add(size).min(DIRECT_MAP_SIZE);
        self.ram.add(PhysRange { start, end });
    }
}

/// The first 4 GiB as the boot tables show them.
pub struct LowMemory;

impl LowMemory {
    /// Where the byte at `address` is.
    pub fn show(&self, address: u64) -> *const u8 {
        physical(address).as_ptr()
    }

    /// Where bytes that [`LowMemory::show`] has given are physically.
    pub fn range_of(&self, bytes: &[u8]) -> PhysRange {
        let start = (bytes.as_ptr().addr() - physical(0).addr().get()) as u64;
        PhysRange {
            start,
            end: start + bytes.len() as u64,
        }
    }
}
