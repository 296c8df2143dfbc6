//! Page-table entries and tables (Intel SDM vol. 3, 4.5), the same for the real
//! and the simulated machine.
//!
//! An [`Entry`] is a value; a [`Table`] is a frame seen as 512 entries, each an
//! atomic word that the hardware reads, and in which it sets accessed and dirty
//! bits, at any moment. All changes are read-modify-write, so none of these bits is lost.

use crate::arch::Frame;
use crate::arch::atomic::{AtomicU64, Ordering};

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
pub const LINE: usize = if cfg!(loom) { 1 } else { 16 };
const _: () = assert!(LINE <= u16::BITS as usize);
/// A table in lines.
pub const LINES: usize = ENTRIES / LINE;

/// A frame that is used as a table.
///
/// Whoever makes a `Table` holds a reference to its frame, or is active in an
/// address space that does (and so keeps the frame by rule M2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table(Frame);

impl Table {
    /// Sees `frame` as a table.
    ///
    /// # Safety
    /// The frame must be a table: zeroed or filled with entries, used as nothing else,
    /// and kept alive for as long as the value is used.
    pub unsafe fn new(frame: Frame) -> Table {
        Table(frame)
    }

    /// The frame itself.
    pub fn frame(self) -> Frame {
        self.0
    }

    fn lines(&self) -> &[[AtomicU64; LINE]; LINES] {
        // SAFETY: `new`'s caller promised that the frame is a table and lives; a
        // frame is 4096 bytes, aligned to 4096, and mapped for the kernel at
        // `frame_ptr`. The hardware changes a word only by atomic operations, and
        // so does the kernel.
        unsafe { super::frame_ptr(self.0).cast().as_ref() }
    }

    fn slot(&self, index: usize) -> &AtomicU64 {
        &self.lines().as_flattened()[index]
    }

    /// Which entries of a line are present, a bit each. All are looked at without a branch.
    pub fn present(self, line: usize) -> u16 {
        let slots = self.lines()[line].iter().rev();
        slots.fold(0, |bits, slot| {
            super::scheduling_point();
            // Relaxed: it says which entries to load.
            let entry = Entry(slot.load(Ordering::Relaxed));
            bits << 1 | u16::from(entry.is_present())
        })
    }

    /// Reads entry `index`. `Acquire`: pairs with the `Release` in the writers below, so
    /// that the contents of a table or page just linked are seen.
    pub fn load(self, index: usize) -> Entry {
        super::scheduling_point();
        Entry(self.slot(index).load(Ordering::Acquire))
    }

    /// Puts `entry` into a table that nobody but the caller can reach, no CPU either.
    pub fn set(self, index: usize, entry: Entry) {
        super::scheduling_point();
        // Relaxed: whoever links the table releases what is in it.
        self.slot(index).store(entry.0, Ordering::Relaxed);
    }

    /// Takes an entry out and returns it, with its accessed and dirty bits.
    pub fn take(self, index: usize) -> Entry {
        self.swap(index, Entry::EMPTY)
    }

    /// Puts `entry` in and returns what was there, with its accessed and dirty bits. The
    /// memory system puts entries by `memory/table/occupancy.rs` only, which notes where.
    pub fn swap(self, index: usize, entry: Entry) -> Entry {
        super::scheduling_point();
        Entry(self.slot(index).swap(entry.0, Ordering::AcqRel))
    }

    /// Puts `entry` in if `old` is still there; returns what was found otherwise.
    pub fn compare_exchange(self, index: usize, old: Entry, entry: Entry) -> Result<(), Entry> {
        super::scheduling_point();
        self.slot(index)
            .compare_exchange(old.0, entry.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(Entry)
    }

    /// Adds bits to entry `index`, which is present and stays so: the caller has the
    /// right to change it.
    pub fn add(self, index: usize, bits: Bits) {
        super::scheduling_point();
        self.slot(index).fetch_or(bits.bits(), Ordering::AcqRel);
    }

    /// Removes bits from entry `index` and returns what was there before.
    pub fn remove(self, index: usize, bits: Bits) -> Entry {
        super::scheduling_point();
        Entry(self.slot(index).fetch_and(!bits.bits(), Ordering::AcqRel))
    }

    /// Clears the writable bit and returns what was there before.
    pub fn write_protect(self, index: usize) -> Entry {
        self.remove(index, Bits::WRITE)
    }
}
