//! Memory: frames, page tables, address spaces, copy-on-write, TLB shootdown, reclaim.
//!
//! An address space is a tree of page tables with reference counts. `fork` copies its root. A
//! write to a shared page makes the path to that page private, one level at a time. References
//! that leave a table are dropped only after all CPUs have acknowledged that they hold no
//! translation by way of them.
//!
//! Each folder is a layer and uses only those below it. Read them from the bottom up:
//!
//! | layer | what it offers | rules |
//! |---|---|---|
//! | `space` with `user` on top | [`AddressSpace`]: fork, fault, mmap and its kin; access to user memory | M1 to M5, M8, M10 |
//! | `vma` | what may be mapped where: the VMA map, limits | M5 |
//! | `object` | the bytes of files and of shared memory, in frames | M1 |
//! | `tlb` | active-CPU masks, PCIDs, shootdowns with receipts | M2, M5, M6, M7 |
//! | `reclaim` | references are dropped after the shootdown, by tasks | M2, M11 |
//! | `table` | walks, and which entries of a table are in use | M1, M11 |
//! | `heap` | the kernel's heap with per-CPU slab caches | M10 |
//! | `frame` | reference counts, free frames, the reserve, the bytes of a frame | M1, M9, M10 |
//! | `fault_injection`, `stats`, `planted` | failing allocations; counters; faults that tests plant | M10 |
//!
//! On top of the layers: `audit` recounts all references, `quiesce` waits until nothing is left
//! to reclaim, `statistics` is `/proc/vmstat`. Code inside of a layer imports from the file that
//! defines a name; this module's re-exports are for the rest of the kernel.
//!
//! No layer knows a register (see [`arch`]), a process, or an error number of the system calls.

mod audit;
mod fault_injection;
mod frame;
mod heap;
mod object;
mod planted;
mod quiesce;
mod reclaim;
mod space;
mod statistics;
mod stats;
mod table;
mod tlb;
mod user;
mod vma;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

pub use crate::arch::level::{Level, USER_END, USER_ENTRIES, page_of};
pub use crate::arch::{FRAME_SIZE, Frame};
pub use audit::{Audit, audit};
pub use fault_injection::{
    ALL_FAIL, fail_allocation, fail_allocation_here, fail_allocations, reach_heap,
};
pub use frame::kernel_page::KernelPage;
pub use frame::zeroed_pool::run as run_zeroed_pool;
pub use frame::{
    FrameRef, OutOfMemory, Purpose, ensure_free, ensure_free_bytes, free_frames, heap_frames,
    holders, managed_frames,
};
pub use heap::fallible;
pub use object::transfer::{Sink, Source};
pub use object::{Object, PageError, Quota};
pub use quiesce::{is_quiescent, quiesce};
pub use reclaim::reclaimer::{direct_reclaim, release_and_reclaim, run as run_reclaimer};
pub use space::address_space::AddressSpace;
pub use space::advise::Advice;
pub use space::current::{activate, is_current, leave, visit};
pub use space::error::{FaultError, MapError};
pub use space::fault::FaultSlowPath;
pub use space::map::MapRequest;
pub use space::placement::Placement;
pub use space::populate::Populate;
pub use space::remap::{Remap, Target};
pub use space::unmap_file::{set_next_space, unmap_beyond_end};
pub use space::usage::Footprint;
pub use space::within::within;
pub use statistics::statistics;
pub use stats::counters::{Counter, count, total};
pub use tlb::shootdown::serve;
pub use user::error::AccessError;
pub use user::futex_word::check_futex_word;
pub use user::user_buf::UserBuf;
pub use vma::dead_maps::run as run_dead_maps;
pub use vma::limits::Limits;
pub use vma::map::VmaMap;
pub use vma::vm_area::{Backing, Protection, Vma, VmaFlags};

use crate::arch::{self, BootInfo, PhysRange};
use crate::sched::ipi;

/// What a CPU does for the memory system between two polls.
pub fn between_polls() {
    space::current::serve_between_polls();
    reclaim::reclaimer::drop_few();
}

/// Sets the memory system up. Called once, on the first CPU, before there is a heap.
///
/// `aside` bytes of physical memory, in whole frames, are left to the caller for good;
/// returns where they are.
pub fn init(boot: &BootInfo, aside: usize) -> PhysRange {
    stats::counters::init();
    fault_injection::init();
    let aside = frame::init(boot, aside);
    frame::init_caches();
    #[cfg(target_os = "none")]
    heap::global::init(reclaim::reclaimer::reclaim_all_cpus);
    frame::zeroed_pool::init();
    ipi::init();
    space::current::init();
    let without = boot
        .command_line
        .split_whitespace()
        .any(|word| word == "nopcid" || word.starts_with("nopcid="));
    tlb::asid::init(if without { 0 } else { arch::pcids() });
    reclaim::reclaimer::init();
    tlb::shootdown::init();
    vma::dead_maps::init();
    aside
}
