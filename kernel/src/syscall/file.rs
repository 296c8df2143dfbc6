//! The system calls on files and names.
//!
//! Each is an `async fn` that takes its arguments as the registers had them. Here arguments
//! become types, and the file layer does the work; no state lives here. A call may be dropped
//! at any `.await` (a fatal signal): what it holds is released by its drop.
//!
//! Everyone is the superuser, so of all permissions only the one to execute can be refused.

mod attributes;
mod copying;
mod descriptors;
mod ioctl;
mod locking;
mod names;
mod opening;
mod plain;
mod polling;
mod select;
mod statfs;
mod status;
mod sync;
mod transfer;

pub use attributes::*;
pub use copying::*;
pub use descriptors::*;
pub use ioctl::ioctl;
pub use locking::flock;
pub use names::*;
pub use opening::*;
pub use polling::{go_on_polling, poll, ppoll};
pub use select::{pselect6, select};
pub use statfs::*;
pub use status::*;
pub use sync::*;
pub use transfer::*;

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
fn file(thread: &Thread, fd: usize) -> Result<Arc<OpenFile>, Errno> {
    let file = file_or_path(thread, fd)?;
    if file.is_path() {
        Err(Errno::EBADF)
    } else {
        Ok(file)
    }
}

/// The open file of a descriptor in an argument, for what works with `O_PATH` too.
fn file_or_path(thread: &Thread, fd: usize) -> Result<Arc<OpenFile>, Errno> {
    thread.process().files().get(Fd::from_argument(fd))
}

/// The argument as the ABI's 32-bit flags.
fn flags(argument: usize) -> u32 {
    argument as u32
}

/// Fails when `flags` has others than `known`.
fn check_flags(flags: u32, known: u32) -> Result<(), Errno> {
    if flags & !known == 0 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// A path in the caller's memory.
async fn path(thread: &Thread, address: usize) -> Result<Vec<u8>, Errno> {
    Ok(thread.space().read_string(address, MAX_PATH + 1).await?)
}

/// What the `*at` calls get: a directory and a path from there.
struct PathArgument {
    directory: Arc<Node>,
    path: Vec<u8>,
    caller: i32,
}

impl PathArgument {
    /// Reads the path at `address`. A relative one starts at the descriptor `directory`, or at
    /// the working directory (`AT_FDCWD`).
    async fn read(
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

    fn start(&self) -> Start<'_> {
        Start {
            directory: &self.directory,
            caller: self.caller,
        }
    }

    fn node(&self, follow: Follow) -> Result<Arc<Node>, Errno> {
        crate::fs::tree().node(self.start(), &self.path, follow)
    }

    /// The node that the path names, as the flags `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` say:
    /// with the latter and an empty path, that of the descriptor.
    fn node_at(&self, flags: u32) -> Result<Arc<Node>, Errno> {
        if flags & abi::AT_EMPTY_PATH != 0 && self.path.is_empty() {
            Ok(self.directory.clone())
        } else {
            self.node(follow(flags))
        }
    }
}

/// The descriptor that stands for the working directory, as an argument.
const WORKING_DIRECTORY: usize = abi::AT_FDCWD as usize;

/// The number of the thread that asks.
fn caller(thread: &Thread) -> i32 {
    thread.tid().0 as i32
}

/// Whether `AT_SYMLINK_NOFOLLOW` is among the flags.
fn follow(flags: u32) -> Follow {
    if flags & abi::AT_SYMLINK_NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    }
}

/// The permission bits for a new file, out of those that were asked for.
fn permissions(thread: &Thread, asked: u32) -> u32 {
    // Relaxed: a number that stands for itself.
    asked & !thread.process().umask.load(Ordering::Relaxed)
}
