//! A tree of page tables as data: which entries a table has, and walks from its root.
//!
//! The format of an entry is the machine's (`arch::paging`). The layer stands on `frame`, where
//! the occupancy bitmap of each table is kept, and knows nothing of address spaces.
//!
//! Read `occupancy` first, then `walk`.

pub(in crate::memory) mod occupancy;
pub(in crate::memory) mod walk;
