//! Making files that are no regular ones: mknod(2).

use super::arguments::{PathArgument, WORKING_DIRECTORY, flags, permissions};
use crate::errno::{Errno, SysResult};
use crate::fs::device::Device;
use crate::fs::metadata::FileType;
use crate::fs::node::{Node, NodeKind};
use crate::fs::pipe::Pipe;
use crate::fs::tree;
use crate::process::{Capability, Thread};
use linux_raw_sys::general as abi;

/// mknod(2)
pub async fn mknod(thread: &Thread, path: usize, mode: usize, device: usize) -> SysResult {
    mknodat(thread, WORKING_DIRECTORY, path, mode, device).await
}

/// mknodat(2)
pub async fn mknodat(
    thread: &Thread,
    directory: usize,
    path: usize,
    mode: usize,
    device: usize,
) -> SysResult {
    let mode = flags(mode);
    let argument = PathArgument::read(thread, directory, path).await?;
    let kind = match mode & abi::S_IFMT {
        0 | abi::S_IFREG => NodeKind::regular(tree().new_object()?),
        abi::S_IFIFO => NodeKind::Fifo(Pipe::closed()?),
        abi::S_IFSOCK => NodeKind::Socket(None),
        kind @ (abi::S_IFCHR | abi::S_IFBLK) => {
            if !thread
                .process()
                .with_credentials(|who| who.has(Capability::Mknod))
            {
                return Err(Errno::EPERM);
            }
            device_kind(kind, device as u32)
        }
        abi::S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let node = Node::with_permissions(kind, permissions(thread, mode & 0o7777));
    tree().make(argument.start(), &argument.path, node)?;
    Ok(0)
}

/// What a device node with this number is. The number is Linux's for programs: 12 bits of the major
/// one are in the middle (makedev(3)).
fn device_kind(kind: u32, number: u32) -> NodeKind {
    let number = u64::from(number);
    let known = Device::ALL.into_iter().map(|(_, device)| device);
    match known.into_iter().find(|device| device.number() == number) {
        Some(device) if kind == abi::S_IFCHR => NodeKind::Device(device),
        _ if kind == abi::S_IFCHR => NodeKind::Absent(FileType::Character, number),
        _ => NodeKind::Absent(FileType::Block, number),
    }
}
