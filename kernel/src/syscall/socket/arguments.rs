//! What the calls on sockets have in their arguments: descriptors, addresses, the caller.

use crate::errno::{Errno, SysResult};
use crate::fs::file::OpenFile;
use crate::fs::node::NodeKind;
use crate::fs::special::Special;
use crate::fs::table::Fd;
use crate::fs::walk::{Follow, Start};
use crate::net::address::{Address, Family, MAX};
use crate::net::inbox::Peer;
use crate::net::socket::Socket;
use crate::process::Thread;
use alloc::sync::{Arc, Weak};
use core::any::Any;

/// The socket of a descriptor.
pub(super) fn socket_of(thread: &Thread, fd: usize) -> Result<(Arc<OpenFile>, Arc<Socket>), Errno> {
    let file = thread.process().files().get(Fd::from_argument(fd))?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    let socket = file.downcast_arc().ok_or(Errno::ENOTSOCK)?;
    Ok((file, socket))
}

/// The caller, as a peer sees it.
pub(super) fn credentials(thread: &Thread) -> Peer {
    let process = thread.process();
    process.with_credentials(|own| Peer {
        pid: process.pid.0,
        uid: own.uid.effective,
        gid: own.gid.effective,
    })
}

/// An address in the program's memory.
pub(super) async fn read_address(
    thread: &Thread,
    address: usize,
    length: usize,
    family: Family,
) -> Result<Address, Errno> {
    let length = length as u32 as usize;
    let mut bytes = [0; MAX];
    let bytes = bytes.get_mut(..length).ok_or(Errno::EINVAL)?;
    thread.space().read_bytes(address, bytes).await?;
    Address::parse(bytes, family)
}

/// Writes an address as far as there is room for it, and how long it is.
pub(super) async fn write_address(
    thread: &Thread,
    bytes: &[u8],
    address: usize,
    length: usize,
) -> SysResult {
    let space = thread.space();
    let mut room = [0; 4];
    space.read_bytes(length, &mut room).await?;
    let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno::EINVAL)?;
    let part = &bytes[..bytes.len().min(room)];
    space.write_bytes(address, part).await?;
    let told = (bytes.len() as u32).to_ne_bytes();
    space.write_bytes(length, &told).await?;
    Ok(0)
}

/// The socket that a path names.
pub(super) fn find_path(thread: &Thread, path: &[u8]) -> Result<Arc<Socket>, Errno> {
    let directory = thread.process().cwd();
    let start = Start {
        directory: &directory,
        caller: thread.tid().0 as i32,
    };
    let node = crate::fs::tree().node(start, path, Follow::Yes)?;
    let NodeKind::Socket(socket) = node.kind() else {
        return Err(Errno::ECONNREFUSED);
    };
    let special: Arc<dyn Special> = socket
        .as_ref()
        .and_then(Weak::upgrade)
        .ok_or(Errno::ECONNREFUSED)?;
    let any: Arc<dyn Any + Send + Sync> = special;
    any.downcast().map_err(|_| Errno::ECONNREFUSED)
}
