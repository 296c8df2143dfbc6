//! The kernel's heap (rules M10, E5).
//!
//! | file | what is in it |
//! |---|---|
//! | `slab_cache` | per-CPU magazines of small objects |
//! | `slabs` | small objects in frames of their own, which come back |
//! | `fallible` | boxes, vectors and the like whose allocation can fail |
//! | `global` | the global allocator: both, and `talc` for large objects |
//!
//! The layer stands on `frame`. What can be reclaimed when there are no frames is told to it at the
//! start.

pub mod fallible;
#[cfg(target_os = "none")]
pub(in crate::memory) mod global;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod slab_cache;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod slabs;
