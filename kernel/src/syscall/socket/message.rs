//! sendto(2), sendmsg(2), recvfrom(2), recvmsg(2) and their kin, with what comes beside the bytes
//! (cmsg(3)).

use super::arguments::{credentials, find_path, read_address, socket_of, write_address};
use crate::arch::{self, Access};
use crate::errno::{Errno, SysResult};
use crate::fs::file::OpenFile;
use crate::fs::special::{persist, write_all};
use crate::fs::table::{Fd, OnExec};
use crate::memory::UserBuf;
use crate::net::address::{Address, Family};
use crate::net::inbox::{Peer, Received, Rights};
use crate::net::socket::{Kind, Socket};
use crate::net::transfer::Take;
use crate::process::{SigInfo, Signal, Thread};
use crate::wait::Wait;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::net;

/// The most bytes of one call.
const MAX_COUNT: usize = 0x7fff_f000;
/// The most descriptors of one message (`SCM_MAX_FD`).
const MOST_RIGHTS: usize = 253;
/// The longest control data that is looked at.
const MOST_CONTROL: usize = 4096;
/// `struct msghdr`, `struct cmsghdr`, `struct mmsghdr`.
const HEADER: usize = 56;
const CONTROL: usize = 16;
const MANY: usize = 64;
/// `MSG_WAITFORONE`: only the first message is waited for (recvmmsg(2)).
const WAIT_FOR_ONE: usize = 0x10000;

/// A `struct msghdr` in the program's memory.
struct Header {
    at: usize,
    name: usize,
    name_length: usize,
    segments: usize,
    count: usize,
    control: usize,
    control_length: usize,
}

impl Header {
    async fn read(thread: &Thread, at: usize) -> Result<Header, Errno> {
        let mut bytes = [0; HEADER];
        thread.space().read_bytes(at, &mut bytes).await?;
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            usize::from_ne_bytes(word)
        };
        Ok(Header {
            at,
            name: word(0),
            name_length: word(1) & 0xffff_ffff,
            segments: word(2),
            count: word(3),
            control: word(4),
            control_length: word(5),
        })
    }
}

/// Whether a call on this file may wait.
fn waits<'a>(thread: &'a Thread, file: &OpenFile, flags: u32) -> Wait<'a> {
    match flags & net::MSG_DONTWAIT {
        0 => file.wait(thread),
        _ => Wait::Never,
    }
}

/// Sends what is in the buffer, and tells of a peer that is gone by a signal.
async fn send(
    thread: &Thread,
    (file, socket): (&OpenFile, &Arc<Socket>),
    from: &mut UserBuf<'_>,
    target: Option<Arc<Socket>>,
    (sender, rights): (Peer, &mut Rights),
    flags: u32,
) -> SysResult {
    if flags & net::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let wait = waits(thread, file, flags);
    let result = match target {
        Some(target) => {
            let attempt = |from: &mut UserBuf<'_>| socket.send_to(&target, from, sender, rights);
            // Woken when something was received there.
            persist(&*target, from, Access::Read, wait, attempt).await
        }
        None => {
            let attempt = |from: &mut UserBuf<'_>| socket.send(from, sender, rights);
            write_all(&**socket, from, wait, attempt).await
        }
    };
    if result == Err(Errno::EPIPE)
        && flags & net::MSG_NOSIGNAL == 0
        && socket.kind() == Kind::Stream
    {
        let info = SigInfo::user(Signal::PIPE, thread.process().pid, sender.uid);
        // An ordinary signal always has room.
        let _ = thread.tcb().send(info);
    }
    result
}

/// Where a message goes to, if that is said.
async fn destination(
    thread: &Thread,
    socket: &Socket,
    name: usize,
    length: usize,
) -> Result<Option<Arc<Socket>>, Errno> {
    if name == 0 {
        return Ok(None);
    }
    if socket.kind() != Kind::Datagram {
        // A stream goes where it is connected to.
        return match socket.peer_name() {
            Ok(_) if socket.family() == Family::Unix => Err(Errno::EISCONN),
            Ok(_) => Ok(None),
            Err(_) => Err(Errno::EOPNOTSUPP),
        };
    }
    let address = read_address(thread, name, length, socket.family()).await?;
    let target = match address.path() {
        Some(path) => find_path(thread, path)?,
        None => socket.find(&address)?,
    };
    match target.kind() == socket.kind() {
        true => Ok(Some(target)),
        false => Err(Errno::EPROTOTYPE),
    }
}

/// send(2), sendto(2)
pub async fn sendto(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
    flags: usize,
    (name, length): (usize, usize),
) -> SysResult {
    let (file, socket) = socket_of(thread, fd)?;
    let mut from = UserBuf::new(thread.space(), address, count)?;
    from.limit(MAX_COUNT);
    let target = destination(thread, &socket, name, length).await?;
    let sender = credentials(thread);
    let what = (sender, &mut Rights::new());
    send(
        thread,
        (&file, &socket),
        &mut from,
        target,
        what,
        flags as u32,
    )
    .await
}

/// sendmsg(2)
pub async fn sendmsg(thread: &Thread, fd: usize, address: usize, flags: usize) -> SysResult {
    let (file, socket) = socket_of(thread, fd)?;
    let header = Header::read(thread, address).await?;
    let mut from = UserBuf::vectored(thread.space(), header.segments, header.count)
        .await
        .map_err(message_too_long)?;
    from.limit(MAX_COUNT);
    let target = destination(thread, &socket, header.name, header.name_length).await?;
    let (sender, mut rights) = read_control(thread, &socket, &header).await?;
    let what = (sender, &mut rights);
    send(
        thread,
        (&file, &socket),
        &mut from,
        target,
        what,
        flags as u32,
    )
    .await
}

/// Too many segments are another error here than for readv(2).
fn message_too_long(error: crate::memory::AccessError) -> Errno {
    match Errno::from(error) {
        Errno::EINVAL => Errno::EMSGSIZE,
        error => error,
    }
}

/// What is to be sent beside the bytes.
async fn read_control(
    thread: &Thread,
    socket: &Socket,
    header: &Header,
) -> Result<(Peer, Rights), Errno> {
    let mut sender = credentials(thread);
    let mut rights = Rights::new();
    if header.control_length == 0 || header.control == 0 {
        return Ok((sender, rights));
    }
    if header.control_length > MOST_CONTROL {
        return Err(Errno::ENOBUFS);
    }
    let mut bytes: Vec<u8> = crate::memory::fallible::vec(header.control_length)?;
    bytes.resize(header.control_length, 0);
    thread
        .space()
        .read_bytes(header.control, &mut bytes)
        .await?;
    let mut rest = &bytes[..];
    while let Some((head, _)) = rest.split_first_chunk::<CONTROL>() {
        let [length @ .., _, _, _, _, _, _, _, _] = *head;
        let length = usize::from_ne_bytes(length);
        let [_, _, _, _, _, _, _, _, level @ .., _, _, _, _] = *head;
        let [_, _, _, _, _, _, _, _, _, _, _, _, kind @ ..] = *head;
        let data = rest.get(CONTROL..length).ok_or(Errno::EINVAL)?;
        match (u32::from_ne_bytes(level), u32::from_ne_bytes(kind)) {
            (net::SOL_SOCKET, net::SCM_RIGHTS) => {
                if socket.family() != Family::Unix {
                    return Err(Errno::EINVAL);
                }
                let count = data.len() / 4;
                if rights.len() + count > MOST_RIGHTS {
                    return Err(Errno::EINVAL);
                }
                crate::memory::fallible::reserve(&mut rights, count)?;
                for fd in data.as_chunks().0 {
                    let file = thread.process().files().get(Fd(u32::from_ne_bytes(*fd)))?;
                    // A socket keeps the files of its messages, so sockets that are in flight to
                    // each other would never be given back (rule M11). Linux collects such circles;
                    // here none can be made.
                    let keeps_files = |socket: &Socket| socket.family() == Family::Unix;
                    if file.downcast::<Socket>().is_some_and(keeps_files) {
                        return Err(Errno::ETOOMANYREFS);
                    }
                    rights.push(file);
                }
            }
            (net::SOL_SOCKET, net::SCM_CREDENTIALS) => {
                let ([pid, uid, gid], []) = data.as_chunks() else {
                    return Err(Errno::EINVAL);
                };
                let given = Peer {
                    pid: u32::from_ne_bytes(*pid),
                    uid: u32::from_ne_bytes(*uid),
                    gid: u32::from_ne_bytes(*gid),
                };
                // Only root may pretend (unix(7)).
                if given != sender
                    && thread.process().with_credentials(|own| own.uid.effective) != 0
                {
                    return Err(Errno::EPERM);
                }
                sender = given;
            }
            _ => return Err(Errno::EINVAL),
        }
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok((sender, rights))
}

/// sendmmsg(2)
pub async fn sendmmsg(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
    flags: usize,
) -> SysResult {
    let mut done = 0;
    while done < (count as u32 as usize).min(1024) {
        let at = address.checked_add(done * MANY).ok_or(Errno::EFAULT)?;
        let result = match sendmsg(thread, fd, at, flags).await {
            Ok(sent) => {
                let told = (sent as u32).to_ne_bytes();
                let written = thread.space().write_bytes(at + HEADER, &told).await;
                written.map_err(Errno::from)
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Receives into the buffer.
async fn receive(
    thread: &Thread,
    (file, socket): (&OpenFile, &Arc<Socket>),
    to: &mut UserBuf<'_>,
    flags: u32,
) -> Result<Received, Errno> {
    if flags & net::MSG_OOB != 0 {
        return Err(Errno::EINVAL);
    }
    let take = match flags & net::MSG_PEEK {
        0 => Take::Bytes,
        _ => Take::Look,
    };
    let wait = waits(thread, file, flags);
    let attempt = |to: &mut UserBuf<'_>| socket.receive(to, take);
    let mut received = persist(&**socket, to, Access::Write, wait, attempt).await?;
    let all = flags & net::MSG_WAITALL != 0 && flags & net::MSG_PEEK == 0;
    while all
        && socket.kind() == Kind::Stream
        && received.count > 0
        && to.remaining() > 0
        && received.rights.is_empty()
    {
        match persist(&**socket, to, Access::Write, wait, attempt).await {
            Ok(more) if more.count > 0 => {
                received.count += more.count;
                received.length += more.count;
                received.rights = more.rights;
            }
            // What came before counts.
            _ => break,
        }
    }
    Ok(received)
}

/// How much was received, as the call returns it.
fn told(socket: &Socket, received: &Received, flags: u32) -> usize {
    match flags & net::MSG_TRUNC != 0 && socket.kind() != Kind::Stream {
        true => received.length,
        false => received.count,
    }
}

/// recv(2), recvfrom(2)
pub async fn recvfrom(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
    flags: usize,
    (name, length): (usize, usize),
) -> SysResult {
    let (file, socket) = socket_of(thread, fd)?;
    let mut to = UserBuf::new(thread.space(), address, count)?;
    to.limit(MAX_COUNT);
    let received = receive(thread, (&file, &socket), &mut to, flags as u32).await?;
    if name != 0 && socket.kind() == Kind::Datagram {
        let bytes = received.from.bytes(socket.family());
        let bytes = match received.from {
            Address::Unnamed => &[][..],
            _ => &bytes[..],
        };
        write_address(thread, bytes, name, length).await?;
    } else if name != 0 && length != 0 {
        thread.space().write_bytes(length, &[0; 4]).await?;
    }
    Ok(told(&socket, &received, flags as u32))
}

/// recvmsg(2)
pub async fn recvmsg(thread: &Thread, fd: usize, address: usize, flags: usize) -> SysResult {
    let flags = flags as u32;
    let (file, socket) = socket_of(thread, fd)?;
    let header = Header::read(thread, address).await?;
    let mut to = UserBuf::vectored(thread.space(), header.segments, header.count)
        .await
        .map_err(message_too_long)?;
    to.limit(MAX_COUNT);
    let mut received = receive(thread, (&file, &socket), &mut to, flags).await?;
    let space = thread.space();
    let mut out = 0;
    if received.count < received.length {
        out |= net::MSG_TRUNC;
    }
    let mut name_length = 0;
    if header.name != 0 && socket.kind() == Kind::Datagram && received.from != Address::Unnamed {
        let bytes = received.from.bytes(socket.family());
        name_length = bytes.len();
        let part = &bytes[..bytes.len().min(header.name_length)];
        space.write_bytes(header.name, part).await?;
    }
    let (control_length, cut) =
        write_control(thread, &socket, &header, &mut received, flags).await?;
    if cut {
        out |= net::MSG_CTRUNC;
    }
    space
        .write_bytes(header.at + 8, &(name_length as u32).to_ne_bytes())
        .await?;
    space
        .write_bytes(header.at + 40, &control_length.to_ne_bytes())
        .await?;
    out |= flags & net::MSG_CMSG_CLOEXEC;
    space
        .write_bytes(header.at + 48, &out.to_ne_bytes())
        .await?;
    Ok(told(&socket, &received, flags))
}

/// Writes what came beside the bytes, and says how long it is and whether something was cut off.
async fn write_control(
    thread: &Thread,
    socket: &Socket,
    header: &Header,
    received: &mut Received,
    flags: u32,
) -> Result<(usize, bool), Errno> {
    let room = match header.control {
        0 => 0,
        _ => header.control_length,
    };
    let mut done = 0;
    let mut cut = false;
    if socket.options().pass_credentials() {
        let Peer { pid, uid, gid } = received.sender;
        let data = [pid, uid, gid].map(u32::to_ne_bytes);
        let head = control_head(CONTROL + 12, net::SCM_CREDENTIALS);
        if room >= CONTROL + 12 {
            thread.space().write_bytes(header.control, &head).await?;
            let at = header.control + CONTROL;
            thread.space().write_bytes(at, data.as_flattened()).await?;
            done = (CONTROL + 12).next_multiple_of(8).min(room);
        } else {
            cut = true;
        }
    }
    if received.rights.is_empty() {
        return Ok((done, cut));
    }
    let places = room.saturating_sub(done + CONTROL) / 4;
    let on_exec = match flags & net::MSG_CMSG_CLOEXEC {
        0 => OnExec::Keep,
        _ => OnExec::Close,
    };
    let mut count = 0;
    let start = header.control + done + CONTROL;
    for file in core::mem::take(&mut received.rights) {
        if count == places {
            cut = true;
            break;
        }
        let Ok(fd) = thread.process().files().add(file, on_exec) else {
            cut = true;
            break;
        };
        let written = thread
            .space()
            .write_bytes(start + 4 * count, &fd.0.to_ne_bytes())
            .await;
        if let Err(error) = written {
            let _ = thread.process().files().remove(fd);
            return Err(error.into());
        }
        count += 1;
    }
    if count > 0 {
        let length = CONTROL + 4 * count;
        let head = control_head(length, net::SCM_RIGHTS);
        thread
            .space()
            .write_bytes(header.control + done, &head)
            .await?;
        done = (done + length).next_multiple_of(8).min(room);
    }
    Ok((done, cut))
}

fn control_head(length: usize, kind: u32) -> [u8; CONTROL] {
    let mut head = [0; CONTROL];
    head[..8].copy_from_slice(&length.to_ne_bytes());
    head[8..12].copy_from_slice(&net::SOL_SOCKET.to_ne_bytes());
    head[12..].copy_from_slice(&kind.to_ne_bytes());
    head
}

/// recvmmsg(2). The time is looked at between messages, as on Linux.
pub async fn recvmmsg(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
    flags: usize,
    timeout: usize,
) -> SysResult {
    let mut flags = flags;
    let end = match timeout {
        0 => None,
        at => {
            let time = crate::syscall::time::read_timespec(thread, at).await?;
            Some(arch::clock().saturating_add(time))
        }
    };
    let mut done = 0;
    while done < (count as u32 as usize).min(1024) {
        let at = address.checked_add(done * MANY).ok_or(Errno::EFAULT)?;
        let result = match recvmsg(thread, fd, at, flags & !(WAIT_FOR_ONE)).await {
            Ok(got) => {
                let told = (got as u32).to_ne_bytes();
                let written = thread.space().write_bytes(at + HEADER, &told).await;
                written.map_err(Errno::from)
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if flags & WAIT_FOR_ONE != 0 {
            flags |= net::MSG_DONTWAIT as usize;
        }
        if end.is_some_and(|end| arch::clock() >= end) {
            break;
        }
    }
    Ok(done)
}
