//! PCID slots of each CPU: the address space that each PCID tags, and the generation up to which
//! its translations are current (rule M6).
//!
//! Without PCIDs a load of CR3 flushes everything, and a CPU has translations only of the address
//! space that it is in. With them (Intel SDM vol. 3, 4.10.1) translations are tagged and stay when
//! the CPU leaves. So each CPU has a row of [`AsidSlot`]s, one for each PCID that it uses. A slot
//! says which address space owns the translations under the PCID, and the generation of that
//! address space up to which all changes have been flushed. A CPU that comes back compares: if the
//! generation is the same it loads CR3 with the bit that keeps the translations, else it flushes
//! them.
//!
//! **While the CPU is in the address space** each change reaches it as its own or by a shootdown,
//! with the generation that the change began. If that is the next generation, the pages of the
//! change are flushed. If it is a later one, another change is still on its way: everything is
//! flushed, and when the other change arrives there is nothing left to do.
//!
//! **Translations under a PCID that is not current** may be stale, and may point to frames and
//! tables that have long been free. The processor uses neither translations nor paging-structure
//! entries of another PCID than the current one, for speculative walks either (4.10.1, 4.10.2).
//! And a PCID does not become current before the CPU has compared generations, or, when another
//! address space gets the slot, without being flushed. Numbers of address spaces are never used
//! again, so the slot of an owner that is gone matches no other. That is why a CPU that has left
//! need not be asked before references are dropped (rule M2).
//!
//! INVPCID is not needed: only the current PCID is ever flushed.

use super::range::FlushRange;
use crate::arch::Frame;
use crate::arch::{self, Pcid, PerMachine};
use crate::memory::planted::{Planted, planted};
use crate::memory::stats::counters::{Counter, count};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;

/// PCIDs that each CPU uses at most. Linux has six too: more are seldom still worth something
/// when the CPU comes back (TLB_NR_DYN_ASIDS).
const SLOTS: usize = 6;

/// An address space's number, which no other one ever has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::memory) struct SpaceId(u64);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl SpaceId {
    /// No address space.
    const NONE: u64 = 0;

    /// A number that was not there before.
    pub(in crate::memory) fn fresh() -> SpaceId {
        SpaceId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// As a bare number, for a place that other CPUs read.
    pub(in crate::memory) fn to_raw(self) -> u64 {
        self.0
    }

    /// From there.
    pub(in crate::memory) fn from_raw(raw: u64) -> SpaceId {
        SpaceId(raw)
    }
}

/// A change of entries of which CPUs have to take note.
#[derive(Clone, Copy, Debug)]
pub(in crate::memory) struct Change {
    /// The address space.
    pub(in crate::memory) space: SpaceId,
    /// The generation of the address space that it began.
    pub(in crate::memory) generation: u64,
    /// The addresses.
    pub(in crate::memory) range: FlushRange,
}

/// What a CPU has under one PCID. Relaxed throughout: only that CPU uses it.
struct AsidSlot {
    owner: AtomicU64,
    generation: AtomicU64,
}

/// The slots of one CPU. Relaxed likewise.
pub(in crate::memory) struct AsidSlots {
    slots: [AsidSlot; SLOTS],
    /// The one in use; behind the end when the CPU is in no address space.
    current: AtomicUsize,
    /// The one to be given away next.
    next: AtomicUsize,
    /// How many there are; none without PCIDs, when only the first slot is used.
    count: AtomicUsize,
}

static SLOTS_OF: PerMachine<Vec<CachePadded<AsidSlots>>> = PerMachine::new();

/// With `pcids` PCIDs besides 0, as far as there are so many.
pub(in crate::memory) fn init(pcids: usize) {
    let slot = || AsidSlot {
        owner: AtomicU64::new(SpaceId::NONE),
        generation: AtomicU64::new(0),
    };
    let slots = || AsidSlots {
        slots: core::array::from_fn(|_| slot()),
        current: AtomicUsize::new(SLOTS),
        next: AtomicUsize::new(0),
        count: AtomicUsize::new(pcids.min(SLOTS)),
    };
    SLOTS_OF.init(
        (0..arch::cpu_count())
            .map(|_| CachePadded::new(slots()))
            .collect(),
    );
}

/// This CPU's slots.
pub(in crate::memory) fn here() -> &'static AsidSlots {
    &SLOTS_OF.get()[arch::cpu().0]
}

/// For tests: how many PCIDs all CPUs use from now on.
#[cfg(all(test, not(loom)))]
pub(in crate::memory) fn set_pcids(count: usize) {
    for slots in SLOTS_OF.get() {
        slots.count.store(count, Ordering::Relaxed);
    }
}

impl AsidSlots {
    /// Loads CR3 with the root of an address space of which this generation was seen after the
    /// CPU had entered the set of active ones.
    pub(in crate::memory) fn enter(&self, root: Frame, space: SpaceId, generation: u64) {
        let pcids = self.count.load(Ordering::Relaxed);
        let known = (0..pcids).find(|&n| self.slots[n].owner.load(Ordering::Relaxed) == space.0);
        let place = known.unwrap_or_else(|| self.give_away(pcids));
        let slot = &self.slots[place];
        let up_to_date = slot.generation.load(Ordering::Relaxed) == generation
            || planted(Planted::GenerationNotCompared);
        if pcids == 0 {
            arch::load_root(root);
        } else if known.is_some() && up_to_date {
            count(Counter::TranslationsKept);
            arch::load_root_keeping(root, pcid(place));
        } else {
            arch::load_root_tagged(root, pcid(place));
        }
        slot.owner.store(space.0, Ordering::Relaxed);
        slot.generation.store(generation, Ordering::Relaxed);
        self.current.store(place, Ordering::Relaxed);
    }

    /// The CPU has loaded the kernel's own root.
    pub(in crate::memory) fn leave(&self) {
        self.current.store(SLOTS, Ordering::Relaxed);
    }

    /// Takes note of a change: forgets what may be stale by it.
    pub(in crate::memory) fn forget(&self, change: Change) {
        let current = self.current.load(Ordering::Relaxed);
        let Some(slot) = self
            .slots
            .get(current)
            .filter(|slot| slot.belongs_to(change))
        else {
            // The CPU has left that address space. It compares generations when it comes back.
            return;
        };
        let known = slot.generation.load(Ordering::Relaxed);
        if change.generation <= known {
            return;
        }
        if change.generation == known + 1 {
            change.range.flush_here();
        } else {
            // All changes up to this one were made before it was counted.
            arch::flush_all();
        }
        slot.generation.store(change.generation, Ordering::Relaxed);
    }

    /// Whether the change is to the address space that this CPU is in.
    pub(in crate::memory) fn concerns(&self, change: Change) -> bool {
        let current = self.current.load(Ordering::Relaxed);
        self.slots
            .get(current)
            .is_some_and(|slot| slot.belongs_to(change))
    }

    fn give_away(&self, pcids: usize) -> usize {
        let place = self.next.load(Ordering::Relaxed);
        self.next
            .store((place + 1) % pcids.max(1), Ordering::Relaxed);
        place
    }
}

impl AsidSlot {
    fn belongs_to(&self, change: Change) -> bool {
        self.owner.load(Ordering::Relaxed) == change.space.0
    }
}

/// The PCID of a slot. 0 is for the kernel's own root, and for CPUs without PCIDs.
fn pcid(place: usize) -> Pcid {
    place as Pcid + 1
}
