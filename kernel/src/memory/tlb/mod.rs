//! Translation lookaside buffers: which CPU may hold translations of which address space, and
//! how it is made to forget them (rules M2, M5, M6, M7).
//!
//! In reading order:
//!
//! | file | what is in it |
//! |---|---|
//! | `cpu_set`, `range` | a set of CPUs; the addresses of a change |
//! | `asid` | the PCIDs of a CPU, and up to which generation each is clean |
//! | `active_cpus` | the CPUs that are in an address space, and its generation |
//! | `mailbox` | how a CPU asks another, and how that acknowledges |
//! | `shootdown` | a request with all that it releases, from sending to the last acknowledgement |
//! | `flush` | what a caller does that has changed entries |
//!
//! The layer stands on `reclaim`, which takes the references that a shootdown releases. It knows an
//! address space by its number and by its active-CPU mask.

pub(in crate::memory) mod active_cpus;
pub(in crate::memory) mod asid;
pub(in crate::memory) mod cpu_set;
pub(in crate::memory) mod flush;
pub(in crate::memory) mod mailbox;
pub(in crate::memory) mod range;
pub(in crate::memory) mod shootdown;
