//! Files: the tree of names, open files, pipes, the terminal.
//!
//! Reading order: [`metadata`] is what is told about a file. A [`node`] is what a name refers to (an
//! inode). [`directory`] and [`mod@tree`] hold the names and change them, [`walk`] follows a path,
//! [`load`] fills the tree from the initramfs ([`cpio`]). [`mod@open`] turns a path into an open
//! [`mod@file`], and [`table`] gives it a descriptor. Besides regular files there are [`pipe`],
//! [`device`] with the [`tty`], and the files that the layer above computes ([`generated`]).
//! `transfer` moves bytes between a file and user memory. What can become ready has a [`poll_queue`];
//! [`mod@poll`] waits for several files, an [`epoll`] instance watches many. Objects that have no name
//! are [`special`]: [`eventfd`], [`timerfd`], `epoll` itself, and those of the layers above.
//!
//! The layer knows memory, the executor and `arch`, and nothing of processes or system calls: a
//! process comes in as a [`Caller`](crate::wait::Caller) and as the number of a thread.
//!
//! All files are in memory. Permission bits and owners are kept and reported, and only the bits for
//! execution are checked.
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
pub mod epoll;
pub mod eventfd;
mod fifo;
pub mod file;
pub mod generated;
pub mod limits;
pub mod load;
pub mod locks;
pub mod metadata;
pub mod node;
pub mod open;
pub mod pipe;
pub mod pipe_buffer;
pub mod poll;
pub mod poll_queue;
pub mod process_handle;
pub mod rename;
pub mod special;
pub mod table;
#[cfg(test)]
mod testing;
pub mod timerfd;
mod transfer;
pub mod tree;
pub mod tty;
pub mod walk;
pub mod write_access;
pub mod xattr;

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

/// The links of `/dev` to what a process has open (proc(5)).
const DEVICE_LINKS: [(&[u8], &[u8]); 4] = [
    (b"/dev/fd", b"/proc/self/fd"),
    (b"/dev/stdin", b"/proc/self/fd/0"),
    (b"/dev/stdout", b"/proc/self/fd/1"),
    (b"/dev/stderr", b"/proc/self/fd/2"),
];

fn link(name: &[u8], target: &[u8]) -> Result<NodeKind, load::LoadError> {
    NodeKind::link(target).map_err(|error| load::LoadError::File(name.to_vec(), error))
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
        b"/sys",
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
    // A tree that was made for a machine has its own.
    for (name, target) in DEVICE_LINKS {
        match tree.make(start, name, Node::new(link(name, target)?)) {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(load::LoadError::File(name.to_vec(), error)),
        }
    }
    loaded.map(|_| ())
}
