//! Writers of a file and programs that run from it exclude each other: `ETXTBSY` (open(2),
//! execve(2)). One word counts both, writers upwards from 0 and programs downwards, as Linux's
//! `i_writecount`.

use super::node::Node;
use crate::errno::Errno;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// The right to write a file: no program is started from it meanwhile.
pub struct WriteAccess(Arc<Node>);

impl WriteAccess {
    /// Takes it. `ETXTBSY` while a program runs from the file.
    pub fn take(node: &Arc<Node>) -> Result<WriteAccess, Errno> {
        count(node, 1).map(|()| WriteAccess(node.clone()))
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        self.0.access().fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps a file from being written while a program runs from it.
pub struct WriteDenial(Arc<Node>);

impl WriteDenial {
    /// Denies it. `ETXTBSY` while the file is open for writing.
    pub fn take(node: &Arc<Node>) -> Result<WriteDenial, Errno> {
        count(node, -1).map(|()| WriteDenial(node.clone()))
    }

    /// The file.
    pub fn node(&self) -> &Arc<Node> {
        &self.0
    }
}

impl Drop for WriteDenial {
    fn drop(&mut self) {
        self.0.access().fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts one more of a side, unless the other side is there.
fn count(node: &Node, one: i32) -> Result<(), Errno> {
    // Relaxed: the word stands for itself; what is written is ordered by the file's own locks.
    let more = |count: i32| (count.signum() != -one).then_some(count + one);
    let counted = node
        .access()
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    counted.map(drop).map_err(|_| Errno::ETXTBSY)
}
