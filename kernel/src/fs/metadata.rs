//! What is told about a file: its type, its attributes and its status (inode(7)).
//!
//! Plain data, below everything else in this layer.

use crate::arch;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as abi;

/// The largest size of a file, and so the largest position.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// A name in a directory, shared by the entry and the node's location.
pub type Name = Arc<[u8]>;

/// The type of a file, as `st_mode` and `d_type` tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A block device.
    Block,
    /// An object that has no name and no type.
    Anonymous,
}

impl FileType {
    /// The type's bits in `st_mode` (inode(7)).
    pub fn mode(self) -> u32 {
        match self {
            FileType::Directory => abi::S_IFDIR,
            FileType::Regular => abi::S_IFREG,
            FileType::Link => abi::S_IFLNK,
            FileType::Character => abi::S_IFCHR,
            FileType::Pipe => abi::S_IFIFO,
            FileType::Socket => abi::S_IFSOCK,
            FileType::Block => abi::S_IFBLK,
            FileType::Anonymous => 0,
        }
    }

    /// The type in a directory entry: by definition the same bits, moved down.
    pub fn entry(self) -> u8 {
        (self.mode() >> 12) as u8
    }
}

/// What `chmod`, `chown` and `utimensat` change.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// The permission bits, `0o7777` at most.
    pub permissions: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The last use, in nanoseconds since 1970. Reading does not change it, as on Linux with
    /// `noatime`.
    pub accessed: u64,
    /// The last change of the contents.
    pub modified: u64,
    /// The last change of these attributes.
    pub changed: u64,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The file's number (inode number).
    pub number: u64,
    /// The file's type.
    pub file_type: FileType,
    /// Times, owner and permissions.
    pub attributes: Attributes,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// How many blocks of 512 bytes of memory it takes.
    pub blocks: u64,
    /// The number of the device that it is, or 0.
    pub device: u64,
}

/// Numbers of nodes and pipes, never used twice. 1 is the first node, the root.
pub fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that the numbers differ matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The time that nodes are stamped with: nanoseconds since 1970.
pub(super) fn now() -> u64 {
    arch::clock() + arch::wall_clock_offset()
}
