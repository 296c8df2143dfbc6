//! Walks down a tree of tables, as the processor does them.
//!
//! A walk sees tables that other CPUs change at the same time. What it has found may be out of
//! date at once; only the caller knows how long the tables stay (`AddressSpace::look_up`).

use crate::arch::level::Level;
use crate::arch::paging::{Bits, Entry, Table};

/// The leaf entry for an address, and whether the entries of all levels are writable. `None`
/// where a table is missing.
///
/// # Safety
/// The tables below `root` are not freed during the call.
pub(in crate::memory) unsafe fn look_up(root: Table, address: usize) -> Option<(Entry, bool)> {
    // SAFETY: as the caller promises.
    let (table, above) = unsafe { leaf_table(root, address)? };
    let entry = table.load(Level::LEAF_TABLE.index(address));
    entry.frame()?;
    Some((entry, above && entry.is_writable()))
}

/// The leaf table for an address, and whether the entries above it are writable.
///
/// # Safety
/// As for [`look_up`].
#[inline(always)]
unsafe fn leaf_table(root: Table, address: usize) -> Option<(Table, bool)> {
    let mut table = root;
    let mut level = Level::ROOT;
    let mut writable = true;
    while level != Level::LEAF_TABLE {
        let entry = table.load(level.index(address));
        let frame = entry.frame()?;
        writable &= entry.is_writable();
        // SAFETY: the entries of a table above the lowest level point to tables, which stay as the
        // caller promises.
        table = unsafe { Table::new(frame) };
        level = level.below();
    }
    Some((table, writable))
}

/// As [`look_up`], for a caller that is going to use the page: sets the accessed bit, as the
/// processor does before it caches a translation (Intel SDM vol. 3, 4.10.2.3).
///
/// # Safety
/// As for [`look_up`].
pub(in crate::memory) unsafe fn access(root: Table, address: usize) -> Option<(Entry, bool)> {
    // SAFETY: as the caller promises.
    let (table, above) = unsafe { leaf_table(root, address)? };
    let index = Level::LEAF_TABLE.index(address);
    let mut entry = table.load(index);
    loop {
        entry.frame()?;
        if !entry.bits().contains(Bits::ACCESSED) {
            let accessed = entry.with(Bits::ACCESSED);
            if let Err(found) = table.compare_exchange(index, entry, accessed) {
                entry = found;
                continue;
            }
        }
        return Some((entry, above && entry.is_writable()));
    }
}

/// The first address from `from` on and below `end` for which there is a leaf table, with that
/// table. A range without tables costs next to nothing, however large it is.
///
/// # Safety
/// As for [`look_up`].
pub(in crate::memory) unsafe fn next_leaf_table(
    root: Table,
    from: usize,
    end: usize,
) -> Option<(usize, Table)> {
    let mut at = from;
    'next: while at < end {
        let mut table = root;
        let mut level = Level::ROOT;
        while level != Level::LEAF_TABLE {
            let Some(frame) = table.load(level.index(at)).frame() else {
                let size = level.entry_size();
                at = at / size * size + size;
                continue 'next;
            };
            // SAFETY: as in `look_up`.
            table = unsafe { Table::new(frame) };
            level = level.below();
        }
        return Some((at, table));
    }
    None
}
