//! Changing names: mkdir(2), unlink(2), rename(2), symlink(2), link(2); and the working
//! directory.

use super::arguments::{
    PathArgument, WORKING_DIRECTORY, check_flags, file_or_path, flags, path, permissions,
};
use crate::errno::{Errno, SysResult};
use crate::fs::node::{Node, NodeKind};
use crate::fs::rename::Replace;
use crate::fs::tree;
use crate::fs::walk::Follow;
use crate::process::Thread;
use linux_raw_sys::general as abi;

/// mkdir(2)
pub async fn mkdir(thread: &Thread, path: usize, mode: usize) -> SysResult {
    mkdirat(thread, WORKING_DIRECTORY, path, mode).await
}

/// mkdirat(2)
pub async fn mkdirat(thread: &Thread, directory: usize, path: usize, mode: usize) -> SysResult {
    let argument = PathArgument::read(thread, directory, path).await?;
    let permissions = permissions(thread, flags(mode) & 0o1777);
    let node = Node::with_permissions(NodeKind::directory(), permissions);
    tree().make(argument.start(), &argument.path, node)?;
    Ok(0)
}

/// rmdir(2)
pub async fn rmdir(thread: &Thread, path: usize) -> SysResult {
    unlinkat(thread, WORKING_DIRECTORY, path, abi::AT_REMOVEDIR as usize).await
}

/// unlink(2)
pub async fn unlink(thread: &Thread, path: usize) -> SysResult {
    unlinkat(thread, WORKING_DIRECTORY, path, 0).await
}

/// unlinkat(2)
pub async fn unlinkat(
    thread: &Thread,
    directory: usize,
    path: usize,
    unlink_flags: usize,
) -> SysResult {
    let unlink_flags = flags(unlink_flags);
    check_flags(unlink_flags, abi::AT_REMOVEDIR)?;
    let argument = PathArgument::read(thread, directory, path).await?;
    if unlink_flags & abi::AT_REMOVEDIR != 0 {
        tree().remove_directory(argument.start(), &argument.path)?;
    } else {
        tree().unlink(argument.start(), &argument.path)?;
    }
    Ok(0)
}

/// rename(2)
pub async fn rename(thread: &Thread, old: usize, new: usize) -> SysResult {
    renameat2(thread, WORKING_DIRECTORY, old, WORKING_DIRECTORY, new, 0).await
}

/// renameat(2)
pub async fn renameat(
    thread: &Thread,
    old_directory: usize,
    old: usize,
    new_directory: usize,
    new: usize,
) -> SysResult {
    renameat2(thread, old_directory, old, new_directory, new, 0).await
}

/// renameat2(2), without `RENAME_WHITEOUT`.
pub async fn renameat2(
    thread: &Thread,
    old_directory: usize,
    old: usize,
    new_directory: usize,
    new: usize,
    rename_flags: usize,
) -> SysResult {
    let rename_flags = flags(rename_flags);
    let replace = match rename_flags {
        0 => Replace::Yes,
        abi::RENAME_NOREPLACE => Replace::No,
        abi::RENAME_EXCHANGE => Replace::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let old = PathArgument::read(thread, old_directory, old).await?;
    let new = PathArgument::read(thread, new_directory, new).await?;
    tree().rename((old.start(), &old.path), (new.start(), &new.path), replace)?;
    Ok(0)
}

/// symlink(2)
pub async fn symlink(thread: &Thread, target: usize, new: usize) -> SysResult {
    symlinkat(thread, target, WORKING_DIRECTORY, new).await
}

/// symlinkat(2)
pub async fn symlinkat(thread: &Thread, target: usize, directory: usize, new: usize) -> SysResult {
    let target = path(thread, target).await?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let argument = PathArgument::read(thread, directory, new).await?;
    tree().make(
        argument.start(),
        &argument.path,
        Node::new(NodeKind::link(&target)?),
    )?;
    Ok(0)
}

/// link(2)
pub async fn link(thread: &Thread, old: usize, new: usize) -> SysResult {
    linkat(thread, WORKING_DIRECTORY, old, WORKING_DIRECTORY, new, 0).await
}

/// linkat(2)
pub async fn linkat(
    thread: &Thread,
    old_directory: usize,
    old: usize,
    new_directory: usize,
    new: usize,
    link_flags: usize,
) -> SysResult {
    let link_flags = flags(link_flags);
    check_flags(link_flags, abi::AT_SYMLINK_FOLLOW | abi::AT_EMPTY_PATH)?;
    let old = PathArgument::read(thread, old_directory, old).await?;
    let new = PathArgument::read(thread, new_directory, new).await?;
    let node = match link_flags & abi::AT_SYMLINK_FOLLOW {
        // This call has the opposite default.
        0 => old.node_at(link_flags | abi::AT_SYMLINK_NOFOLLOW)?,
        _ => old.node_at(link_flags)?,
    };
    match node.kind() {
        NodeKind::Regular(_)
        | NodeKind::Link(_)
        | NodeKind::Device(_)
        | NodeKind::Fifo(_)
        | NodeKind::Socket(_)
        | NodeKind::Absent(..) => {}
        NodeKind::Directory(_) | NodeKind::Computed(_) => return Err(Errno::EPERM),
        NodeKind::Generated(_) | NodeKind::Window(_) | NodeKind::Jump(_) => {
            return Err(Errno::EXDEV);
        }
    }
    if !node.can_be_linked() {
        return Err(Errno::ENOENT);
    }
    tree().link(new.start(), &new.path, node)?;
    Ok(0)
}

/// getcwd(2)
pub async fn getcwd(thread: &Thread, address: usize, size: usize) -> SysResult {
    let mut path = tree().path_of(&thread.process().cwd())?;
    path.push(0);
    if path.len() > size {
        return Err(Errno::ERANGE);
    }
    thread.space().write_bytes(address, &path).await?;
    Ok(path.len())
}

/// chdir(2)
pub async fn chdir(thread: &Thread, path: usize) -> SysResult {
    let argument = PathArgument::read(thread, WORKING_DIRECTORY, path).await?;
    let node = argument.node(Follow::Yes)?;
    if !node.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    thread.process().set_cwd(node);
    Ok(0)
}

/// fchdir(2)
pub async fn fchdir(thread: &Thread, fd: usize) -> SysResult {
    let file = file_or_path(thread, fd)?;
    let node = file
        .node()
        .filter(|node| node.is_directory())
        .ok_or(Errno::ENOTDIR)?;
    thread.process().set_cwd(node.clone());
    Ok(0)
}
