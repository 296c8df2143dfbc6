//! The page fault: makes an access possible that the program is allowed, or says why it is not
//! (rules M2, M4, M8, M9).
//!
//! ```text
//!  fault ── VMA? right? ──no──> SIGSEGV
//!    │ make the path private (cow_break.rs)
//!    ├─ nothing there:      fresh zeroes (for a read: the one frame of zeroes), or the object's page
//!    ├─ only we hold it:    reuse: writable in place
//!    ├─ shared, untouched:  copy, in its place if it still is (untouched.rs)
//!    └─ shared:             copy ─> map the copy read-only ─> flush ─> writable ─> thread goes on
//!                                                              └> old reference retired ─> reclaimer
//! ```
//!
//! The same code serves faults from ring 3 and the kernel's own access to user memory. It runs to
//! its end without waiting, unless the address space is active on other CPUs when a page has to be
//! copied: then they have to flush the old page before the new one may be written.
//!
//! **Concurrent faults.** Faults of several threads go on at the same time. Each holds the mmap lock
//! shared, also while it waits for acknowledgements, and changes entries by compare-and-exchange
//! only. While any task holds the lock shared,
//!
//! * an entry above the leaves is made, replaced by a copy or given the writable bit; it never
//!   loses that bit, and never points to the same table again;
//! * a leaf entry is filled, replaced by a COW-pending copy, committed, or given the writable bit;
//!   it never goes back either.
//!
//! All else (fork, munmap, mprotect) holds the lock exclusively, and so begins when no task waits for
//! a copy any more. When two threads write the same page, one of them installs its copy. The other
//! finds the entry COW-pending and waits for a shootdown of its own, which mostly merges with the
//! first.

use super::address_space::AddressSpace;
use super::cow_break::private_child;
use super::current::is_current;
use super::error::FaultError;
use super::first_touch::{first_mapping, leaf_entry};
use super::leaf::{leaf_bits, trace_copy};
use super::mmap_lock::Mappings;
use super::stack_growth;
use super::untouched;
use crate::arch::level::{Level, page_of};
use crate::arch::paging::{Bits, Entry, Table};
use crate::arch::{self, Access, Frame};
use crate::memory::frame::{self, FrameRef, Purpose};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::reclaimer;
use crate::memory::reclaim::retired::{Retired, RetiredBatch};
use crate::memory::stats::counters::{Counter, count};
use crate::memory::table::occupancy;
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown::{self, Ready, Ticket};
use crate::memory::vma::vm_area::{Protection, Vma};
use crate::trace::{self, Kind};

/// What became of a fault.
enum Resolved {
    /// The access is possible now.
    Done,
    /// It will be when the copy is committed, after this shootdown. Whether that is one of all pages
    /// of the leaf table.
    CowPending(CowPending, Ticket, bool),
}

/// What was done to the leaf entry.
enum Leaf {
    /// All that was wanted.
    Ready,
    /// A copy is mapped read-only, to be committed after a flush.
    CowPending(CowPending),
}

/// A COW-pending entry: its copy is mapped read-only while some CPU may still use the page that
/// was mapped before.
#[derive(Clone, Copy)]
struct CowPending {
    table: Table,
    index: usize,
    copy: Frame,
    /// The table with the entry that points to `table`.
    above: Table,
}

impl CowPending {
    /// Makes the copy writable. The caller knows that no CPU has the old translation any more
    /// (rule M4), and has held the mmap lock, shared, since it found the copy in the
    /// entry: no fork and no munmap has come in between. Another thread may have been faster.
    fn commit(self) {
        let mut entry = self.table.load(self.index);
        while entry.frame() == Some(self.copy) && entry.bits().contains(Bits::COW_PENDING) {
            let committed = entry
                .with(Bits::WRITE | Bits::DIRTY)
                .without(Bits::COW_PENDING);
            match self.table.compare_exchange(self.index, entry, committed) {
                Ok(()) => return,
                // The processor has set the accessed bit.
                Err(found) => entry = found,
            }
        }
    }
}

/// The slow path of a fault, which may wait, or fail.
#[must_use]
pub struct FaultSlowPath<'a> {
    space: &'a AddressSpace,
    address: usize,
    access: Access,
    /// It is over in the trace when this is dropped.
    _span: trace::Fault,
}

impl FaultSlowPath<'_> {
    /// Makes the access possible, or says why it cannot be.
    pub async fn resolve(self) -> Result<(), FaultError> {
        match self.space.attempt(self.address, self.access).await {
            // Rule M10: what waits to be dropped may be what is missing.
            Err(FaultError::OutOfMemory) if reclaimer::direct_reclaim().await => {
                self.space.attempt(self.address, self.access).await
            }
            outcome => outcome,
        }
    }
}

impl AddressSpace {
    /// Makes `access` to `address` possible, or says why it cannot be.
    pub async fn fault(&self, address: usize, access: Access) -> Result<(), FaultError> {
        match self.fault_fast(address, access) {
            true => Ok(()),
            false => self.fault_slow(address, access).resolve().await,
        }
    }

    /// The fast path: makes the access possible if that needs no wait, as mostly, so that no future
    /// has to be made. Returns whether it did; if not, [`fault_slow`](Self::fault_slow) has to
    /// follow.
    #[must_use]
    pub fn fault_fast(&self, address: usize, access: Access) -> bool {
        count(Counter::Faults);
        let span = trace::fault(address, access == Access::Write);
        let done = shootdown::ready_now().is_some_and(|ready| {
            self.mmap_lock.try_read().is_some_and(|mappings| {
                // With other CPUs active a shootdown may be due, for which the slow path waits.
                if self.is_active_elsewhere() {
                    return self.replace_untouched(&mappings, address, access);
                }
                let resolved = self.resolve(&mappings, address, access, ready);
                matches!(resolved, Ok(Resolved::Done))
            })
        });
        if !done {
            span.goes_on();
        }
        done
    }

    /// The slow path, for a fault that the fast path has not resolved.
    pub fn fault_slow(&self, address: usize, access: Access) -> FaultSlowPath<'_> {
        FaultSlowPath {
            space: self,
            address,
            access,
            _span: trace::fault_goes_on(),
        }
    }

    fn is_active_elsewhere(&self) -> bool {
        !self.active_cpus.cpus().without(arch::cpu()).is_empty()
    }

    async fn attempt(&self, address: usize, access: Access) -> Result<(), FaultError> {
        let mut mappings = match self.mmap_lock.try_read() {
            Some(mappings) => mappings,
            None => self.mmap_lock.read().await,
        };
        let ready = shootdown::ready().await;
        if self.replace_untouched(&mappings, address, access) {
            return Ok(());
        }
        let mut resolved = self.resolve(&mappings, address, access, ready);
        if matches!(resolved, Err(FaultError::NotMapped))
            && stack_growth::may_grow(&mappings, address)
        {
            drop(mappings);
            mappings = self.grown(address).await?;
            let ready = shootdown::ready().await;
            resolved = self.resolve(&mappings, address, access, ready);
        }
        if let Resolved::CowPending(page, shootdown, flushes_table) = resolved? {
            // If this thread is killed here, the copy stays COW-pending, and the next fault that
            // writes it sends a shootdown for it.
            shootdown.over().await;
            page.commit();
            if flushes_table {
                self.track(page.above, address);
            }
            self.forget_here(address);
        }
        Ok(())
    }

    /// As [`fault`](Self::fault), for an address space that is active nowhere and that
    /// the caller alone has: never waits.
    pub(in crate::memory) fn fault_while_private(
        &self,
        address: usize,
        access: Access,
    ) -> Result<(), FaultError> {
        let mut mappings = self.mmap_lock.try_write().ok_or(FaultError::NotAllowed)?;
        if mappings.vmas.find(address).is_none() {
            stack_growth::grow(&mut mappings, address)?;
        }
        self.resolve(&mappings, address, access, Ready::nobody_to_ask())
            .map(|_| ())
    }

    fn resolve(
        &self,
        mappings: &Mappings,
        address: usize,
        access: Access,
        ready: Ready,
    ) -> Result<Resolved, FaultError> {
        let vma = mappings.vmas.find(address).ok_or(FaultError::NotMapped)?;
        if !allows(vma.protection, access) {
            return Err(FaultError::NotAllowed);
        }
        if access != Access::Write
            && self
                .look_up(address)
                .is_some_and(|(entry, _)| entry.is_present())
        {
            // Another CPU has mapped it meanwhile, or this one held an older, stricter translation
            // (rule M5).
            self.forget_here(address);
            return Ok(Resolved::Done);
        }
        let mut retired = RetiredBatch::new();
        let leaf = self.resolve_leaf(vma, address, access, &mut retired);
        // Also when it failed half-way: what was taken out of the tables has to be released.
        let mut flushes_table = false;
        let shootdown = if retired.is_empty() && !matches!(leaf, Ok(Leaf::CowPending(_))) {
            self.forget_here(address);
            None
        } else {
            let range = match &leaf {
                Ok(Leaf::CowPending(page)) if self.begins_tracking(page.above, address) => {
                    flushes_table = true;
                    untouched::flush_range(address)
                }
                _ => FlushRange::page(address),
            };
            self.active_cpus
                .flush_and_release(ready, range, &mut retired)
        };
        match (leaf?, shootdown) {
            (Leaf::CowPending(page), Some(shootdown)) if !planted(Planted::WritableBeforeAcks) => {
                Ok(Resolved::CowPending(page, shootdown, flushes_table))
            }
            (Leaf::CowPending(page), _) => {
                page.commit();
                if flushes_table {
                    self.track(page.above, address);
                }
                Ok(Resolved::Done)
            }
            // Tables alone were replaced. Their references wait for the acknowledgements, the thread
            // need not.
            (Leaf::Ready, _) => Ok(Resolved::Done),
        }
    }

    /// Loosening needs no shootdown (rule M5), but this CPU would take the fault again
    /// with what its TLB holds.
    fn forget_here(&self, address: usize) {
        if is_current(self) {
            arch::flush_page(page_of(address));
        }
    }

    fn resolve_leaf(
        &self,
        vma: &Vma,
        address: usize,
        access: Access,
        retired: &mut RetiredBatch,
    ) -> Result<Leaf, FaultError> {
        let above = self.break_cow_down_to(untouched::ABOVE, address, retired)?;
        let place = untouched::ABOVE.index(address);
        let table = private_child(above, untouched::ABOVE, place, retired)?;
        let index = Level::LEAF_TABLE.index(address);
        loop {
            let entry = table.load(index);
            let Some(frame) = entry.frame() else {
                let fresh = first_mapping(vma, address, access)?;
                if occupancy::fill(table, index, leaf_entry(&fresh, vma)).is_ok() {
                    let _ = fresh.into_entry();
                    return Ok(Leaf::Ready);
                }
                continue;
            };
            if access != Access::Write || entry.is_writable() {
                return Ok(Leaf::Ready);
            }
            count(Counter::CowFaults);
            // A reference that waits to be dropped on this very CPU may be all that stands between
            // us and the page: drop it now instead of copying.
            let zeroes = frame::is_zeroes(frame);
            let copies = !zeroes && !vma.backing.is_shared() && !frame::is_sole(frame);
            if copies && reclaimer::waits_here() {
                reclaimer::reclaim_here(RECLAIM_STEPS);
            }
            if vma.backing.is_shared() || frame::is_sole(frame) {
                if entry.bits().contains(Bits::COW_PENDING) && !planted(Planted::HastyReuse) {
                    // Another thread waits for the acknowledgements, or was killed while it did.
                    return Ok(Leaf::CowPending(CowPending {
                        table,
                        index,
                        copy: frame,
                        above,
                    }));
                }
                let writable = entry.with(Bits::WRITE | Bits::DIRTY);
                if table
                    .compare_exchange(index, entry, writable.without(Bits::COW_PENDING))
                    .is_ok()
                {
                    count(Counter::CowReuses);
                    trace::event(Kind::Reuse, [address as u64, frame.number().into()]);
                    return Ok(Leaf::Ready);
                }
                continue;
            }
            if !entry.bits().contains(Bits::ACCESSED) {
                // The page is used here, so that no other task drops it without a shootdown: the copy
                // below reads it as a CPU would that has its translation.
                let _ = table.compare_exchange(index, entry, entry.with(Bits::ACCESSED));
                continue;
            }
            let copy = if zeroes {
                FrameRef::zeroed(Purpose::User)?
            } else {
                // SAFETY: the leaf table holds the frame, and as this CPU is active here (or none
                // is) the frame is not dropped before this CPU acknowledges (see `look_up`).
                unsafe { FrameRef::copy_of(frame)? }
            };
            let read_only = leaf_bits(vma.protection) | Bits::ACCESSED | Bits::COW_PENDING;
            if table
                .compare_exchange(index, entry, Entry::new(copy.frame(), read_only))
                .is_ok()
            {
                let copy = copy.into_entry();
                if zeroes {
                    // The holders of the old frame are not counted, so there is nothing to drop.
                    count(Counter::ZeroFills);
                    trace::event(Kind::ZeroFill, [address as u64]);
                } else {
                    self.first_writes.note(address);
                    count(Counter::CowCopies);
                    trace_copy(address, frame, copy);
                    retired.push(Retired::new(frame, Level::PAGE));
                }
                return Ok(Leaf::CowPending(CowPending {
                    table,
                    index,
                    copy,
                    above,
                }));
            }
        }
    }
}

/// How many waiting references a fault drops at the most before it copies.
const RECLAIM_STEPS: usize = 16;

/// Whether a VMA allows an access. On x86 what can be written or executed can be read
/// (Intel SDM vol. 3, 4.6).
pub(super) fn allows(protection: Protection, access: Access) -> bool {
    match access {
        Access::Read => !protection.is_empty(),
        Access::Write => protection.contains(Protection::WRITE),
        Access::Execute => protection.contains(Protection::EXECUTE),
    }
}
