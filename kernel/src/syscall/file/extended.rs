//! Extended attributes: setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their kin.

use super::arguments::{PathArgument, WORKING_DIRECTORY, file, flags};
use crate::errno::{Errno, SysResult};
use crate::fs::node::{Node, NodeKind};
use crate::fs::walk::Follow;
use crate::fs::xattr::{MAX_NAME, MAX_VALUE, Mode};
use crate::memory::{AccessError, fallible};
use crate::process::{Capability, Thread};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What the calls of this family are told about.
#[derive(Clone, Copy)]
pub enum Of {
    /// The file at this path, links followed.
    Path(usize),
    /// The same, and the last link not followed.
    Link(usize),
    /// The file of this descriptor.
    Descriptor(usize),
}

impl Of {
    async fn node(self, thread: &Thread) -> Result<Arc<Node>, Errno> {
        let (path, follow) = match self {
            Of::Path(path) => (path, Follow::Yes),
            Of::Link(path) => (path, Follow::No),
            Of::Descriptor(fd) => {
                let file = file(thread, fd)?;
                return file.node().cloned().ok_or(Errno::EOPNOTSUPP);
            }
        };
        let argument = PathArgument::read(thread, WORKING_DIRECTORY, path).await?;
        argument.node(follow)
    }
}

/// Whether the caller is privileged over attributes.
fn is_privileged(thread: &Thread) -> bool {
    let process = thread.process();
    process.with_credentials(|who| who.has(Capability::SysAdmin))
}

/// The name of an attribute.
async fn name(thread: &Thread, address: usize) -> Result<Vec<u8>, Errno> {
    match thread.space().read_string(address, MAX_NAME + 1).await {
        Err(AccessError::TooLong) => Err(Errno::ERANGE),
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        name => Ok(name?),
    }
}

/// Whether a file may have an attribute of this name, and the caller may see it or change it
/// (xattr(7), "Namespaces").
fn check(thread: &Thread, node: &Node, name: &[u8], writing: bool) -> Result<(), Errno> {
    let is_plain = matches!(node.kind(), NodeKind::Regular(_) | NodeKind::Directory(_));
    let is_kept = is_plain
        || matches!(
            node.kind(),
            NodeKind::Link(_)
                | NodeKind::Fifo(_)
                | NodeKind::Socket(_)
                | NodeKind::Device(_)
                | NodeKind::Absent(..)
        );
    let after = |prefix: &[u8]| name.strip_prefix(prefix).map(|rest| !rest.is_empty());
    let known = after(b"user.")
        .or_else(|| after(b"trusted."))
        .or_else(|| after(b"security."));
    match known {
        Some(true) if is_kept => {}
        Some(false) => return Err(Errno::EINVAL),
        _ => return Err(Errno::EOPNOTSUPP),
    }
    if name.starts_with(b"user.") && !is_plain {
        return Err(if writing {
            Errno::EPERM
        } else {
            Errno::ENODATA
        });
    }
    if name.starts_with(b"trusted.") && !is_privileged(thread) {
        return Err(if writing {
            Errno::EPERM
        } else {
            Errno::ENODATA
        });
    }
    if name.starts_with(b"security.") && writing && !is_privileged(thread) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// setxattr(2), lsetxattr(2), fsetxattr(2)
pub async fn set_attribute(
    thread: &Thread,
    of: Of,
    [name_at, value, size, set_flags]: [usize; 4],
) -> SysResult {
    const CREATE: u32 = 1;
    const REPLACE: u32 = 2;
    let mode = match flags(set_flags) {
        0 => Mode::Any,
        CREATE => Mode::Create,
        REPLACE => Mode::Replace,
        both if both == CREATE | REPLACE => Mode::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let name = name(thread, name_at).await?;
    if size > MAX_VALUE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = fallible::vec(size)?;
    bytes.resize(size, 0);
    thread.space().read_bytes(value, &mut bytes).await?;
    let node = of.node(thread).await?;
    check(thread, &node, &name, true)?;
    node.extended().set(&name, &bytes, mode)?;
    node.change(|_| ());
    Ok(0)
}

/// getxattr(2), lgetxattr(2), fgetxattr(2)
pub async fn get_attribute(
    thread: &Thread,
    of: Of,
    [name_at, address, size]: [usize; 3],
) -> SysResult {
    let name = name(thread, name_at).await?;
    let node = of.node(thread).await?;
    check(thread, &node, &name, false)?;
    let value = node.extended().get(&name)?;
    tell(thread, &value, address, size).await
}

/// listxattr(2), llistxattr(2), flistxattr(2)
pub async fn list_attributes(thread: &Thread, of: Of, address: usize, size: usize) -> SysResult {
    let node = of.node(thread).await?;
    let sees_all = is_privileged(thread);
    let shown = |name: &[u8]| sees_all || !name.starts_with(b"trusted.");
    let list = node.extended().list(shown)?;
    tell(thread, &list, address, size).await
}

/// removexattr(2), lremovexattr(2), fremovexattr(2)
pub async fn remove_attribute(thread: &Thread, of: Of, name_at: usize) -> SysResult {
    let name = name(thread, name_at).await?;
    let node = of.node(thread).await?;
    check(thread, &node, &name, true)?;
    node.extended().remove(&name)?;
    node.change(|_| ());
    Ok(0)
}

/// Gives the program the bytes, or with a size of 0 only says how many they are.
async fn tell(thread: &Thread, bytes: &[u8], address: usize, size: usize) -> SysResult {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        thread.space().write_bytes(address, bytes).await?;
    }
    Ok(bytes.len())
}
