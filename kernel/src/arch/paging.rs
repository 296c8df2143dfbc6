//! Page tables (Intel SDM vol. 3, 4.5), the same for the real and the simulated machine.
//!
//! A [`Table`] is a frame seen as 512 atomic words. The hardware reads them at any moment, and sets
//! accessed and dirty bits in them. All changes of a table that a CPU can reach are
//! read-modify-writes, so none of these bits is lost.

pub use super::entry::{BLOCK, BLOCKS, Bits, ENTRIES, Entry};

use super::atomic::{AtomicU64, Ordering};
use super::frame::Frame;
#[cfg(target_os = "none")]
use super::x86_64::layout::{frame_ptr, scheduling_point};
#[cfg(not(target_os = "none"))]
use crate::testing::machine::state::{frame_ptr, scheduling_point};

/// A frame that is used as a table.
///
/// The caller that makes a `Table` holds a reference to its frame, or its CPU is active in
/// an address space that does (and so keeps the frame by rule M2).
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

    fn blocks(&self) -> &[[AtomicU64; BLOCK]; BLOCKS] {
        // SAFETY: `new`'s caller promised that the frame is a table and lives; a
        // frame is 4096 bytes, aligned to 4096, and mapped for the kernel at
        // `frame_ptr`. The hardware changes a word only by atomic operations, and
        // so does the kernel.
        unsafe { frame_ptr(self.0).cast().as_ref() }
    }

    fn slot(&self, index: usize) -> &AtomicU64 {
        &self.blocks().as_flattened()[index]
    }

    /// Which entries of a block are present, a bit each. All are looked at without a branch.
    pub fn present(self, block: usize) -> u16 {
        let slots = self.blocks()[block].iter().rev();
        slots.fold(0, |bits, slot| {
            scheduling_point();
            // Relaxed: it says which entries to load.
            let entry = Entry::from_raw(slot.load(Ordering::Relaxed));
            bits << 1 | u16::from(entry.is_present())
        })
    }

    /// Reads entry `index`. `Acquire`: pairs with the `Release` in the writers below, so
    /// that the contents of a table or page just linked are seen.
    pub fn load(self, index: usize) -> Entry {
        scheduling_point();
        Entry::from_raw(self.slot(index).load(Ordering::Acquire))
    }

    /// Puts `entry` into a table that only the caller can reach, and no page walk.
    pub fn set(self, index: usize, entry: Entry) {
        scheduling_point();
        // Relaxed: the store that links the table (Release) comes later and publishes its entries.
        self.slot(index).store(entry.raw(), Ordering::Relaxed);
    }

    /// Takes an entry out and returns it, with its accessed and dirty bits.
    pub fn take(self, index: usize) -> Entry {
        self.swap(index, Entry::EMPTY)
    }

    /// Puts `entry` in and returns what was there, with its accessed and dirty bits. The
    /// memory system puts entries by `memory/table/occupancy.rs` only, which notes where.
    pub fn swap(self, index: usize, entry: Entry) -> Entry {
        scheduling_point();
        Entry::from_raw(self.slot(index).swap(entry.raw(), Ordering::AcqRel))
    }

    /// Puts `entry` in if `old` is still there; returns what was found otherwise.
    pub fn compare_exchange(self, index: usize, old: Entry, entry: Entry) -> Result<(), Entry> {
        scheduling_point();
        self.slot(index)
            .compare_exchange(old.raw(), entry.raw(), Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(Entry::from_raw)
    }

    /// Adds bits to entry `index`, which is present and stays so: the caller has the
    /// right to change it. Returns what was there before.
    pub fn add(self, index: usize, bits: Bits) -> Entry {
        scheduling_point();
        Entry::from_raw(self.slot(index).fetch_or(bits.bits(), Ordering::AcqRel))
    }

    /// Removes bits from entry `index` and returns what was there before.
    pub fn remove(self, index: usize, bits: Bits) -> Entry {
        scheduling_point();
        Entry::from_raw(self.slot(index).fetch_and(!bits.bits(), Ordering::AcqRel))
    }

    /// Clears the writable bit and returns what was there before.
    pub fn write_protect(self, index: usize) -> Entry {
        self.remove(index, Bits::WRITE)
    }
}
