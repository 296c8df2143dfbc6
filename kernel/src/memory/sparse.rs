//! Which parts of a table are in use (rules M1, M11).
//!
//! Most tables hold a few entries, side by side. Whoever copies a table, or takes one
//! apart, looks only where entries may be: each frame's metadata has a word with one bit
//! for each line of eight entries. The bit is set before an entry is put into an empty place of
//! that line, and never taken back while the frame is a table. So an entry without its bit
//! is a reference that nobody would drop; the audit looks for those.
//!
//! Who sees an entry sees its bit: the one was stored before the other, and every reader has
//! got at the table by a load that acquires what the last writer of it has released.

use super::frames;
use crate::arch::paging::{ENTRIES, Entry, Table};

/// Entries to a line: a cache line of the table.
const LINE: usize = 8;
const _: () = assert!(ENTRIES / LINE == u64::BITS as usize);

/// Puts `entry` where there is none, if so it still is; returns what was found otherwise.
pub(super) fn fill(table: Table, index: usize, entry: Entry) -> Result<(), Entry> {
    frames::note_lines(table.frame(), 1 << (index / LINE));
    table.compare_exchange(index, Entry::EMPTY, entry)
}

/// Puts `entry` in and returns what was there: for a place that the caller alone may change.
pub(super) fn put(table: Table, index: usize, entry: Entry) -> Entry {
    frames::note_lines(table.frame(), 1 << (index / LINE));
    table.swap(index, entry)
}

/// Whether the place is among those where entries may be.
pub(super) fn counts_as_used(table: Table, index: usize) -> bool {
    frames::lines(table.frame()) & 1 << (index / LINE) != 0
}

/// The places where entries may be, in order. Of the kernel's half of a root it knows
/// nothing.
pub(super) fn places(table: Table) -> impl Iterator<Item = usize> {
    let mut lines = frames::lines(table.frame());
    let next_line = move || {
        let line = lines.trailing_zeros() as usize;
        lines &= lines.checked_sub(1)?;
        Some(line * LINE)
    };
    core::iter::from_fn(next_line).flat_map(|first| first..first + LINE)
}
