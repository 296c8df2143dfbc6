//! Breaking COW of a page that no CPU has used, without a shootdown (rules M2, M4).
//!
//! The processor caches no translation unless the accessed bit is set in every entry that it was made
//! of, and sets a bit that is clear before it caches (Intel SDM vol. 3, 4.10.2.3; AMD's manual vol. 2,
//! 5.4.2, says likewise that the bit is set when the entry is first used; Amit, "Optimizing the TLB
//! Shootdown Algorithm with Page Access Tracking", USENIX ATC 2017, spares shootdowns by it). So a
//! leaf entry whose accessed bit is clear is in no TLB, *if all translations of its page come from
//! this entry*.
//!
//! **Tracked tables.** Breaking COW copies a leaf table with all accessed bits clear (`cow_break`). At
//! that moment CPUs may have translations from the original. The first write that copies a page below
//! the new table, with other CPUs active, therefore flushes all pages of the table, not one. When all
//! CPUs have acknowledged, the entry above the table becomes *tracked*. It stays so while it points
//! to this table, also in a child: nothing clears an accessed bit in a table, and where a page or a
//! whole table is moved no CPU has a translation of the new place.
//!
//! **The claim.** A task that wants to replace an untouched page has to read it, while other tasks
//! may replace it and drop its reference. All that use a page in the kernel set its accessed bit
//! first, as a CPU does: copies to and from user memory, and faults that copy. The task itself cannot
//! do that, or no page would be untouched. It claims the entry instead, by the bit `CLAIMED`:
//!
//! ```text
//!   F, read-only, A=0  ──claim──>  F, CLAIMED, A=0  ──copy, compare-and-exchange──>  F', writable, A=1
//!                                         │
//!                   a CPU or another task uses F: A=1, and the exchange fails
//! ```
//!
//! One compare-and-exchange makes the claim, so one task at most reads F without the accessed bit.
//! The second one compares the whole entry. It fails if the bit was set meanwhile, and the fault goes
//! the usual way. If it succeeds, then no CPU has a translation to F, and none will make one: its own
//! exchange that sets the bit compares the entry, too. So the new page is writable at once (rule M4),
//! and the reference to F is dropped at once (rule M2), with other CPUs active and undisturbed.

use super::address_space::AddressSpace;
use super::fault::allows;
use super::leaf::{leaf_bits, trace_copy};
use super::mmap_lock::Mappings;
use crate::arch::level::{LEAF_REACH, Level};
use crate::arch::paging::{Bits, Entry, Table};
use crate::arch::{self, Access, Frame};
use crate::memory::frame::{self, FrameRef, Purpose};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::retired::{Receipt, Retired};
use crate::memory::stats::counters::{Counter, count};
use crate::memory::tlb::range::FlushRange;
use crate::trace::{self, Kind};

/// The level of the tables whose entries point to leaf tables.
pub(super) const ABOVE: Level = Level::TABLES[1];

/// What a shootdown flushes that begins the tracking of the leaf table for an address.
pub(super) fn flush_range(address: usize) -> FlushRange {
    if planted(Planted::TrackedByOnePage) {
        return FlushRange::page(address);
    }
    let start = address / LEAF_REACH * LEAF_REACH;
    FlushRange {
        start,
        end: start + LEAF_REACH,
    }
}

impl AddressSpace {
    /// Whether the shootdown for a page shall be one for all pages of its leaf table. `above` has the
    /// entry that points to that. With no other CPU active there is no shootdown to spare.
    pub(super) fn begins_tracking(&self, above: Table, address: usize) -> bool {
        let entry = above.load(ABOVE.index(address));
        !entry.bits().contains(Bits::TRACKED)
            && !self.active_cpus.cpus().without(arch::cpu()).is_empty()
    }

    /// The leaf table is tracked from now on. The caller has held the mmap lock, shared or alone,
    /// since it found the table there, and the shootdown of [`flush_range`] was begun after that,
    /// and is over.
    pub(super) fn track(&self, above: Table, address: usize) {
        above.add(ABOVE.index(address), Bits::TRACKED);
    }

    /// Makes a write possible by replacing the page with a copy, if no CPU has used the page. Returns
    /// whether it did. Only for what is cheaper than the usual way: where no other CPU is active
    /// there is no shootdown to spare.
    pub(super) fn replace_untouched(
        &self,
        mappings: &Mappings,
        address: usize,
        access: Access,
    ) -> bool {
        let replaced = access == Access::Write
            && mappings.vmas.find(address).is_some_and(|vma| {
                !vma.backing.is_shared()
                    && allows(vma.protection, access)
                    && self.try_replace(address, leaf_bits(vma.protection))
            });
        if replaced {
            self.first_writes.note(address);
            count(Counter::CowFaults);
            count(Counter::CowCopiesUntouched);
        }
        replaced
    }

    fn try_replace(&self, address: usize, bits: Bits) -> bool {
        let Some(table) = self.tracked_table(address) else {
            return false;
        };
        let index = Level::LEAF_TABLE.index(address);
        let entry = table.load(index);
        let mut taken = Bits::WRITE | Bits::ACCESSED | Bits::COW_PENDING | Bits::CLAIMED;
        if planted(Planted::AccessedIgnored) {
            taken.remove(Bits::ACCESSED);
        }
        let Some(frame) = entry.frame().filter(|_| !entry.bits().intersects(taken)) else {
            return false;
        };
        let zeroes = frame::is_zeroes(frame);
        // The usual way makes it writable in place.
        if !zeroes && frame::is_sole(frame) {
            return false;
        }
        let claimed = entry.with(Bits::CLAIMED);
        if table.compare_exchange(index, entry, claimed).is_err() {
            return false;
        }
        let copy = match zeroes {
            true => FrameRef::zeroed(Purpose::User),
            // SAFETY: the entry holds the frame. Other tasks that could take it out without an
            // acknowledgement of this CPU find the claim, and leave it.
            false => unsafe { FrameRef::copy_of(frame) },
        };
        let Ok(copy) = copy else {
            table.remove(index, Bits::CLAIMED);
            return false;
        };
        let writable = bits | Bits::WRITE | Bits::ACCESSED | Bits::DIRTY;
        let replaced = Entry::new(copy.frame(), writable);
        if table.compare_exchange(index, claimed, replaced).is_err() {
            // The page was used, or was replaced because it was.
            table.remove(index, Bits::CLAIMED);
            return false;
        }
        let copy = copy.into_entry();
        if zeroes {
            count(Counter::ZeroFills);
            trace::event(Kind::ZeroFill, [address as u64]);
        } else {
            count(Counter::CowCopies);
            trace_copy(address, frame, copy);
            drop_untouched(frame);
        }
        true
    }

    /// The leaf table for an address, if the path to it is private and the table is tracked.
    fn tracked_table(&self, address: usize) -> Option<Table> {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        loop {
            let entry = table.load(level.index(address));
            let below = entry.frame().filter(|_| entry.is_writable())?;
            // SAFETY: an entry above the lowest level points to a table. The path is private, and
            // the caller holds the mmap lock, so no table on it is replaced.
            table = unsafe { Table::new(below) };
            if level == ABOVE {
                return entry.bits().contains(Bits::TRACKED).then_some(table);
            }
            level = level.below();
        }
    }
}

/// Drops the reference to a page that was replaced. It is not the last mostly: the other holder is
/// why it was copied.
fn drop_untouched(frame: Frame) {
    Retired::new(frame, Level::PAGE).release(Receipt::never_cached(), arch::clock());
}
