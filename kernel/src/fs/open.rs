//! Opening files by path (open(2)).

use super::device::Device;
use super::file::{CHANGEABLE, OpenFile, Opened, truncate};
use super::node::{Node, NodeKind};
use super::tree::Tree;
use super::tty;
use super::walk::{Follow, PathTarget, PathWalk, Start};
use crate::errno::Errno;
use crate::memory::Object;
use crate::memory::fallible;
use alloc::sync::Arc;
use core::sync::atomic::AtomicU64;
use linux_raw_sys::general as abi;

/// Opens the file that `path` names, or makes it with these permissions when `flags`
/// (`O_*`) say so. What is not known of the flags is ignored, as open(2) says.
pub async fn open(
    tree: &Tree,
    start: Start<'_>,
    path: &[u8],
    flags: u32,
    permissions: u32,
) -> Result<Arc<OpenFile>, Errno> {
    // O_PATH makes all flags but these meaningless.
    let flags = if flags & abi::O_PATH != 0 {
        flags & (abi::O_PATH | abi::O_DIRECTORY | abi::O_NOFOLLOW)
    } else {
        flags
    };
    if flags & abi::O_TMPFILE & !abi::O_DIRECTORY != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if flags & abi::O_ACCMODE == abi::O_ACCMODE {
        return Err(Errno::EINVAL);
    }
    let (node, made) = if flags & abi::O_CREAT != 0 {
        find_or_make(tree, start, path, flags, permissions)?
    } else {
        let follow = if flags & abi::O_NOFOLLOW != 0 {
            Follow::No
        } else {
            Follow::Yes
        };
        (tree.node(start, path, follow)?, false)
    };
    if flags & abi::O_DIRECTORY != 0 && !node.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if flags & abi::O_PATH != 0 {
        return Ok(fallible::arc(OpenFile::new(
            Opened::Path,
            Some(node),
            flags,
        ))?);
    }
    let opened = opened(&node, flags, start.caller)?;
    if flags & abi::O_TRUNC != 0 && !made && node.object().is_some() {
        truncate(&node, 0).await?;
    }
    let kept = flags & (abi::O_ACCMODE | CHANGEABLE | abi::O_DIRECTORY | abi::O_SYNC);
    // Programs for 64-bit Linux always see this one.
    let file = OpenFile::new(opened, Some(node), kept | abi::O_LARGEFILE);
    Ok(fallible::arc(file)?)
}

fn find_or_make(
    tree: &Tree,
    start: Start<'_>,
    path: &[u8],
    flags: u32,
    permissions: u32,
) -> Result<(Arc<Node>, bool), Errno> {
    if flags & abi::O_DIRECTORY != 0 {
        return Err(Errno::EINVAL);
    }
    let exclusive = flags & abi::O_EXCL != 0;
    let follow = if exclusive || flags & abi::O_NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    };
    let (node, made) = tree.find_or_make(start, path, follow, || {
        Ok(Node::with_permissions(
            NodeKind::regular(tree.new_object()?),
            permissions,
        ))
    })?;
    if !made && exclusive {
        return Err(Errno::EEXIST);
    }
    if !made && node.is_directory() {
        return Err(Errno::EISDIR);
    }
    Ok((node, made))
}

/// What an open file of this node holds.
fn opened(node: &Node, flags: u32, caller: i32) -> Result<Opened, Errno> {
    let writing = flags & abi::O_ACCMODE != abi::O_RDONLY;
    match node.kind() {
        NodeKind::Regular(_) => Ok(Opened::Regular),
        NodeKind::Directory(_) | NodeKind::Computed(_) if writing || flags & abi::O_TRUNC != 0 => {
            Err(Errno::EISDIR)
        }
        NodeKind::Directory(_) | NodeKind::Computed(_) => Ok(Opened::Directory(AtomicU64::new(0))),
        // Only with O_NOFOLLOW does one get here.
        NodeKind::Link(_) => Err(Errno::ELOOP),
        NodeKind::Device(Device::Ptmx) => Ok(Opened::Master(tty::open::master()?)),
        NodeKind::Device(device) => Ok(match tty::open::open(*device, caller)? {
            Some(terminal) => Opened::Terminal(terminal),
            None => Opened::Device(*device),
        }),
        NodeKind::Generated(_) if writing => Err(Errno::EACCES),
        NodeKind::Window(window) if writing && !window.is_writable() => Err(Errno::EACCES),
        NodeKind::Generated(text) => Ok(Opened::Text(text.generate()?)),
        NodeKind::Window(window) => Ok(Opened::Window(window.clone())),
    }
}

/// A regular file that has no name and gets none (memfd_create(2)), open for reading and
/// writing.
pub fn unnamed() -> Result<Arc<OpenFile>, Errno> {
    let node = Node::with_permissions(NodeKind::regular(Object::new()?), 0o777);
    let flags = abi::O_RDWR | abi::O_LARGEFILE;
    let node = fallible::arc(node)?;
    Ok(fallible::arc(OpenFile::new(
        Opened::Regular,
        Some(node),
        flags,
    ))?)
}

/// The program at `path`, for `execve`, and where it was found. `EACCES` for what is no regular file
/// or has no execute bit (execve(2)).
pub fn program<'a>(
    tree: &'a Tree,
    start: Start<'_>,
    path: &'a [u8],
) -> Result<(PathTarget<'a>, Arc<Node>), Errno> {
    let (target, node) = PathWalk::new(tree, start, path)?.entry(Follow::Yes)?;
    if node.object().is_none() || !node.is_executable() {
        return Err(Errno::EACCES);
    }
    Ok((target, node))
}
