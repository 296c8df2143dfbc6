//! Page-table entries as values (Intel SDM vol. 3, 4.5), and how many a table has. The same for
//! the real and the simulated machine.

use super::frame::Frame;

bitflags::bitflags! {
    /// The bits of an entry that the kernel uses.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Bits: u64 {
        /// The entry is in use.
        const PRESENT = 1 << 0;
        /// Writes are allowed, as far as the levels above allow them too.
        const WRITE = 1 << 1;
        /// User mode may use it, as far as the levels above allow it too.
        const USER = 1 << 2;
        /// Not cached (devices).
        const NO_CACHE = 1 << 4;
        /// Set by the hardware at the first use.
        const ACCESSED = 1 << 5;
        /// Set by the hardware at the first write; leaves only.
        const DIRTY = 1 << 6;
        /// A leaf above the lowest level.
        const HUGE = 1 << 7;
        /// Kept over a change of CR3 (kernel mappings only).
        const GLOBAL = 1 << 8;
        /// For the kernel's own use (the processor ignores bits 9 to 11): the page is a copy
        /// whose predecessor may still be in some CPU's TLB, so it must not be written yet.
        const COW_PENDING = 1 << 9;
        /// For the kernel's own use, in an entry that points to a leaf table: no CPU has a translation
        /// that it did not get from this table, so an accessed bit that is clear in there says that no
        /// CPU has a translation of that page.
        const TRACKED = 1 << 10;
        /// For the kernel's own use, in a leaf entry: one task copies the page, to replace it without a
        /// shootdown if no CPU uses it meanwhile.
        const CLAIMED = 1 << 11;
        /// Instruction fetches are not allowed.
        const NO_EXECUTE = 1 << 63;
    }
}

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// One page-table entry.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Entry(u64);

impl Entry {
    /// Not present.
    pub const EMPTY: Entry = Entry(0);

    /// An entry that points to `frame`.
    pub fn new(frame: Frame, bits: Bits) -> Entry {
        Entry(frame.address() | bits.bits())
    }

    /// The entry that a raw word is.
    pub fn from_raw(word: u64) -> Entry {
        Entry(word)
    }

    /// The raw word.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The frame that a present entry points to.
    pub fn frame(self) -> Option<Frame> {
        self.is_present()
            .then(|| Frame::containing(self.0 & ADDRESS))
    }

    /// All known bits.
    pub fn bits(self) -> Bits {
        Bits::from_bits_truncate(self.0)
    }

    /// Whether the entry is in use.
    pub fn is_present(self) -> bool {
        self.0 & Bits::PRESENT.bits() != 0
    }

    /// Whether the entry allows writes.
    pub fn is_writable(self) -> bool {
        self.0 & Bits::WRITE.bits() != 0
    }

    /// The same entry with `bits` added.
    pub fn with(self, bits: Bits) -> Entry {
        Entry(self.0 | bits.bits())
    }

    /// The same entry with `bits` removed.
    pub fn without(self, bits: Bits) -> Entry {
        Entry(self.0 & !bits.bits())
    }
}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x} {:?}", self.0 & ADDRESS, self.bits())
    }
}

/// Entries in a table. Few under `loom`, so that all orders of what is done to them are within
/// its reach.
pub const ENTRIES: usize = if cfg!(loom) { 1 } else { 512 };

/// Entries in a line of a table: two cache lines, and as many as a word of sixteen bits can tell of.
pub const BLOCK: usize = if cfg!(loom) { 1 } else { 16 };
const _: () = assert!(BLOCK <= u16::BITS as usize);
/// A table in lines.
pub const BLOCKS: usize = ENTRIES / BLOCK;
