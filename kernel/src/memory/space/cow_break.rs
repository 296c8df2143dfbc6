//! Breaking COW: makes the path to an address private, one level at a time (rules M1, M2).
//!
//! ```text
//!   root ──(W=0)──> table ──> table ──> leaf table ──> page
//!                   held by 3                                     before
//!
//!   root ──(W=1)──> copy ──(W=0)──> the same table below          one step later: the old table has one holder less (once the
//!                                                                 shootdown is over), each of its children one more
//! ```
//!
//! A step reuses the table, when it has no other holder, or copies it. With a copy, every entry loses
//! its writable bit in the old *and* in the new table, and every frame that they point to gets one
//! more holder. Other holders of the old table may do the same at the same time. In a table that is
//! shared only the writable bits change, and they are only cleared.
//!
//! Several threads of one address space may do the same step at once. The thread whose
//! compare-and-exchange puts its copy into the entry above has won; the others discard theirs. Only
//! the winner clears the writable bits of the old table, after its compare-and-exchange. Before it,
//! another thread may have found itself the last holder, reused the table, and be writing the pages
//! below. After it is early enough: the old table keeps our reference until the shootdown is over, so
//! no other holder reuses it before.

use super::address_space::AddressSpace;
use crate::arch::level::Level;
use crate::arch::paging::{Bits, Entry, Table};
use crate::memory::frame::count::TooManyHolders;
use crate::memory::frame::{self, FrameRef, OutOfMemory, Purpose};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::retired::Retired;
use crate::memory::reclaim::retired::RetiredBatch;
use crate::memory::stats::counters::{Counter, count};
use crate::memory::table::occupancy::{self, EntrySet};
use crate::trace::{self, Kind};

/// What an entry that points to a table allows; the leaf decides.
const TABLE_BITS: Bits = Bits::PRESENT.union(Bits::WRITE).union(Bits::USER);

impl AddressSpace {
    /// Makes every table on the path to the address private, and makes those that are missing.
    /// Returns the leaf table. Tables that were replaced are added to `retired`, three at most,
    /// also when it fails half-way.
    ///
    /// The caller holds the mmap lock, shared or alone.
    pub(in crate::memory) fn break_cow_path(
        &self,
        address: usize,
        retired: &mut RetiredBatch,
    ) -> Result<Table, OutOfMemory> {
        self.break_cow_down_to(Level::LEAF_TABLE, address, retired)
    }

    /// The same for the path that ends at the table of that level.
    pub(in crate::memory) fn break_cow_down_to(
        &self,
        last: Level,
        address: usize,
        retired: &mut RetiredBatch,
    ) -> Result<Table, OutOfMemory> {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        while level != last {
            table = private_child(table, level, level.index(address), retired)?;
            level = level.below();
        }
        Ok(table)
    }

    /// As [`break_cow_path`](Self::break_cow_path), but makes no table that is missing: it ends
    /// at the first one.
    ///
    /// The caller holds the mmap lock exclusively.
    pub(in crate::memory) fn break_cow_existing(
        &self,
        address: usize,
        retired: &mut RetiredBatch,
    ) -> Result<(), OutOfMemory> {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        while level != Level::LEAF_TABLE && table.load(level.index(address)).is_present() {
            table = private_child(table, level, level.index(address), retired)?;
            level = level.below();
        }
        Ok(())
    }
}

/// The table that entry `index` of `table` points to, made private. `table` is private already.
#[inline]
pub(in crate::memory) fn private_child(
    table: Table,
    level: Level,
    index: usize,
    retired: &mut RetiredBatch,
) -> Result<Table, OutOfMemory> {
    let entry = table.load(index);
    match entry.frame().filter(|_| entry.is_writable()) {
        // SAFETY: an entry above the lowest level points to a table; `table` holds it.
        Some(child) => Ok(unsafe { Table::new(child) }),
        None => make_private(table, level, index, retired),
    }
}

/// The same where there is more to it than a look.
#[inline(never)]
fn make_private(
    table: Table,
    level: Level,
    index: usize,
    retired: &mut RetiredBatch,
) -> Result<Table, OutOfMemory> {
    loop {
        let entry = table.load(index);
        let Some(frame) = entry.frame() else {
            let fresh = FrameRef::zeroed(Purpose::User)?;
            if occupancy::fill(table, index, Entry::new(fresh.frame(), TABLE_BITS)).is_ok() {
                // SAFETY: zeroed, and from now on a table that `table` holds.
                return Ok(unsafe { Table::new(fresh.into_entry()) });
            }
            // Another thread of this address space was faster, here and below.
            continue;
        };
        // SAFETY: an entry above the lowest level points to a table; `table` holds it, or, if
        // another thread replaces it now, the shootdown that has to wait for this CPU
        // does.
        let child = unsafe { Table::new(frame) };
        if entry.is_writable() {
            return Ok(child);
        }
        if frame::is_sole(frame) {
            if table
                .compare_exchange(index, entry, entry.with(Bits::WRITE))
                .is_ok()
            {
                count(Counter::CowTableReuses);
                let height = level.below().height();
                trace::event(Kind::TableReuse, [height.into(), frame.number().into()]);
                return Ok(child);
            }
            continue;
        }
        let mut writable = EntrySet::default();
        let copy = copy_table(child, level.below(), &mut writable)?;
        let copied = copy.frame();
        if planted(Planted::ProtectedBeforeWon) {
            write_protect(child, &writable);
        }
        if table
            .compare_exchange(index, entry, Entry::new(copied, bits_of_copy()))
            .is_ok()
        {
            count(Counter::CowTableCopies);
            let height = level.below().height();
            let (from, to) = (frame.number(), copied.number());
            trace::event(Kind::TableCopy, [height.into(), from.into(), to.into()]);
            write_protect(child, &writable);
            // Rule M2: another CPU may still walk the old table.
            retired.push(Retired::new(frame, level.below()));
            return Ok(copy);
        }
        discard(copy);
    }
}

/// What the entry of a copied table allows. It is not tracked: CPUs may have translations from the
/// original.
fn bits_of_copy() -> Bits {
    match planted(Planted::TrackedBeforeAcks) {
        true => TABLE_BITS | Bits::TRACKED,
        false => TABLE_BITS,
    }
}

/// A copy of a shared table, in which nothing is writable; where the original has something that
/// is, is added to `writable`. The caller gets the one reference to the copy. No page counts as
/// accessed in the copy of a leaf table: no CPU has got a translation from there (`untouched`).
fn copy_table(
    original: Table,
    level: Level,
    writable: &mut EntrySet,
) -> Result<Table, OutOfMemory> {
    let fresh = FrameRef::zeroed(Purpose::User)?;
    // SAFETY: zeroed, and ours alone until the caller links it.
    let copy = unsafe { Table::new(fresh.into_entry()) };
    debug_assert!(level != Level::PAGE);
    let lost = match level {
        Level::LEAF_TABLE => Bits::WRITE | Bits::ACCESSED,
        _ => Bits::WRITE,
    };
    occupancy::mark_occupied(copy, occupancy::of(original));
    let copied = occupancy::try_each(original, |index, entry| {
        let Some(child) = entry.frame() else {
            return Ok(());
        };
        // Rule M1: the original holds the child, or did a moment ago; what was taken out of it
        // since is not dropped before this CPU acknowledges. And we hold the original.
        if !planted(Planted::UncountedChild) {
            frame::take(child)?;
        }
        copy.set(index, entry.without(lost));
        if entry.is_writable() {
            writable.add(index);
        }
        Ok(())
    });
    if let Err(TooManyHolders) = copied {
        discard(copy);
        return Err(OutOfMemory);
    }
    Ok(copy)
}

/// Clears the writable bits of a table that was left for a copy. Where there was none before
/// there is none now: none is set in a table that is shared.
fn write_protect(original: Table, places: &EntrySet) {
    places.for_each(|index| {
        original.write_protect(index);
    });
}

/// Undoes `copy_table`, as far as it came. The copy was not published, so no shootdown is due.
fn discard(copy: Table) {
    occupancy::each(copy, |_, entry| {
        if let Some(child) = entry.frame() {
            // SAFETY: `copy_table` took this reference, and no CPU ever walked the copy. It is not
            // the last: the original's is dropped after this CPU's acknowledgement at the earliest.
            drop(unsafe { FrameRef::from_entry(child) });
        }
    });
    // SAFETY: likewise; the only reference to the copy.
    drop(unsafe { FrameRef::from_entry(copy.frame()) });
}
