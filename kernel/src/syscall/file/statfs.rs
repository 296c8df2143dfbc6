//! What is told about a file system: statfs(2).

use super::arguments::{PathArgument, WORKING_DIRECTORY, file_or_path};
use super::plain::{bytes, zeroed};
use crate::errno::{Errno, SysResult};
use crate::fs::node::{Node, NodeKind};
use crate::fs::tree;
use crate::fs::walk::{Follow, MAX_NAME};
use crate::memory::FRAME_SIZE;
use crate::process::Thread;
use linux_raw_sys::general as abi;

// include/uapi/linux/magic.h
const TMPFS_MAGIC: u32 = 0x0102_1994;
const PROC_MAGIC: u32 = 0x9fa0;
const PIPE_MAGIC: u32 = 0x5049_5045;
/// The flags are valid (`ST_VALID` of Linux's include/linux/statfs.h).
const VALID: u32 = 0x20;

/// statfs(2)
pub async fn statfs(thread: &Thread, path: usize, address: usize) -> SysResult {
    let argument = PathArgument::read(thread, WORKING_DIRECTORY, path).await?;
    let node = argument.node(Follow::Yes)?;
    tell(thread, Some(&node), address).await
}

/// fstatfs(2)
pub async fn fstatfs(thread: &Thread, fd: usize, address: usize) -> SysResult {
    let file = file_or_path(thread, fd)?;
    tell(thread, file.node().map(|node| &**node), address).await
}

async fn tell(thread: &Thread, node: Option<&Node>, address: usize) -> SysResult {
    let answer = match node.map(Node::kind) {
        None => system(PIPE_MAGIC),
        Some(NodeKind::Computed(_) | NodeKind::Generated(_) | NodeKind::Window(_)) => {
            system(PROC_MAGIC)
        }
        Some(_) => files(),
    };
    thread.space().write_bytes(address, bytes(&answer)).await?;
    Ok(0)
}

/// A file system without contents of its own.
fn system(magic: u32) -> abi::statfs {
    abi::statfs {
        f_type: magic.into(),
        f_bsize: FRAME_SIZE as i64,
        f_namelen: MAX_NAME as i64,
        f_frsize: FRAME_SIZE as i64,
        f_flags: VALID.into(),
        ..zeroed()
    }
}

/// The one that has the files.
fn files() -> abi::statfs {
    // A limit that is not set is told as 0, as Linux does.
    let told = |limit: u64, used: u64| match i64::try_from(limit) {
        Ok(limit) => (limit, (limit as u64).saturating_sub(used) as i64),
        Err(_) => (0, 0),
    };
    let (blocks, free) = told(tree().pages().limit(), tree().pages().used());
    let (names, names_free) = told(tree().names().limit(), tree().names().used());
    abi::statfs {
        f_blocks: blocks,
        f_bfree: free,
        f_bavail: free,
        f_files: names,
        f_ffree: names_free,
        f_fsid: abi::__kernel_fsid_t { val: [1, 0] },
        ..system(TMPFS_MAGIC)
    }
}

/// ustat(2): there are no devices with file systems on them.
pub fn ustat() -> SysResult {
    Err(Errno::EINVAL)
}
