//! Telling about files: stat(2), statx(2), access(2).

use super::arguments::{PathArgument, WORKING_DIRECTORY, check_flags, file_or_path, flags, follow};
use super::plain::{bytes, zeroed};
use crate::errno::{Errno, SysResult};
use crate::fs::metadata::{FileType, Status};
use crate::fs::node::{Node, NodeKind};
use crate::fs::walk::Follow;
use crate::process::Thread;
use linux_raw_sys::general as abi;

/// The number of the file system, as `st_dev` tells it; 0 would mean none.
const FILE_SYSTEM: u32 = 1;
/// What `st_blksize` recommends.
const BLOCK: u32 = 4096;

/// stat(2)
pub async fn stat(thread: &Thread, path: usize, address: usize) -> SysResult {
    newfstatat(thread, WORKING_DIRECTORY, path, address, 0).await
}

/// lstat(2)
pub async fn lstat(thread: &Thread, path: usize, address: usize) -> SysResult {
    let flags = abi::AT_SYMLINK_NOFOLLOW as usize;
    newfstatat(thread, WORKING_DIRECTORY, path, address, flags).await
}

/// fstat(2)
pub async fn fstat(thread: &Thread, fd: usize, address: usize) -> SysResult {
    let status = file_or_path(thread, fd)?.status();
    thread
        .space()
        .write_bytes(address, bytes(&to_stat(&status)))
        .await?;
    Ok(0)
}

/// newfstatat(2)
pub async fn newfstatat(
    thread: &Thread,
    directory: usize,
    path: usize,
    address: usize,
    stat_flags: usize,
) -> SysResult {
    let known = abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH | abi::AT_NO_AUTOMOUNT;
    let stat_flags = flags(stat_flags);
    check_flags(stat_flags, known)?;
    let status = find(thread, directory, path, stat_flags).await?;
    thread
        .space()
        .write_bytes(address, bytes(&to_stat(&status)))
        .await?;
    Ok(0)
}

/// statx(2). All fields that there are are told, whatever the mask.
pub async fn statx(
    thread: &Thread,
    directory: usize,
    path: usize,
    stat_flags: usize,
    mask: usize,
    address: usize,
) -> SysResult {
    let known = abi::AT_SYMLINK_NOFOLLOW
        | abi::AT_EMPTY_PATH
        | abi::AT_NO_AUTOMOUNT
        | abi::AT_STATX_SYNC_TYPE;
    let stat_flags = flags(stat_flags);
    check_flags(stat_flags, known)?;
    check_flags(flags(mask), !abi::STATX__RESERVED)?;
    let status = find(thread, directory, path, stat_flags).await?;
    thread
        .space()
        .write_bytes(address, bytes(&to_statx(&status)))
        .await?;
    Ok(0)
}

/// The status of what a path names, or with `AT_EMPTY_PATH` and no path of the descriptor itself.
async fn find(thread: &Thread, directory: usize, path: usize, flags: u32) -> Result<Status, Errno> {
    let empty_allowed = flags & abi::AT_EMPTY_PATH != 0;
    if empty_allowed && is_empty(thread, path).await? {
        return if directory as i32 == abi::AT_FDCWD {
            Ok(thread.process().cwd().status())
        } else {
            Ok(file_or_path(thread, directory)?.status())
        };
    }
    let argument = PathArgument::read(thread, directory, path).await?;
    Ok(argument.node(follow(flags))?.status())
}

/// Whether the path is empty. A null pointer is as good as that here (since Linux 6.11).
async fn is_empty(thread: &Thread, path: usize) -> Result<bool, Errno> {
    let mut first = [0];
    if path != 0 {
        thread.space().read_bytes(path, &mut first).await?;
    }
    Ok(first == [0])
}

fn to_stat(status: &Status) -> abi::stat {
    let attributes = &status.attributes;
    abi::stat {
        st_dev: u64::from(FILE_SYSTEM),
        st_ino: status.number,
        st_nlink: status.links,
        st_mode: status.file_type.mode() | attributes.permissions,
        st_uid: attributes.user,
        st_gid: attributes.group,
        st_rdev: status.device,
        st_size: status.size as i64,
        st_blksize: i64::from(BLOCK),
        st_blocks: status.blocks as i64,
        st_atime: seconds(attributes.accessed),
        st_atime_nsec: nanoseconds(attributes.accessed),
        st_mtime: seconds(attributes.modified),
        st_mtime_nsec: nanoseconds(attributes.modified),
        st_ctime: seconds(attributes.changed),
        st_ctime_nsec: nanoseconds(attributes.changed),
        ..zeroed()
    }
}

fn to_statx(status: &Status) -> abi::statx {
    let attributes = &status.attributes;
    let time = |time| abi::statx_timestamp {
        tv_sec: seconds(time) as i64,
        tv_nsec: nanoseconds(time) as u32,
        __reserved: 0,
    };
    abi::statx {
        stx_mask: abi::STATX_BASIC_STATS,
        stx_blksize: BLOCK,
        stx_nlink: status.links as u32,
        stx_uid: attributes.user,
        stx_gid: attributes.group,
        stx_mode: (status.file_type.mode() | attributes.permissions) as u16,
        stx_ino: status.number,
        stx_size: status.size,
        stx_blocks: status.blocks,
        stx_atime: time(attributes.accessed),
        stx_mtime: time(attributes.modified),
        stx_ctime: time(attributes.changed),
        stx_rdev_major: (status.device >> 8) as u32,
        stx_rdev_minor: (status.device & 0xff) as u32,
        stx_dev_major: FILE_SYSTEM >> 8,
        stx_dev_minor: FILE_SYSTEM & 0xff,
        ..zeroed()
    }
}

fn seconds(time: u64) -> u64 {
    time / 1_000_000_000
}

fn nanoseconds(time: u64) -> u64 {
    time % 1_000_000_000
}

/// access(2)
pub async fn access(thread: &Thread, path: usize, mode: usize) -> SysResult {
    faccessat2(thread, WORKING_DIRECTORY, path, mode, 0).await
}

/// faccessat(2) as the kernel has it, without flags.
pub async fn faccessat(thread: &Thread, directory: usize, path: usize, mode: usize) -> SysResult {
    faccessat2(thread, directory, path, mode, 0).await
}

/// faccessat2(2)
pub async fn faccessat2(
    thread: &Thread,
    directory: usize,
    path: usize,
    mode: usize,
    access_flags: usize,
) -> SysResult {
    const ALL: u32 = abi::R_OK | abi::W_OK | abi::X_OK;
    let access_flags = flags(access_flags);
    check_flags(
        access_flags,
        abi::AT_EACCESS | abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH,
    )?;
    check_flags(flags(mode), ALL)?;
    let argument = PathArgument::read(thread, directory, path).await?;
    check_execute(&*argument.node_at(access_flags)?, flags(mode)).map(|()| 0)
}

fn check_execute(node: &Node, mode: u32) -> Result<(), Errno> {
    let searchable = node.file_type() == FileType::Directory;
    if mode & abi::X_OK != 0 && !searchable && !node.is_executable() {
        return Err(Errno::EACCES);
    }
    Ok(())
}

/// readlink(2)
pub async fn readlink(thread: &Thread, path: usize, address: usize, size: usize) -> SysResult {
    readlinkat(thread, WORKING_DIRECTORY, path, address, size).await
}

/// readlinkat(2)
pub async fn readlinkat(
    thread: &Thread,
    directory: usize,
    path: usize,
    address: usize,
    size: usize,
) -> SysResult {
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let argument = PathArgument::read(thread, directory, path).await?;
    let node = if argument.path.is_empty() && directory as i32 != abi::AT_FDCWD {
        // The descriptor is of the link itself (O_PATH and O_NOFOLLOW).
        argument.directory
    } else {
        argument.node(Follow::No)?
    };
    let shown;
    let target = match node.kind() {
        NodeKind::Link(target) => &target[..],
        NodeKind::Jump(jump) => {
            shown = jump.text()?;
            &shown[..]
        }
        _ => return Err(Errno::EINVAL),
    };
    let length = target.len().min(size);
    thread
        .space()
        .write_bytes(address, &target[..length])
        .await?;
    Ok(length)
}
