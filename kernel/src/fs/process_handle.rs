//! Descriptors of processes (pidfd_open(2)). The layer above has the processes, and gives a file
//! what it needs of one: whether it has ended.

use core::any::Any;
use executor::sync::WaitQueue;

/// A process, as its descriptor sees it.
pub trait ProcessHandle: Any + Send + Sync {
    /// Whether it has ended: then the descriptor is ready to be read.
    fn has_ended(&self) -> bool;

    /// Woken when it ends.
    fn ended(&self) -> &WaitQueue;
}
