//! Translation lookaside buffers: which CPU may hold translations of which address space,
//! and how each of them is made to forget (rules M2, M5, M6, M7).

pub(in crate::memory) mod active_cpus;
pub(in crate::memory) mod asid;
pub(in crate::memory) mod flush;
pub(in crate::memory) mod mailbox;
pub(in crate::memory) mod shootdown;
