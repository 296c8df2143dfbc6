//! What may be mapped where in an address space, and the mmap lock around it (rules M3, M5).
//!
//! Faults hold the lock shared. All that takes rights away or shares pages (fork, munmap, mprotect,
//! mremap, madvise) holds it exclusively, across its wait for other CPUs. It is an async lock: a task
//! that finds it taken waits.
//!
//! **A wait that is given up.** A thread may be killed while it waits and holds the lock, and other
//! threads and processes go on in the same memory. The shootdown that it waited for is not over
//! then: some CPU may still use a page that has lost its VMA, or write a page that a fork shares. So
//! the shootdown stays in [`Mappings`], and the lock is granted to no task, shared or exclusively,
//! before it is complete. A holder of the lock knows that no shootdown is outstanding but those that
//! it starts itself. So a range is not handed out again before its shootdown is complete, whichever
//! task started that.

use crate::arch::FRAME_SIZE;
use crate::arch::level::USER_END;
use crate::memory::planted::{Planted, planted, planted_in_call};
use crate::memory::tlb::shootdown::{Ticket, over};
use crate::memory::vma::limits::Limits;
use crate::memory::vma::map::{GUARD_GAP, VmaMap};
use crate::memory::vma::vm_area::VmaFlags;
use executor::sync::{ReadGuard, RwLock, WriteGuard};

/// Room for the stack below the end of user memory: as much as it may grow, but not less than
/// the first nor more than the second, as Linux has it.
const STACK_ROOM: (usize, usize) = (128 << 20, USER_END / 6 * 5);

/// What may be mapped where.
pub struct Mappings {
    /// The VMAs.
    pub vmas: VmaMap,
    /// Where the heap that `brk` moves begins.
    pub heap_start: usize,
    /// Where it ends; not page-aligned.
    pub heap_end: usize,
    /// Mappings without an address hint are placed below this address.
    pub map_top: usize,
    /// Flags that every new VMA gets besides those that are asked for (mlockall(2)).
    pub new_flags: VmaFlags,
    /// How much may be mapped.
    pub limits: Limits,
    /// The shootdown that the last exclusive holder started, while it may be incomplete.
    outstanding: Option<Ticket>,
}

impl Mappings {
    /// One with nothing mapped.
    pub(in crate::memory) fn empty(limits: Limits) -> Mappings {
        let room = limits.stack.clamp(STACK_ROOM.0, STACK_ROOM.1) & !(FRAME_SIZE - 1);
        Mappings {
            vmas: VmaMap::default(),
            heap_start: 0,
            heap_end: 0,
            map_top: USER_END - room - GUARD_GAP,
            new_flags: VmaFlags::empty(),
            limits,
            outstanding: None,
        }
    }

    /// The mappings of a child, which is active nowhere: nothing is outstanding there.
    pub(in crate::memory) fn for_child(&self, vmas: VmaMap) -> Mappings {
        Mappings {
            vmas,
            new_flags: VmaFlags::empty(),
            outstanding: None,
            ..*self
        }
    }

    /// Whether nothing that was asked of other CPUs is still to come.
    fn is_quiescent(&self) -> bool {
        self.outstanding.is_none_or(Ticket::is_over)
    }

    /// Notes what there is to wait for before the lock may be let go, if anything is.
    pub(in crate::memory) fn expect(&mut self, shootdown: Option<Ticket>) {
        debug_assert!(self.is_quiescent(), "one at a time");
        if !planted_in_call(Planted::NotAwaited) {
            self.outstanding = shootdown;
        }
    }

    /// Waits for it. If the wait is given up, the next task that takes the lock goes on with it.
    pub(in crate::memory) async fn finish_outstanding(&mut self) {
        over(self.outstanding).await;
        self.outstanding = None;
    }
}

/// The lock around an address space's mappings.
pub(in crate::memory) struct MmapLock(RwLock<Mappings>);

impl MmapLock {
    pub(in crate::memory) fn new(mappings: Mappings) -> MmapLock {
        MmapLock(RwLock::new(mappings))
    }

    /// Takes the lock exclusively.
    pub(in crate::memory) async fn write(&self) -> WriteGuard<'_, Mappings> {
        let mut mappings = self.0.write().await;
        if planted(Planted::RangeReusedBeforeAcks) {
            mappings.outstanding = None;
        }
        mappings.finish_outstanding().await;
        mappings
    }

    /// Takes the lock shared.
    pub(in crate::memory) async fn read(&self) -> ReadGuard<'_, Mappings> {
        loop {
            let mappings = self.0.read().await;
            if mappings.is_quiescent() {
                return mappings;
            }
            drop(mappings);
            drop(self.write().await);
        }
    }

    /// Takes the lock shared, if there is nothing to wait for.
    pub(in crate::memory) fn try_read(&self) -> Option<ReadGuard<'_, Mappings>> {
        self.0.try_read().filter(|mappings| mappings.is_quiescent())
    }

    /// Takes the lock exclusively, if there is nothing to wait for.
    pub(in crate::memory) fn try_write(&self) -> Option<WriteGuard<'_, Mappings>> {
        self.0
            .try_write()
            .filter(|mappings| mappings.is_quiescent())
    }
}
