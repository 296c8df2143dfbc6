//! What can go wrong in an address space.

use crate::memory::frame::OutOfMemory;
use crate::memory::object::PageError;

/// Why an access is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// Nothing is mapped there (`SEGV_MAPERR`).
    NotMapped,
    /// It is mapped, but not for this kind of access (`SEGV_ACCERR`).
    NotAllowed,
    /// The mapping is longer than the file (`SIGBUS`).
    BeyondEnd,
    /// No memory is left, or the page has as many holders as can be counted.
    OutOfMemory,
}

impl From<OutOfMemory> for FaultError {
    fn from(_: OutOfMemory) -> FaultError {
        FaultError::OutOfMemory
    }
}

impl From<PageError> for FaultError {
    fn from(error: PageError) -> FaultError {
        match error {
            // A full file system is a bus error too, as on Linux.
            PageError::BeyondEnd | PageError::NoSpace => FaultError::BeyondEnd,
            PageError::OutOfMemory => FaultError::OutOfMemory,
        }
    }
}

/// Why a mapping cannot be changed so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// Not page-aligned, empty, or out of a program's reach.
    BadRange,
    /// Something is mapped there already.
    Occupied,
    /// Nothing is mapped in part of the range.
    NotMapped,
    /// The range is not part of one VMA.
    NotOneVma,
    /// This kind of VMA has no such operation.
    BadKind,
    /// A right that the mapping can never have.
    NotAllowed,
    /// No memory, no room, or too many VMAs.
    OutOfMemory,
}

impl From<OutOfMemory> for MapError {
    fn from(_: OutOfMemory) -> MapError {
        MapError::OutOfMemory
    }
}
