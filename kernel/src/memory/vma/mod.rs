//! What may be mapped where in an address space: pure data, apart from the tables.
//!
//! In reading order: `vm_area` (one area), `tree` (a persistent search tree), `map` (all areas of an
//! address space), `reservation` (memory for a change, taken before it), `change`, `totals` and
//! `limits` (how much may be mapped), `dead_maps` (the end of large ones).

mod change;
pub(in crate::memory) mod dead_maps;
pub(in crate::memory) mod limits;
pub(in crate::memory) mod map;
pub(in crate::memory) mod reservation;
#[cfg(test)]
mod tests;
pub(in crate::memory) mod totals;
mod tree;
pub(in crate::memory) mod vm_area;
