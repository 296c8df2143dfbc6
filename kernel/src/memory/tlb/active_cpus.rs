//! Which address space each CPU is in, and which CPUs each address space is active on
//! (rules M5, M6).
//!
//! Activating and asking for a shootdown are a Dekker pair. The one who changes an entry
//! then counts the generation up, and then reads the set of active CPUs. The one who
//! activates enters the set first and loads CR3 after. So either the sender sees the CPU
//! in the set and asks it, or the CPU begins to walk the tables after the change.
//!
//! With PCIDs a CPU may bring translations with it from its last visit. Between entering the
//! set and loading CR3 it reads the generation, and keeps what it has only if that is the one
//! that it knows (`slots.rs`). So if the sender did not see it, it sees the new generation.

use super::asid::{self, Change, SpaceId};
use super::cpu_set::CpuSet;
use super::range::FlushRange;
use crate::arch::atomic::{AtomicU64, Ordering, load_after};
use crate::arch::{CpuId, Frame};

/// The part of an address space that CPUs contend for when they switch.
pub(in crate::memory) struct ActiveCpus {
    id: SpaceId,
    cpus: AtomicU64,
    generation: AtomicU64,
}

impl ActiveCpus {
    pub(in crate::memory) fn new() -> ActiveCpus {
        ActiveCpus {
            id: SpaceId::fresh(),
            cpus: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }
    }

    /// To be called after entries in the range were changed and before anything relies on
    /// it: counts the generation up and returns who may hold translations from before.
    pub(in crate::memory) fn advance(&self, range: FlushRange) -> (Change, CpuSet) {
        // SeqCst: orders the change before the read of the set (the Dekker pair above).
        let before = self.generation.fetch_add(1, Ordering::SeqCst);
        let change = Change {
            space: self.id,
            generation: before + 1,
            range,
        };
        (change, CpuSet(load_after(&self.cpus)))
    }

    /// Who is active now. Only a hint, unless the caller knows why it cannot change.
    pub(in crate::memory) fn cpus(&self) -> CpuSet {
        CpuSet(self.cpus.load(Ordering::SeqCst))
    }

    /// Enters the set. Returns the generation, to be compared before CR3 is loaded.
    #[must_use]
    pub(in crate::memory) fn enter(&self, cpu: CpuId) -> u64 {
        // SeqCst: orders the entry into the set before the look at the generation, and before
        // the first walk.
        self.cpus.fetch_or(CpuSet::only(cpu).0, Ordering::SeqCst);
        load_after(&self.generation)
    }

    /// The generation, for those who have not entered.
    #[cfg(test)]
    pub(in crate::memory) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Loads CR3 on this CPU, which has entered the set and then seen this generation.
    pub(in crate::memory) fn load(&self, root: Frame, generation: u64) {
        asid::here().enter(root, self.id, generation);
    }

    /// Leaves the set.
    pub(in crate::memory) fn leave(&self, cpu: CpuId) {
        // SeqCst: CR3 was loaded before, so all this CPU did through the old tables comes first.
        self.cpus.fetch_and(!CpuSet::only(cpu).0, Ordering::SeqCst);
    }
}
