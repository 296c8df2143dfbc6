//! What may be mapped where in an address space: pure data, apart from the tables.

pub(in crate::memory) mod limits;
pub(in crate::memory) mod map;
pub(in crate::memory) mod vm_area;
