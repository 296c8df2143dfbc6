//! The system calls on sockets (socket(2), unix(7), ip(7)).
//!
//! Arguments become types here; [`net`](crate::net) does the work, and `fs::special` the waiting.

mod arguments;
mod message;
mod options;

pub use message::{recvfrom, recvmmsg, recvmsg, sendmmsg, sendmsg, sendto};
pub use options::{getsockopt, setsockopt};

use super::file::open_special;
use crate::errno::{Errno, SysResult};
use crate::fs::node::{Node, NodeKind};
use crate::fs::special::{Special, persist_without};
use crate::fs::table::OnExec;
use crate::net::address::{Address, Family};
use crate::net::connect::{Shut, pair};
use crate::net::socket::{Kind, Socket};
use crate::process::Thread;
use alloc::sync::{Arc, Weak};
use arguments::{credentials, find_path, read_address, socket_of, write_address};
use linux_raw_sys::general as abi;
use linux_raw_sys::net;

/// The kind and the flags in the argument of socket(2).
fn kind(argument: usize) -> Result<(Kind, u32), Errno> {
    let argument = argument as u32;
    let how = argument & (abi::O_CLOEXEC | abi::O_NONBLOCK);
    let kind = match argument & !how {
        net::SOCK_STREAM => Kind::Stream,
        net::SOCK_DGRAM => Kind::Datagram,
        net::SOCK_SEQPACKET => Kind::SeqPacket,
        net::SOCK_RAW | net::SOCK_RDM => return Err(Errno::ESOCKTNOSUPPORT),
        _ => return Err(Errno::EINVAL),
    };
    Ok((kind, how))
}

/// socket(2)
pub fn socket(thread: &Thread, family: usize, how: usize, protocol: usize) -> SysResult {
    let (kind, flags) = kind(how)?;
    let protocol = protocol as u32;
    let family = match family as u32 {
        net::AF_UNIX => Family::Unix,
        net::AF_INET => Family::V4,
        net::AF_INET6 => Family::V6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    check_protocol(family, kind, protocol)?;
    let socket = Socket::new(family, kind, credentials(thread))?;
    open_special(thread, socket, flags)
}

fn check_protocol(family: Family, kind: Kind, protocol: u32) -> Result<(), Errno> {
    match (family, kind, protocol) {
        (Family::Unix, _, 0 | net::AF_UNIX) => Ok(()),
        (Family::Unix, _, _) => Err(Errno::EPROTONOSUPPORT),
        (_, Kind::SeqPacket, _) => Err(Errno::ESOCKTNOSUPPORT),
        (_, _, 0) => Ok(()),
        (_, Kind::Stream, number) if number == net::IPPROTO_TCP as u32 => Ok(()),
        (_, Kind::Datagram, number) if number == net::IPPROTO_UDP as u32 => Ok(()),
        _ => Err(Errno::EPROTONOSUPPORT),
    }
}

/// socketpair(2)
pub async fn socketpair(
    thread: &Thread,
    family: usize,
    how: usize,
    protocol: usize,
    address: usize,
) -> SysResult {
    let (kind, flags) = kind(how)?;
    match family as u32 {
        net::AF_UNIX => check_protocol(Family::Unix, kind, protocol as u32)?,
        net::AF_INET | net::AF_INET6 => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EAFNOSUPPORT),
    }
    let (first, second) = pair(kind, credentials(thread))?;
    let files = thread.process().files();
    let open = |socket: Arc<Socket>| {
        crate::fs::file::OpenFile::special(socket, abi::O_RDWR | flags & abi::O_NONBLOCK)
    };
    let on_exec = match flags & abi::O_CLOEXEC {
        0 => OnExec::Keep,
        _ => OnExec::Close,
    };
    let (first, second) = files.add_two((open(first)?, open(second)?), on_exec)?;
    let bytes = [first.0.to_ne_bytes(), second.0.to_ne_bytes()];
    let written = thread.space().write_bytes(address, bytes.as_flattened());
    if let Err(error) = written.await {
        let _ = files.remove(first);
        let _ = files.remove(second);
        return Err(error.into());
    }
    Ok(0)
}

/// bind(2)
pub async fn bind(thread: &Thread, fd: usize, address: usize, length: usize) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    let name = read_address(thread, address, length, socket.family()).await?;
    let Some(path) = name.path() else {
        socket.bind(name)?;
        return Ok(0);
    };
    let special: Arc<dyn Special> = socket.clone();
    let weak: Weak<dyn Special> = Arc::downgrade(&special);
    let permissions = super::file::permissions(thread, 0o777);
    let node = Node::with_permissions(NodeKind::Socket(Some(weak)), permissions);
    let directory = thread.process().cwd();
    let start = crate::fs::walk::Start {
        directory: &directory,
        caller: thread.tid().0 as i32,
    };
    let made = crate::fs::tree().make(start, path, node);
    made.map_err(|error| match error {
        Errno::EEXIST => Errno::EADDRINUSE,
        error => error,
    })?;
    let named = socket.bind(name.clone());
    if named.is_err() {
        // It had a name already.
        let _ = crate::fs::tree().unlink(start, path);
    }
    named.map(|()| 0)
}

/// listen(2)
pub fn listen(thread: &Thread, fd: usize, backlog: usize) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    // What is negative counts as very many.
    socket.listen(backlog as u32 as usize)?;
    Ok(0)
}

/// connect(2)
pub async fn connect(thread: &Thread, fd: usize, address: usize, length: usize) -> SysResult {
    let (file, socket) = socket_of(thread, fd)?;
    let mut family = [0; 2];
    if length >= family.len() {
        thread.space().read_bytes(address, &mut family).await?;
        if u16::from_ne_bytes(family) == 0 {
            socket.disconnect();
            return Ok(0);
        }
    }
    let name = read_address(thread, address, length, socket.family()).await?;
    let target = target(thread, &socket, &name)?;
    let owner = credentials(thread);
    let attempt = || socket.connect(&target, &name, owner);
    persist_without(
        &*socket,
        target.polls(),
        crate::arch::Access::Read,
        file.wait(thread),
        attempt,
    )
    .await?;
    Ok(0)
}

/// The socket that an address names.
fn target(thread: &Thread, socket: &Socket, name: &Address) -> Result<Arc<Socket>, Errno> {
    match name.path() {
        Some(path) => find_path(thread, path),
        None => socket.find(name),
    }
}

/// accept(2), accept4(2)
pub async fn accept(
    thread: &Thread,
    fd: usize,
    address: usize,
    length: usize,
    how: usize,
) -> SysResult {
    let how = how as u32;
    if how & !(abi::O_CLOEXEC | abi::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (file, socket) = socket_of(thread, fd)?;
    let attempt = || socket.accept();
    let accepted = persist_without(
        &*socket,
        socket.polls(),
        crate::arch::Access::Write,
        file.wait(thread),
        attempt,
    )
    .await?;
    let opened = open_special(thread, accepted.clone(), how);
    let Ok(new) = opened else {
        accepted.close();
        return opened;
    };
    if address != 0 {
        let name = accepted.peer_name().unwrap_or(Address::Unnamed);
        let bytes = name.bytes(socket.family());
        if let Err(error) = write_address(thread, &bytes, address, length).await {
            let new = crate::fs::table::Fd::from_argument(new);
            let _ = thread.process().files().remove(new);
            return Err(error);
        }
    }
    Ok(new)
}

/// getsockname(2)
pub async fn getsockname(thread: &Thread, fd: usize, address: usize, length: usize) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    let bytes = socket.name().bytes(socket.family());
    write_address(thread, &bytes, address, length).await
}

/// getpeername(2)
pub async fn getpeername(thread: &Thread, fd: usize, address: usize, length: usize) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    let bytes = socket.peer_name()?.bytes(socket.family());
    write_address(thread, &bytes, address, length).await
}

/// shutdown(2)
pub fn shutdown(thread: &Thread, fd: usize, how: usize) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    let how = match how as u32 {
        net::SHUT_RD => Shut {
            read: true,
            write: false,
        },
        net::SHUT_WR => Shut {
            read: false,
            write: true,
        },
        net::SHUT_RDWR => Shut {
            read: true,
            write: true,
        },
        _ => return Err(Errno::EINVAL),
    };
    socket.shut_down(how)?;
    Ok(0)
}
