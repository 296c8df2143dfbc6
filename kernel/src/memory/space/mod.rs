//! An address space: a tree of tables, what may be mapped where, and the CPUs that are in
//! it.
//!
//! **The tree.** The root belongs to the address space alone. All tables below, like
//! pages, are frames with a reference count, and may be shared by many address spaces.
//! The invariant:
//!
//! > An entry with the writable bit set, in a table that only we can reach, points to a
//! > table or private page that only we hold.
//! > An entry without it may point to something shared.
//!
//! The processor ANDs the writable bits of all levels, so one cleared bit in the root
//! protects everything below it. That is all that `AddressSpace::fork` does.
//! A change of an entry below first makes the path to it private (`cow_break.rs`).
//!
//! **The lock.** The mmap lock guards what may be mapped where (`mmap_lock.rs`). Faults hold it
//! shared, and change entries by compare-and-exchange. All that takes rights away or shares
//! holds it exclusively, across its wait for other CPUs.
//!
//! In reading order:
//!
//! | file | what is in it | rules |
//! |---|---|---|
//! | `error` | what can go wrong | |
//! | `mmap_lock` | the VMA map with what belongs to it, and its lock | M3, M5 |
//! | `address_space`, `current` | the root and its CPUs; which address space a CPU is in | M6 |
//! | `cow_break` | makes the path to a page private | M1, M2 |
//! | `fault`, `first_touch`, `leaf`, `stack_growth` | the page fault | M4, M8, M9 |
//! | `fork`, `first_writes`, `eager_cow`, `fork_advice` | fork | M1, M3 |
//! | `clear`, `change_vmas`, `placement`, `map`, `protect`, `brk`, `advise` | the calls that change what is mapped | M5, M10 |
//! | `move_tables`, `remap` | mremap | M2, M5, M10 |
//! | `populate` | pages before they are used: populate, mlock, mincore | |
//! | `unmap_file` | truncate: pages beyond the end of a file go out of every map | M5 |
//! | `barrier` | a memory barrier on the CPUs that run the program | M6 |
//! | `usage` | what `/proc` tells | |
//! | `within` | work in another address space than the CPU's | M6 |
//!
//! The layer stands on all others of memory, and knows nothing of processes or system calls.

pub(in crate::memory) mod address_space;
pub(in crate::memory) mod advise;
pub(in crate::memory) mod barrier;
pub(in crate::memory) mod brk;
mod change_vmas;
pub(in crate::memory) mod clear;
pub(in crate::memory) mod cow_break;
pub(in crate::memory) mod current;
pub(in crate::memory) mod eager_cow;
pub(in crate::memory) mod error;
pub(in crate::memory) mod fault;
mod first_touch;
mod first_writes;
mod fork;
pub(in crate::memory) mod fork_advice;
mod leaf;
pub(in crate::memory) mod map;
pub(in crate::memory) mod mmap_lock;
pub(in crate::memory) mod move_tables;
pub(in crate::memory) mod placement;
pub(in crate::memory) mod populate;
pub(in crate::memory) mod protect;
pub(in crate::memory) mod remap;
pub(in crate::memory) mod stack_growth;
pub(in crate::memory) mod unmap_file;
pub(in crate::memory) mod untouched;
pub mod usage;
pub mod within;
