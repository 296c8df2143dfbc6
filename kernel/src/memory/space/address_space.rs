//! An address space: a root table, the mmap lock, and the CPUs that are in it.

use super::first_writes::FirstWrites;
use super::mmap_lock::{Mappings, MmapLock};
use crate::arch::level::Level;
use crate::arch::paging::{Entry, Table};
use crate::arch::{self, Frame};
use crate::memory::frame::count::Dropped;
use crate::memory::frame::{self, FrameRef, OutOfMemory, Purpose};
use crate::memory::reclaim::retired::{Receipt, Retired};
use crate::memory::table::{occupancy, walk};
use crate::memory::tlb::active_cpus::ActiveCpus;
use crate::memory::vma::limits::Limits;
use alloc::sync::Arc;

/// An address space.
pub struct AddressSpace {
    /// This holds the one reference to it.
    root: Frame,
    pub(in crate::memory) active_cpus: ActiveCpus,
    pub(in crate::memory) mmap_lock: MmapLock,
    pub(in crate::memory) first_writes: FirstWrites,
}

impl AddressSpace {
    /// An empty one, with the usual limits.
    pub fn new() -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::limited(Limits::USUAL)
    }

    /// An empty one with these limits.
    pub fn limited(limits: Limits) -> Result<Arc<AddressSpace>, OutOfMemory> {
        AddressSpace::with_mappings(Mappings::empty(limits))
    }

    pub(super) fn with_mappings(mappings: Mappings) -> Result<Arc<AddressSpace>, OutOfMemory> {
        let root = FrameRef::zeroed(Purpose::User)?;
        arch::new_root(root.frame());
        Ok(Arc::new(AddressSpace {
            root: root.into_entry(),
            active_cpus: ActiveCpus::new(),
            mmap_lock: MmapLock::new(mappings),
            first_writes: FirstWrites::default(),
        }))
    }

    /// The frame of the root.
    pub(in crate::memory) fn root(&self) -> Frame {
        self.root
    }

    /// The root as a table.
    pub(in crate::memory) fn root_table(&self) -> Table {
        // SAFETY: the root is a table from `with_mappings` on, and lives as long as `self`.
        unsafe { Table::new(self.root) }
    }

    /// The leaf entry for an address, and whether all levels allow writes. None where a
    /// table is missing.
    ///
    /// What it says about presence stays true as long as this CPU is active in the
    /// address space (or no CPU is, and the caller owns it), until the next await: a
    /// frame that is taken out of the tables meanwhile is not dropped before this CPU
    /// acknowledges the shootdown, exactly as if its TLB held the entry (rule M2).
    pub(in crate::memory) fn look_up(&self, address: usize) -> Option<(Entry, bool)> {
        // SAFETY: the tables below the root stay, as said above.
        unsafe { walk::look_up(self.root_table(), address) }
    }

    /// As [`look_up`](Self::look_up), for a caller that is going to use the page, which counts as
    /// accessed from then on: no other CPU replaces it without a shootdown (`untouched`).
    pub(in crate::memory) fn access(&self, address: usize) -> Option<(Entry, bool)> {
        // SAFETY: the tables below the root stay, as for `look_up`.
        unsafe { walk::access(self.root_table(), address) }
    }

    /// The first address from `from` on and below `end` for which there is a leaf table,
    /// with that table, which stays as [`look_up`](Self::look_up) says. A range without
    /// tables costs next to nothing, however large it is.
    pub(in crate::memory) fn next_leaf_table(
        &self,
        from: usize,
        end: usize,
    ) -> Option<(usize, Table)> {
        // SAFETY: the tables below the root stay, as `look_up` says.
        unsafe { walk::next_leaf_table(self.root_table(), from, end) }
    }
}

impl AddressSpace {
    /// Changes the limits. What is mapped beyond them stays.
    pub async fn set_limits(&self, limits: Limits) {
        self.mmap_lock.write().await.limits = limits;
    }
}

impl Drop for AddressSpace {
    /// Retires all that the root points to. The reclaimer drops it, and takes a table apart that has
    /// no other holder.
    fn drop(&mut self) {
        // Every CPU that is active here holds a reference to `self`, so none is, and each that
        // was has loaded another CR3 since, which made it forget.
        debug_assert!(self.active_cpus.cpus().is_empty());
        let root = self.root_table();
        let since = arch::clock();
        occupancy::each(root, |index, entry| {
            root.set(index, Entry::EMPTY);
            if let Some(frame) = entry.frame() {
                Retired::new(frame, Level::ROOT.below()).release(Receipt::all_forgot(), since);
            }
        });
        arch::clear_root(self.root);
        if frame::drop_reference(self.root) == Dropped::Last {
            // The next child's root.
            frame::free_zeroed(self.root);
        }
    }
}
