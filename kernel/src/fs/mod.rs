//! Files: the tree of names, open files, pipes, the terminal.
//!
//! Reading order: [`metadata`] is what is told about a file. A [`node`] is what a name refers to (an
//! inode). [`directory`] and [`mod@tree`] hold the names and change them, [`walk`] follows a path,
//! [`load`] fills the tree from the initramfs ([`cpio`]). [`mod@open`] turns a path into an open
//! [`mod@file`], and [`table`] gives it a descriptor. Besides regular files there are [`pipe`],
//! [`device`] with the [`tty`], and the files that the layer above computes ([`generated`]).
//! `transfer` moves bytes between a file and user memory, [`poll`] waits for several files.
//!
//! The layer knows memory, the executor and `arch`, and nothing of processes or system calls: a
//! process comes in as a [`Caller`](crate::wait::Caller) and as the number of a thread.
//!
//! All files are in memory, and every process is the superuser: permission bits are kept and
//! reported, and only those for execution are checked.
//!
//! **Waiting.** Only reads and writes wait. A task can be dropped at each `.await` and loses
//! nothing: bytes that were not delivered are still in the pipe. Spin locks are held for a few
//! instructions or one bounded copy, never across an `.await` (rule E1). Whatever is held longer is
//! an async mutex.
//!
//! **Lock order.** The mutex of an open file's position, then the file's `writing` mutex. Then, for
//! a few instructions: the tree's change lock, one directory, one node; or one descriptor table; or
//! one pipe or terminal. While one of them is held, no task is woken, and nothing is dropped whose
//! drop could take one of them.
//!
//! **Memory.** Every object of which a program can make many, or a large one, is allocated fallibly
//! or reserved before (rule M10).

pub mod copy;
pub mod cpio;
pub mod device;
pub mod directory;
mod entries;
pub mod file;
pub mod generated;
pub mod limits;
pub mod load;
pub mod locks;
pub mod metadata;
pub mod node;
pub mod open;
pub mod pipe;
mod pipe_buffer;
pub mod poll;
pub mod process_handle;
pub mod rename;
pub mod table;
#[cfg(test)]
mod testing;
mod transfer;
pub mod tree;
pub mod tty;
pub mod walk;

use crate::errno::Errno;
use device::Device;
use node::{Node, NodeKind};
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
    for directory in [
        b"/dev".as_slice(),
        b"/dev/shm",
        b"/dev/pts",
        b"/proc",
        b"/tmp",
    ] {
        let made = tree.make(start, directory, Node::new(NodeKind::directory()));
        match made {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(load::LoadError::File(directory.to_vec(), error)),
        }
    }
    for (name, device) in Device::ALL {
        let path = [b"/dev/", name].concat();
        tree.attach(&path, NodeKind::Device(device))
            .map_err(|error| load::LoadError::File(path, error))?;
    }
    loaded.map(|_| ())
}
