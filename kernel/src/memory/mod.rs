//! Memory: frames, address spaces, copy-on-write, shootdown, reclaim.
//!
//! In reading order:
//!
//! | module | what it is for | rules |
//! |---|---|---|
//! | `count`, `frames`, `stock` | frames, who holds them, the free ones, those zeroed ahead | M1, M9, M10 |
//! | `contents` | the bytes in a frame | M9 |
//! | `space`, `ahead` | the tree of tables; `fork` copies its root, and the pages that are written next | M1, M3 |
//! | `unshare`, `sparse`, `fault` | a write un-shares the path to its page, and then the page | M1, M4, M9 |
//! | `area`, `vma`, `mappings` | what may be mapped where, and the lock around it | M5 |
//! | `map`, `protect`, `brk`, `advise`, `inherit` | the calls that change it | M5, M10 |
//! | `remap`, `relocate` | mremap, and how entries move | M2, M5, M10 |
//! | `grow`, `limits` | stacks that grow, and how much may be mapped | |
//! | `residence` | pages before they are used: populate, mlock, mincore | |
//! | `active`, `tags`, `flush`, `asking`, `shootdown` | which CPU is where, and how it is made to forget | M5, M6, M7 |
//! | `reclaim` | references are dropped after the shootdown, by tasks | M2, M11 |
//! | `barrier` | a memory barrier on the CPUs that run an address space | M6 |
//! | `user`, `word`, `transfer` | the kernel's access to user memory | M8 |
//! | `object` | bytes of files and of shared memory | M1 |
//! | `audit`, `counters`, `histogram` | does it add up; what has been done | M11 |
//!
//! Nothing in here knows a register; see [`arch`] for what the machine does.

mod audit;
mod fault_injection;
mod frame;
#[cfg(not(loom))]
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
pub use fault_injection::{ALL_FAIL, fail_allocation, fail_allocation_here, fail_allocations};
pub use frame::zeroed_pool::run as run_zeroed_pool;
pub use frame::{
    FrameRef, OutOfMemory, Purpose, ensure_free, ensure_free_bytes, free_frames, heap_frames,
    holders, managed_frames,
};
pub use object::transfer::{Sink, Source};
pub use object::{Object, PageError};
pub use quiesce::{is_quiescent, quiesce};
pub use reclaim::reclaimer::{direct_reclaim, release_and_reclaim, run as run_reclaimer};
pub use space::address_space::AddressSpace;
pub use space::advise::Advice;
pub use space::current::{activate, is_current, leave};
pub use space::error::{FaultError, MapError};
pub use space::fault::FaultSlowPath;
pub use space::map::MapRequest;
pub use space::placement::Placement;
pub use space::populate::Populate;
pub use space::remap::{Remap, Target};
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
    fault_injection::init();
    let aside = frame::init(boot, aside);
    frame::init_caches();
    #[cfg(target_os = "none")]
    heap::global::init(reclaim::reclaimer::reclaim_all_cpus);
    stats::counters::init();
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
