//! Why the kernel cannot reach user memory.

use crate::memory::frame::OutOfMemory;
use crate::memory::space::error::FaultError;

/// Why the kernel cannot read or write user memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessError {
    /// The program has no such right there (`EFAULT`).
    BadAddress,
    /// What the program describes cannot be: an address that is not aligned, too many segments, or
    /// a length that overflows (`EINVAL`).
    Invalid,
    /// A string has no end within its limit (`ENAMETOOLONG`).
    TooLong,
    /// No memory is left (`ENOMEM`).
    OutOfMemory,
}

impl From<OutOfMemory> for AccessError {
    fn from(_: OutOfMemory) -> AccessError {
        AccessError::OutOfMemory
    }
}

impl From<FaultError> for AccessError {
    fn from(error: FaultError) -> AccessError {
        match error {
            FaultError::OutOfMemory => AccessError::OutOfMemory,
            FaultError::NotMapped | FaultError::NotAllowed | FaultError::BeyondEnd => {
                AccessError::BadAddress
            }
        }
    }
}
