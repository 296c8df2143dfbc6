//! Calls that make files safe, or say how they will be used: fsync(2), sync(2), posix_fadvise(2).
//! All files are in memory, so they check their arguments and have nothing else to do.

use super::arguments::{check_flags, file, flags};
use super::transfer::position;
use crate::errno::{Errno, SysResult};
use crate::fs::metadata::FileType;
use crate::fs::node::{Node, NodeKind};
use crate::process::Thread;
use linux_raw_sys::general as abi;

/// fsync(2) and fdatasync(2)
pub fn fsync(thread: &Thread, fd: usize) -> SysResult {
    match file(thread, fd)?.node().map(|node| node.kind()) {
        Some(NodeKind::Regular(_) | NodeKind::Directory(_)) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// syncfs(2)
pub fn syncfs(thread: &Thread, fd: usize) -> SysResult {
    file(thread, fd).map(|_| 0)
}

/// sync_file_range(2)
pub fn sync_file_range(
    thread: &Thread,
    fd: usize,
    offset: usize,
    length: usize,
    range_flags: usize,
) -> SysResult {
    let file = file(thread, fd)?;
    let known = abi::SYNC_FILE_RANGE_WAIT_BEFORE
        | abi::SYNC_FILE_RANGE_WRITE
        | abi::SYNC_FILE_RANGE_WAIT_AFTER;
    check_flags(flags(range_flags), known)?;
    position(offset)?
        .checked_add(position(length)?)
        .filter(|&end| end <= i64::MAX as u64)
        .ok_or(Errno::EINVAL)?;
    match file.status().file_type {
        FileType::Regular | FileType::Directory | FileType::Link => Ok(0),
        _ => Err(Errno::ESPIPE),
    }
}

/// fadvise64(2)
pub fn fadvise64(
    thread: &Thread,
    fd: usize,
    _offset: usize,
    length: usize,
    advice: usize,
) -> SysResult {
    let file = file(thread, fd)?;
    if file.status().file_type == FileType::Pipe {
        return Err(Errno::ESPIPE);
    }
    position(length)?;
    match advice as u32 {
        abi::POSIX_FADV_NORMAL..=abi::POSIX_FADV_NOREUSE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// readahead(2)
pub fn readahead(thread: &Thread, fd: usize) -> SysResult {
    let file = file(thread, fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    match file.node().map(|node| Node::file_type(node)) {
        Some(FileType::Regular) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
