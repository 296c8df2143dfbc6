//! The kernel's heap, and in front of it the per-CPU slab cache.

pub mod fallible;
#[cfg(target_os = "none")]
pub(in crate::memory) mod global;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod slab_cache;
