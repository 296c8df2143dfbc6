//! Why a program cannot be run.

use crate::errno::Errno;
use crate::memory::{AccessError, FaultError, MapError, OutOfMemory};

/// Why a program cannot be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecError {
    /// Not an ELF program for this machine, and no script.
    NotAProgram,
    /// Its segments lie where none can, or not as its pages do.
    BadLayout,
    /// Arguments and environment are too long.
    TooBig,
    /// Scripts call scripts too deeply.
    TooManyInterpreters,
    /// No memory.
    OutOfMemory,
    /// Something about a path or about the caller's memory.
    Other(Errno),
}

impl From<ExecError> for Errno {
    fn from(error: ExecError) -> Errno {
        match error {
            ExecError::NotAProgram => Errno::ENOEXEC,
            ExecError::BadLayout => Errno::EINVAL,
            ExecError::TooBig => Errno::E2BIG,
            ExecError::TooManyInterpreters => Errno::ELOOP,
            ExecError::OutOfMemory => Errno::ENOMEM,
            ExecError::Other(errno) => errno,
        }
    }
}

impl From<Errno> for ExecError {
    fn from(errno: Errno) -> ExecError {
        ExecError::Other(errno)
    }
}

impl From<AccessError> for ExecError {
    fn from(error: AccessError) -> ExecError {
        ExecError::Other(error.into())
    }
}

impl From<OutOfMemory> for ExecError {
    fn from(_: OutOfMemory) -> ExecError {
        ExecError::OutOfMemory
    }
}

impl From<FaultError> for ExecError {
    fn from(error: FaultError) -> ExecError {
        match error {
            FaultError::OutOfMemory => ExecError::OutOfMemory,
            _ => ExecError::BadLayout,
        }
    }
}

impl From<MapError> for ExecError {
    fn from(error: MapError) -> ExecError {
        match error {
            MapError::OutOfMemory => ExecError::OutOfMemory,
            _ => ExecError::BadLayout,
        }
    }
}
