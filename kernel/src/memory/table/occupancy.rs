//! The occupancy bitmap of a table: which of its entries may be present (rules M1, M11).
//!
//! Most tables hold a few entries, side by side. Code that copies a table, or takes one apart,
//! looks only where entries may be: each frame's metadata has a word with one bit for each block of
//! sixteen entries. The bit is set before an entry is stored into an empty place of that block, and
//! never cleared while the frame is a table. An entry without its bit would be a reference that
//! is never dropped; the audit looks for those.
//!
//! The bit is stored before the entry (Relaxed, then the entry's Release). A reader of the bitmap
//! has reached the table, or the entry, by a load that acquires what the last writer of the table
//! has released. So a reader that may observe the entry observes the bit.

use crate::arch::paging::{BLOCK, BLOCKS, Entry, Table};
use crate::memory::frame;
use arrayvec::ArrayVec;
use core::convert::Infallible;

const _: () = assert!(BLOCKS <= u32::BITS as usize);

/// Some blocks of a table. Iterating gives their numbers.
#[derive(Clone, Copy, Default)]
pub(in crate::memory) struct Occupancy(u32);

impl Occupancy {
    /// The block that an entry is in.
    fn at(index: usize) -> Occupancy {
        Occupancy(1 << (index / BLOCK))
    }
}

impl Iterator for Occupancy {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = self.0.trailing_zeros() as usize % BLOCKS;
        self.0 &= self.0.checked_sub(1)?;
        Some(first)
    }
}

/// Some entries of a table: their blocks, each with a bit for each of its entries.
#[derive(Default)]
pub(in crate::memory) struct EntrySet(ArrayVec<(u8, u16), BLOCKS>);

impl EntrySet {
    /// Adds an entry behind all that are there.
    pub(in crate::memory) fn add(&mut self, index: usize) {
        let (block, bit) = ((index / BLOCK) as u8, 1 << (index % BLOCK));
        match self.0.last_mut() {
            Some((last, bits)) if *last == block => *bits |= bit,
            _ => self.0.push((block, bit)),
        }
    }

    /// Calls `visit` with each.
    #[inline]
    pub(in crate::memory) fn for_each(&self, mut visit: impl FnMut(usize)) {
        for &(block, word) in &self.0 {
            bits(word).for_each(|bit| visit(usize::from(block) * BLOCK + bit));
        }
    }
}

/// The bits that are set in a word, from the lowest up.
#[inline(always)]
fn bits(mut word: u16) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros() as usize;
        word &= word.checked_sub(1)?;
        Some(lowest % BLOCK)
    })
}

/// The blocks in which there may be entries. It says nothing of the kernel's half of a root.
pub(in crate::memory) fn of(table: Table) -> Occupancy {
    Occupancy(frame::occupancy(table.frame()))
}

/// Calls `visit` with the index and the value of each entry that is present, until it fails. Of a
/// root, with the user's entries.
#[inline(always)]
pub(in crate::memory) fn try_each<E>(
    table: Table,
    mut visit: impl FnMut(usize, Entry) -> Result<(), E>,
) -> Result<(), E> {
    for block in of(table) {
        for bit in bits(table.present(block)) {
            let index = block * BLOCK + bit;
            visit(index, table.load(index))?;
        }
    }
    Ok(())
}

/// As [`try_each`], where nothing can fail.
#[inline(always)]
pub(in crate::memory) fn each(table: Table, mut visit: impl FnMut(usize, Entry)) {
    let Ok(()) = try_each::<Infallible>(table, |index, entry| {
        visit(index, entry);
        Ok(())
    });
}

/// Marks blocks of `table`, for a caller that fills them afterwards.
pub(in crate::memory) fn mark_occupied(table: Table, blocks: Occupancy) {
    frame::mark_occupied(table.frame(), blocks.0);
}

/// Stores `entry` if there is none at `index`; otherwise returns the entry that was found.
pub(in crate::memory) fn fill(table: Table, index: usize, entry: Entry) -> Result<(), Entry> {
    mark_occupied(table, Occupancy::at(index));
    table.compare_exchange(index, Entry::EMPTY, entry)
}

/// Stores `entry` and returns the old one: for an entry that only the caller may change.
pub(in crate::memory) fn put(table: Table, index: usize, entry: Entry) -> Entry {
    mark_occupied(table, Occupancy::at(index));
    table.swap(index, entry)
}

/// Whether the entry's block is marked.
pub(in crate::memory) fn is_marked(table: Table, index: usize) -> bool {
    of(table).0 & Occupancy::at(index).0 != 0
}
