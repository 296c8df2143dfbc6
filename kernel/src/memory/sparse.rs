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

use super::frames;
use crate::arch::paging::{Entry, LINE, LINES, Table};
use arrayvec::ArrayVec;
use core::convert::Infallible;

const _: () = assert!(LINES <= u32::BITS as usize);

/// Some lines of a table. Iterating gives their numbers.
#[derive(Clone, Copy, Default)]
pub(super) struct Lines(u32);

impl Lines {
    /// The line that a place is in.
    fn of(index: usize) -> Lines {
        Lines(1 << (index / LINE))
    }
}

impl Iterator for Lines {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = self.0.trailing_zeros() as usize % LINES;
        self.0 &= self.0.checked_sub(1)?;
        Some(first)
    }
}

/// Some places of a table: the lines that they are in, each with a bit for each of its places.
#[derive(Default)]
pub(super) struct Places(ArrayVec<(u8, u16), LINES>);

impl Places {
    /// Adds a place behind all that are there.
    pub(super) fn add(&mut self, index: usize) {
        let (line, bit) = ((index / LINE) as u8, 1 << (index % LINE));
        match self.0.last_mut() {
            Some((last, bits)) if *last == line => *bits |= bit,
            _ => self.0.push((line, bit)),
        }
    }

    /// Calls `visit` with each.
    #[inline]
    pub(super) fn for_each(&self, mut visit: impl FnMut(usize)) {
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
pub(super) fn lines(table: Table) -> Lines {
    Lines(frames::lines(table.frame()))
}

/// Calls `visit` with each entry that is present, and its place, until it fails. Of a root, with
/// the user's.
#[inline(always)]
pub(super) fn try_each<E>(
    table: Table,
    mut visit: impl FnMut(usize, Entry) -> Result<(), E>,
) -> Result<(), E> {
    for line in lines(table) {
        for bit in bits(table.present(line)) {
            let index = line * LINE + bit;
            visit(index, table.load(index))?;
        }
    }
    Ok(())
}

/// As [`try_each`], where nothing can fail.
#[inline(always)]
pub(super) fn each(table: Table, mut visit: impl FnMut(usize, Entry)) {
    let Ok(()) = try_each::<Infallible>(table, |index, entry| {
        visit(index, entry);
        Ok(())
    });
}

/// Makes lines of `table` count as used, for who fills them afterwards.
pub(super) fn use_lines(table: Table, lines: Lines) {
    frames::note_lines(table.frame(), lines.0);
}

/// Puts `entry` where there is none, if so it still is; returns what was found otherwise.
pub(super) fn fill(table: Table, index: usize, entry: Entry) -> Result<(), Entry> {
    use_lines(table, Lines::of(index));
    table.compare_exchange(index, Entry::EMPTY, entry)
}

/// Puts `entry` in and returns what was there: for a place that the caller alone may change.
pub(super) fn put(table: Table, index: usize, entry: Entry) -> Entry {
    use_lines(table, Lines::of(index));
    table.swap(index, entry)
}

/// Whether the place is in a line that counts as used.
pub(super) fn counts_as_used(table: Table, index: usize) -> bool {
    lines(table).0 & Lines::of(index).0 != 0
}
