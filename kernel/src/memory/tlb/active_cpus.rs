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

use crate::arch::Frame;
use crate::arch::atomic::{AtomicU64, Ordering, load_after};
use crate::arch::{self, CpuId, PerMachine};
use crate::memory::planted::{Planted, planted};
use crate::memory::space::AddressSpace;
use crate::memory::tlb::asid::{self, Change, SpaceId};
use crate::memory::tlb::flush::FlushRange;
use crate::trace::{self, Kind};
use alloc::sync::Arc;
use alloc::vec::Vec;
use crossbeam_utils::CachePadded;
use spin::Mutex;

/// A set of CPUs, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuSet(pub u64);

impl CpuSet {
    /// The set with one CPU in it.
    pub fn only(cpu: CpuId) -> CpuSet {
        CpuSet(1 << cpu.0)
    }

    /// Whether nobody is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the CPU is in it.
    pub fn contains(self, cpu: CpuId) -> bool {
        self.0 & CpuSet::only(cpu).0 != 0
    }

    /// The same set without the CPU.
    pub fn without(self, cpu: CpuId) -> CpuSet {
        CpuSet(self.0 & !CpuSet::only(cpu).0)
    }

    /// The CPUs in it.
    pub fn iter(self) -> impl Iterator<Item = CpuId> {
        let mut left = self;
        core::iter::from_fn(move || {
            let first = CpuId(left.0.trailing_zeros() as usize);
            let found = !left.is_empty();
            found.then(|| {
                left = left.without(first);
                first
            })
        })
    }
}

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

    fn load(&self, root: Frame, generation: u64) {
        asid::here().enter(root, self.id, generation);
    }

    /// Leaves the set.
    pub(in crate::memory) fn leave(&self, cpu: CpuId) {
        // SeqCst: CR3 was loaded before, so all this CPU did through the old tables comes first.
        self.cpus.fetch_and(!CpuSet::only(cpu).0, Ordering::SeqCst);
    }
}

/// The address space that each CPU's CR3 points to. The reference keeps its tables.
type Current = CachePadded<Mutex<Option<Arc<AddressSpace>>>>;

static CURRENT: PerMachine<Vec<Current>> = PerMachine::new();

pub(in crate::memory) fn init() {
    let nowhere = || CachePadded::new(Mutex::new(None));
    CURRENT.init((0..arch::cpu_count()).map(|_| nowhere()).collect());
}

/// Makes the address space this CPU's. Must be called at the start of each poll of a
/// task that uses user memory, and holds until the poll ends.
pub fn activate(space: &Arc<AddressSpace>) {
    let cpu = arch::cpu();
    let mut slot = CURRENT.get()[cpu.0].lock();
    if slot
        .as_ref()
        .is_some_and(|current| Arc::ptr_eq(current, space))
    {
        return;
    }
    #[cfg(test)]
    if planted(Planted::LateEntry) {
        let generation = space.active_cpus.generation();
        space.active_cpus.load(space.root(), generation);
        (0..8).for_each(|_| arch::scheduling_point());
    }
    let generation = space.active_cpus.enter(cpu);
    if !planted(Planted::LateEntry) {
        space.active_cpus.load(space.root(), generation);
    }
    trace::event(Kind::Switch, [space.root().number().into()]);
    let old = slot.replace(space.clone());
    drop(slot);
    // The last reference may go here, and with it the whole address space: not under the
    // lock.
    finish_leaving(old, cpu);
}

/// Makes this CPU leave its address space, so that nobody has to ask it for anything.
pub fn leave() {
    let cpu = arch::cpu();
    let old = {
        let mut slot = CURRENT.get()[cpu.0].lock();
        if slot.is_some() {
            arch::load_kernel_root();
            trace::event(Kind::Switch, [0]);
            asid::here().leave();
        }
        slot.take()
    };
    finish_leaving(old, cpu);
}

fn finish_leaving(old: Option<Arc<AddressSpace>>, cpu: CpuId) {
    if let Some(old) = old {
        old.active_cpus.leave(cpu);
    }
}

/// Whether this CPU's CR3 points to the address space.
pub fn is_current(space: &AddressSpace) -> bool {
    space.active_cpus.cpus().contains(arch::cpu())
}
