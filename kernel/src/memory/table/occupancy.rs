//! Which parts of a table are in use (rules M1, M11).
//!
//! Most tables hold a few entries, side by side. Whoever copies a table, or takes one
//! apart, looks only where entries may be: each frame's metadata has a word with one bit
//! for each line of sixteen entries. The bit is set before an entry is put into an empty place of
//! that line, and never taken back while the frame is a table. So an entry without its bit
//! is a reference that nobody would drop; the audit looks for those.
//!
//! Who sees an entry sees its bit: the one was stored before the other, and every reader has
//! got at the table by a load that acquires what the last writer of it has released.

use crate::arch::paging::{Entry, LINE, LINES, Table};
use crate::memory::frame;
use arrayvec::ArrayVec;
use core::convert::Infallible;

const _: () = assert!(LINES <= u32::BITS as usize);

/// Some lines of a table. Iterating gives their numbers.
#[derive(Clone, Copy, Default)]
pub(in crate::memory) struct Occupancy(u32);

impl Occupancy {
    /// The line that a place is in.
    fn at(index: usize) -> Occupancy {
        Occupancy(1 << (index / LINE))
    }
}

impl Iterator for Occupancy {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = self.0.trailing_zeros() as usize % LINES;
        self.0 &= self.0.checked_sub(1)?;
        Some(first)
    }
}

/// Some places of a table: the lines that they are in, each with a bit for each of its places.
#[derive(Default)]
pub(in crate::memory) struct EntrySet(ArrayVec<(u8, u16), LINES>);

impl EntrySet {
    /// Adds a place behind all that are there.
    pub(in crate::memory) fn add(&mut self, index: usize) {
        let (line, bit) = ((index / LINE) as u8, 1 << (index % LINE));
        match self.0.last_mut() {
            Some((last, bits)) if *last == line => *bits |= bit,
            _ => self.0.push((line, bit)),
        }
    }

    /// Calls `visit` with each.
    #[inline]
    pub(in crate::memory) fn for_each(&self, mut visit: impl FnMut(usize)) {
        for &(line, word) in &self.0 {
            bits(word).for_each(|bit| visit(usize::from(line) * LINE + bit));
        }
    }
}

/// The bits that are set in a word, from the lowest up.
#[inline(always)]
fn bits(mut word: u16) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros() as usize;
        word &= word.checked_sub(1)?;
        Some(lowest % LINE)
    })
}

/// The lines in which there may be entries. Of the kernel's half of a root it knows nothing.
pub(in crate::memory) fn of(table: Table) -> Occupancy {
    Occupancy(frame::occupancy(table.frame()))
}

/// Calls `visit` with each entry that is present, and its place, until it fails. Of a root, with
/// the user's.
#[inline(always)]
pub(in crate::memory) fn try_each<E>(
    table: Table,
    mut visit: impl FnMut(usize, Entry) -> Result<(), E>,
) -> Result<(), E> {
    for line in of(table) {
        for bit in bits(table.present(line)) {
            let index = line * LINE + bit;
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

/// Makes lines of `table` count as used, for who fills them afterwards.
pub(in crate::memory) fn mark_occupied(table: Table, lines: Occupancy) {
    frame::mark_occupied(table.frame(), lines.0);
}

/// Puts `entry` where there is none, if so it still is; returns what was found otherwise.
pub(in crate::memory) fn fill(table: Table, index: usize, entry: Entry) -> Result<(), Entry> {
    mark_occupied(table, Occupancy::at(index));
    table.compare_exchange(index, Entry::EMPTY, entry)
}

/// Puts `entry` in and returns what was there: for a place that the caller alone may change.
pub(in crate::memory) fn put(table: Table, index: usize, entry: Entry) -> Entry {
    mark_occupied(table, Occupancy::at(index));
    table.swap(index, entry)
}

/// Whether the place is in a line that counts as used.
pub(in crate::memory) fn is_marked(table: Table, index: usize) -> bool {
    of(table).0 & Occupancy::at(index).0 != 0
}
