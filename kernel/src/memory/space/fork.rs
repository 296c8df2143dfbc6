//! fork: a second root for the same tables (rules M1, M3).

use super::address_space::AddressSpace;
use crate::arch::paging::Bits;
use crate::memory::frame::count::TooManyHolders;
use crate::memory::frame::{self, OutOfMemory};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::retired::RetiredBatch;
use crate::memory::stats::counters::{Counter, count};
use crate::memory::table::occupancy;
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown;
use alloc::sync::Arc;

impl AddressSpace {
    /// Copies the address space: the root's user entries, and one reference to each table
    /// that they point to (rule M3); and a page or two that are sure to be written next (`eager_cow.rs`).
    ///
    /// When this returns no CPU can write, through whatever stale translation, what is
    /// shared now. Until then the mmap lock keeps write faults of other threads
    /// from copying a frame that is still being written.
    pub async fn fork(&self) -> Result<Arc<AddressSpace>, OutOfMemory> {
        frame::ensure_free()?;
        let mut mappings = self.mmap_lock.write().await;
        let vmas = mappings.vmas.for_child()?;
        let child = AddressSpace::with_mappings(mappings.for_child(vmas))?;
        let ready = shootdown::ready().await;
        let likely = self.likely_writes();
        let shared = self.share_with(&child);
        // Even if it failed half-way some entries have lost their writable bit, so that the flush
        // is due.
        let none = &mut RetiredBatch::new();
        let shootdown = self
            .active_cpus
            .flush_and_release(ready, FlushRange::ALL, none);
        mappings.expect(shootdown);
        if !planted(Planted::EagerCowBeforeAcks) {
            mappings.finish_outstanding().await;
        }
        shared?;
        self.eager_cow(&child, &likely);
        if planted(Planted::EagerCowBeforeAcks) {
            mappings.finish_outstanding().await;
        }
        let is_advised = mappings.vmas.concern_fork();
        drop(mappings);
        if is_advised {
            child.apply_fork_advice().await?;
        }
        count(Counter::Forks);
        Ok(child)
    }

    /// Gives `child`, which is empty, everything that `self` maps. On failure the child's
    /// entries so far are dropped with it.
    fn share_with(&self, child: &AddressSpace) -> Result<(), OutOfMemory> {
        let (from, to) = (self.root_table(), child.root_table());
        occupancy::mark_occupied(to, occupancy::of(from));
        occupancy::try_each(from, |index, entry| {
            from.write_protect(index);
            if let Some(table) = entry.frame() {
                // Rule M1: we hold a reference, so we may take one for the child.
                frame::take(table).map_err(|TooManyHolders| OutOfMemory)?;
            }
            to.set(index, entry.without(Bits::WRITE | Bits::ACCESSED));
            Ok(())
        })
    }
}
