//! Files: the tree of names, open files, pipes, the terminal.
//!
//! Reading order: [`node`] is what a name stands for, [`directory`] and [`mod@tree`] are the
//! names and how they change, [`walk`] follows a path, [`load`] fills the tree from the
//! initramfs ([`cpio`]). [`mod@open`] turns a path into an open [`mod@file`], [`table`] gives
//! that a descriptor. What can be open besides regular files: [`pipe`], [`device`] with the
//! [`tty`], and what the layer above computes ([`generated`]).
//!
//! Everything is in memory, and everyone is the superuser: permission bits are kept and told, and
//! only those for execution are checked.
//!
//! **Waiting.** Only reads and writes wait, and they do it so that the task can be dropped at
//! each `.await` with nothing lost: what was not delivered is still in the pipe. Spin locks are
//! held for a few instructions or one bounded copy, never across an `.await` (rule E1); what
//! has to be held longer is a mutex of the executor's, for which tasks wait.
//!
//! **Order of locks.** The mutex of an open file's position, then that of the file's writers.
//! Then, for short: the tree's change lock, one directory, one node; or one descriptor table;
//! or one pipe or terminal. No task is woken and nothing dropped that could take one of
//! them while one is held.
//!
//! **Memory.** What users can make large or many is allocated fallibly or admitted first (rule
//! M10).

pub mod cpio;
pub mod device;
pub mod directory;
mod entries;
pub mod file;
pub mod generated;
pub mod load;
pub mod node;
pub mod open;
pub mod pipe;
pub mod poll;
mod ring;
pub mod table;
#[cfg(test)]
mod testing;
mod transfer;
pub mod tree;
pub mod tty;
pub mod walk;

use crate::arch;
use crate::errno::Errno;
use device::Device;
use node::{Kind, Node};
use spin::Once;
use tree::Tree;
use walk::Start;

/// The tree that all processes see. Before [`start`] it is empty.
pub fn tree() -> &'static Tree {
    static TREE: Once<Tree> = Once::new();
    TREE.call_once(Tree::new)
}

/// Fills the tree: the archive's files, then the devices and a directory for
/// `/proc`. Without an archive there are only these.
pub fn start(tree: &Tree, initramfs: &[u8]) -> Result<(), load::LoadError> {
    let loaded = load::load(tree, initramfs);
    let start = Start {
        directory: tree.root(),
        caller: 0,
    };
    for directory in [b"/dev".as_slice(), b"/dev/shm", b"/proc", b"/tmp"] {
        let made = tree.make(start, directory, Node::new(Kind::directory()));
        match made {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(load::LoadError::File(directory.to_vec(), error)),
        }
    }
    for (name, device) in Device::ALL {
        let path = [b"/dev/", name].concat();
        tree.attach(&path, Kind::Device(device))
            .map_err(|error| load::LoadError::File(path, error))?;
    }
    loaded.map(|_| ())
}

/// The time that nodes are stamped with: nanoseconds since 1970.
fn now() -> u64 {
    arch::clock() + arch::wall_clock_offset()
}

/// Whether there is memory for one more small thing.
fn ensure_free() -> Result<(), Errno> {
    crate::memory::ensure_free().map_err(|_| Errno::ENOMEM)
}
