//! The CPUs that are active in an address space, and the generation of its entries (rules M5, M6).
//!
//! Entering an address space and flushing it are a Dekker pair:
//!
//! | a CPU that changes entries | a CPU that enters |
//! |---|---|
//! | stores the entries | adds itself to the mask (`fetch_or`, SeqCst) |
//! | counts the generation up (`fetch_add`, SeqCst) | loads the generation (SeqCst) |
//! | loads the mask (SeqCst) | loads CR3 and walks the tables |
//!
//! The two read-modify-writes and the two loads are in one total order of SeqCst operations. So
//! either the load of the mask observes the CPU that enters, which is then sent a flush request;
//! or that CPU's `fetch_or` comes after the load, and then its load of the generation, and its
//! walks, come after the `fetch_add` and observe the new generation and the new entries.
//!
//! With PCIDs a CPU may still have translations from its last visit. It keeps them only if the
//! generation that it has loaded is the one up to which they are known to be clean (`asid.rs`).

use super::asid::{self, Change, SpaceId};
use super::cpu_set::CpuSet;
use super::range::FlushRange;
use crate::arch::atomic::{AtomicU64, Ordering, load_after};
use crate::arch::{CpuId, Frame};

/// The part of an address space that CPUs write when they switch to it or from it.
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
    /// it. Counts the generation up, and returns the CPUs that may hold translations from before.
    pub(in crate::memory) fn advance(&self, range: FlushRange) -> (Change, CpuSet) {
        // SeqCst: the entries' stores come before this, the load of the mask after it (the Dekker
        // pair above).
        let before = self.generation.fetch_add(1, Ordering::SeqCst);
        let change = Change {
            space: self.id,
            generation: before + 1,
            range,
        };
        (change, CpuSet(load_after(&self.cpus)))
    }

    /// The CPUs that are active now. Only a hint, unless the caller knows why it cannot change.
    pub(in crate::memory) fn cpus(&self) -> CpuSet {
        CpuSet(self.cpus.load(Ordering::SeqCst))
    }

    /// Enters the set. Returns the generation, to be compared before CR3 is loaded.
    #[must_use]
    pub(in crate::memory) fn enter(&self, cpu: CpuId) -> u64 {
        // SeqCst: this store to the mask comes before the load of the generation, and before the
        // first walk (the Dekker pair above).
        self.cpus.fetch_or(CpuSet::only(cpu).0, Ordering::SeqCst);
        load_after(&self.generation)
    }

    /// The generation, for a CPU that has not entered.
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
        // SeqCst, a Release: CR3 was loaded before, so all that this CPU did through the old tables
        // happens before a load of the mask that no longer has this CPU.
        self.cpus.fetch_and(!CpuSet::only(cpu).0, Ordering::SeqCst);
    }
}
