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
//! | `area`, `vma`, `layout` | what may be mapped where, and the lock around it | M5 |
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

mod active;
mod advise;
mod ahead;
mod area;
mod asking;
mod audit;
mod barrier;
mod brk;
mod contents;
mod count;
mod counters;
mod fault;
mod flush;
mod frames;
mod grow;
#[cfg(target_os = "none")]
mod heap;
mod histogram;
mod inherit;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod kept;
mod layout;
mod limits;
mod map;
mod object;
mod planted;
mod protect;
mod reclaim;
mod relocate;
mod remap;
mod residence;
mod shootdown;
mod space;
mod sparse;
mod stock;
mod tags;
mod transfer;
mod unshare;
mod user;
mod vma;
mod word;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

pub use crate::arch::level::{Level, USER_END, USER_ENTRIES, page_of};
pub use crate::arch::{FRAME_SIZE, Frame};
pub use active::{activate, is_current, leave};
pub use advise::Advice;
pub use area::{Backing, Protection, Traits, Vma};
pub use audit::{Audit, audit};
pub use counters::{Counter, count, statistics, total};
pub use fault::{FaultError, SlowFault};
pub use frames::{
    ALL_FAIL, FrameRef, OutOfMemory, Purpose, admit, admit_bytes, fail_allocation,
    fail_allocation_here, fail_allocations, free_frames, heap_frames, holders, managed_frames,
};
pub use limits::Limits;
pub use map::{MapError, MapRequest, Place};
pub use object::{Object, PageError};
pub use reclaim::{help_with as reclaim_with, is_settled, make_room, run as run_reclaimer, settle};
pub use remap::{Remap, Target};
pub use residence::Populate;
pub use shootdown::serve;
pub use space::AddressSpace;
pub use stock::run as run_stock;
pub use transfer::{Sink, Source};
pub use user::UserBuf;
pub use vma::VmaMap;
pub use word::check_word;

use crate::arch::{self, BootInfo, PhysRange};
use crate::kick;

/// What a CPU does for the memory system between two polls.
pub fn between_polls() {
    shootdown::serve_between_polls();
    reclaim::drop_few();
}

/// Sets the memory system up. Called once, on the first CPU, before there is a heap.
///
/// `aside` bytes of physical memory, in whole frames, are left to the caller for good;
/// returns where they are.
pub fn init(boot: &BootInfo, aside: usize) -> PhysRange {
    let aside = frames::init(boot, aside);
    frames::init_caches();
    #[cfg(target_os = "none")]
    heap::init_kept();
    counters::init();
    stock::init();
    kick::init();
    active::init();
    let without = boot
        .command_line
        .split_whitespace()
        .any(|word| word == "nopcid" || word.starts_with("nopcid="));
    tags::init(if without { 0 } else { arch::pcids() });
    reclaim::init();
    shootdown::init();
    aside
}
