//! What the calls on files have in their arguments: descriptors, flags, paths.

use crate::errno::Errno;
use crate::fs::file::OpenFile;
use crate::fs::node::Node;
use crate::fs::table::Fd;
use crate::fs::walk::{Follow, MAX_PATH, Start};
use crate::process::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;

/// The open file of a descriptor in an argument. One that is only a name for a node (`O_PATH`)
/// counts as bad.
pub(super) fn file(thread: &Thread, fd: usize) -> Result<Arc<OpenFile>, Errno> {
    let file = file_or_path(thread, fd)?;
    if file.is_path() {
        Err(Errno::EBADF)
    } else {
        Ok(file)
    }
}

/// The open file of a descriptor in an argument, for what works with `O_PATH` too.
pub(super) fn file_or_path(thread: &Thread, fd: usize) -> Result<Arc<OpenFile>, Errno> {
    thread.process().files().get(Fd::from_argument(fd))
}

/// The argument as the ABI's 32-bit flags.
pub(super) fn flags(argument: usize) -> u32 {
    argument as u32
}

/// Fails when `flags` has others than `known`.
pub(super) fn check_flags(flags: u32, known: u32) -> Result<(), Errno> {
    if flags & !known == 0 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// A path in the caller's memory.
pub(super) async fn path(thread: &Thread, address: usize) -> Result<Vec<u8>, Errno> {
    Ok(thread.space().read_string(address, MAX_PATH + 1).await?)
}

/// What the `*at` calls get: a directory and a path from there.
pub(super) struct PathArgument {
    pub(super) directory: Arc<Node>,
    pub(super) path: Vec<u8>,
    pub(super) caller: i32,
}

impl PathArgument {
    /// Reads the path at `address`. A relative one starts at the descriptor `directory`, or at
    /// the working directory (`AT_FDCWD`).
    pub(super) async fn read(
        thread: &Thread,
        directory: usize,
        address: usize,
    ) -> Result<PathArgument, Errno> {
        let path = path(thread, address).await?;
        let absolute = path.first() == Some(&b'/');
        let directory = if absolute || directory as i32 == abi::AT_FDCWD {
            thread.process().cwd()
        } else {
            file_or_path(thread, directory)?
                .node()
                .ok_or(Errno::ENOTDIR)?
                .clone()
        };
        Ok(PathArgument {
            directory,
            path,
            caller: caller(thread),
        })
    }

    pub(super) fn start(&self) -> Start<'_> {
        Start {
            directory: &self.directory,
            caller: self.caller,
        }
    }

    pub(super) fn node(&self, follow: Follow) -> Result<Arc<Node>, Errno> {
        crate::fs::tree().node(self.start(), &self.path, follow)
    }

    /// The node that the path names, as the flags `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` say:
    /// with the latter and an empty path, that of the descriptor.
    pub(super) fn node_at(&self, flags: u32) -> Result<Arc<Node>, Errno> {
        if flags & abi::AT_EMPTY_PATH != 0 && self.path.is_empty() {
            Ok(self.directory.clone())
        } else {
            self.node(follow(flags))
        }
    }
}

/// The descriptor that stands for the working directory, as an argument.
pub(super) const WORKING_DIRECTORY: usize = abi::AT_FDCWD as usize;

/// The number of the thread that asks.
pub(super) fn caller(thread: &Thread) -> i32 {
    thread.tid().0 as i32
}

/// Whether `AT_SYMLINK_NOFOLLOW` is among the flags.
pub(super) fn follow(flags: u32) -> Follow {
    if flags & abi::AT_SYMLINK_NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    }
}

/// The permission bits for a new file, out of those that were asked for.
pub(in crate::syscall) fn permissions(thread: &Thread, asked: u32) -> u32 {
    // Relaxed: a number that stands for itself.
    asked & !thread.process().umask.load(Ordering::Relaxed)
}
