//! A tree of page tables as data.

pub(in crate::memory) mod occupancy;
