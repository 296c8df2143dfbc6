//! Which address space each CPU is in (rule M6).

use super::address_space::AddressSpace;
use crate::arch::{self, CpuId, PerMachine};
use crate::memory::planted::{Planted, planted};
use crate::memory::tlb::{asid, shootdown};
use crate::trace::{self, Kind};
use alloc::sync::Arc;
use alloc::vec::Vec;
use crossbeam_utils::CachePadded;
use spin::Mutex;

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

/// Makes this CPU leave its address space, so that it is sent no flush requests (rule M6).
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

/// Runs `look` with another address space active on this CPU, whose tables stay meanwhile as those of
/// the current one do. Then the CPU is again where it was.
pub fn visit<T>(space: &Arc<AddressSpace>, look: impl FnOnce() -> T) -> T {
    let before = CURRENT.get()[arch::cpu().0].lock().clone();
    activate(space);
    let result = look();
    match before {
        Some(before) => activate(&before),
        None => leave(),
    }
    result
}

fn finish_leaving(old: Option<Arc<AddressSpace>>, cpu: CpuId) {
    if let Some(old) = old {
        old.active_cpus.leave(cpu);
    }
}

/// Serves the requests of other CPUs, if there are any. To be called between two polls, where this
/// CPU needs no user memory: it leaves the address space first, and is not asked again before it
/// comes back. Else a CPU that goes on with tasks of the kernel would be asked for each page that
/// a thread writes which has moved away from here.
pub(in crate::memory) fn serve_between_polls() {
    if shootdown::has_request() {
        leave();
        shootdown::serve();
    }
}

/// Whether this CPU's CR3 points to the address space.
pub fn is_current(space: &AddressSpace) -> bool {
    space.active_cpus.cpus().contains(arch::cpu())
}

/// Panics unless this CPU is active in the address space. The kernel touches user memory only then:
/// a frame that leaves the tables meanwhile is not dropped before this CPU acknowledges (rule M2).
#[inline]
pub(in crate::memory) fn assert_active(space: &AddressSpace) {
    assert!(
        is_current(space),
        "user memory of an address space that is not active here"
    );
}
