//! getsockopt(2) and setsockopt(2).

use super::arguments::socket_of;
use crate::errno::{Errno, SysResult};
use crate::net::address::Family;
use crate::net::socket::{Kind, Socket};
use crate::process::Thread;
use core::sync::atomic::Ordering;
use linux_raw_sys::net;

const SECOND: u64 = 1_000_000_000;
/// The least that the buffers are said to be.
const LEAST_BUFFER: u32 = 2304;
/// The most (`net.core.wmem_max`).
const MOST_BUFFER: u32 = 212_992;

/// The options of a number that are kept and told: `SOL_SOCKET`, `IPPROTO_TCP`, `IPPROTO_IP`,
/// `IPPROTO_IPV6`. Nothing here depends on them. The index is the bit that an option has.
const KEPT: [(u32, u32); 19] = [
    (net::SOL_SOCKET, net::SO_REUSEADDR),
    (net::SOL_SOCKET, net::SO_REUSEPORT),
    (net::SOL_SOCKET, net::SO_KEEPALIVE),
    (net::SOL_SOCKET, net::SO_BROADCAST),
    (net::SOL_SOCKET, net::SO_OOBINLINE),
    (net::SOL_SOCKET, net::SO_DONTROUTE),
    (net::SOL_SOCKET, net::SO_TIMESTAMP),
    (TCP, net::TCP_NODELAY),
    (TCP, net::TCP_CORK),
    (TCP, net::TCP_QUICKACK),
    (TCP, net::TCP_KEEPIDLE),
    (TCP, net::TCP_KEEPINTVL),
    (TCP, net::TCP_KEEPCNT),
    (TCP, net::TCP_DEFER_ACCEPT),
    (TCP, net::TCP_USER_TIMEOUT),
    (TCP, net::TCP_FASTOPEN),
    (IP, net::IP_TOS),
    (IP, net::IP_TTL),
    (IP, net::IP_RECVERR),
];
const TCP: u32 = net::IPPROTO_TCP as u32;
const IP: u32 = net::IPPROTO_IP as u32;
const IPV6: u32 = net::IPPROTO_IPV6 as u32;

fn kept(level: u32, name: u32) -> Option<u32> {
    let index = KEPT.iter().position(|&option| option == (level, name))?;
    Some(index as u32)
}

/// setsockopt(2)
pub async fn setsockopt(
    thread: &Thread,
    fd: usize,
    level: usize,
    name: usize,
    address: usize,
    length: usize,
) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    let (level, name, length) = (level as u32, name as u32, length as u32 as usize);
    let options = socket.options();
    if level == net::SOL_SOCKET && matches!(name, net::SO_RCVTIMEO_OLD | net::SO_SNDTIMEO_OLD) {
        if length < 16 {
            return Err(Errno::EINVAL);
        }
        let [seconds, micros] = crate::syscall::words::read_words(thread, address).await?;
        if micros >= 1_000_000 {
            return Err(Errno::EDOM);
        }
        let patience = seconds.saturating_mul(SECOND).saturating_add(micros * 1000);
        let option = match name {
            net::SO_RCVTIMEO_OLD => options.receive_patience(),
            _ => options.send_patience(),
        };
        option.store(patience, Ordering::Relaxed);
        return Ok(0);
    }
    if level == net::SOL_SOCKET && name == net::SO_LINGER {
        if length < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        thread.space().read_bytes(address, &mut bytes).await?;
        return Ok(0);
    }
    if length < 4 {
        return Err(Errno::EINVAL);
    }
    let mut value = [0; 4];
    thread.space().read_bytes(address, &mut value).await?;
    let value = i32::from_ne_bytes(value);
    match (level, name) {
        (net::SOL_SOCKET, net::SO_PASSCRED) => options.set_pass_credentials(value != 0),
        (net::SOL_SOCKET, net::SO_SNDBUF | net::SO_RCVBUF) => {
            // Doubled, as socket(7) says.
            let size = (value as u32)
                .min(MOST_BUFFER)
                .saturating_mul(2)
                .max(LEAST_BUFFER);
            let option = match name {
                net::SO_SNDBUF => options.send_buffer(),
                _ => options.receive_buffer(),
            };
            option.store(size, Ordering::Relaxed);
        }
        (IPV6, net::IPV6_V6ONLY) if socket.family() == Family::V6 => {
            options.set_only_v6(value != 0);
        }
        (TCP, _) if socket.family() == Family::Unix || socket.kind() != Kind::Stream => {
            return Err(Errno::EOPNOTSUPP);
        }
        (IP | IPV6, _) if socket.family() == Family::Unix => return Err(Errno::EOPNOTSUPP),
        (level, name) => {
            let bit = kept(level, name).ok_or(Errno::ENOPROTOOPT)?;
            options.keep(bit, value != 0);
        }
    }
    Ok(0)
}

/// getsockopt(2)
pub async fn getsockopt(
    thread: &Thread,
    fd: usize,
    level: usize,
    name: usize,
    address: usize,
    length: usize,
) -> SysResult {
    let (_, socket) = socket_of(thread, fd)?;
    let space = thread.space();
    let mut room = [0; 4];
    space.read_bytes(length, &mut room).await?;
    let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno::EINVAL)?;
    let mut bytes = [0; 16];
    let size = value(&socket, level as u32, name as u32, &mut bytes)?.min(room);
    space.write_bytes(address, &bytes[..size]).await?;
    space
        .write_bytes(length, &(size as u32).to_ne_bytes())
        .await?;
    Ok(0)
}

/// The value of an option, and how long it is.
fn value(socket: &Socket, level: u32, name: u32, bytes: &mut [u8; 16]) -> Result<usize, Errno> {
    let options = socket.options();
    let number = match (level, name) {
        (net::SOL_SOCKET, net::SO_RCVTIMEO_OLD | net::SO_SNDTIMEO_OLD) => {
            let patience = match name {
                net::SO_RCVTIMEO_OLD => options.receive_patience(),
                _ => options.send_patience(),
            };
            let patience = patience.load(Ordering::Relaxed);
            let (seconds, micros) = (patience / SECOND, patience % SECOND / 1000);
            bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
            bytes[8..].copy_from_slice(&micros.to_ne_bytes());
            return Ok(16);
        }
        (net::SOL_SOCKET, net::SO_PEERCRED) => {
            let words = match socket.peer_owner() {
                Some(peer) => [peer.pid, peer.uid, peer.gid],
                None => [0, u32::MAX, u32::MAX],
            };
            bytes[..12].copy_from_slice(words.map(u32::to_ne_bytes).as_flattened());
            return Ok(12);
        }
        (net::SOL_SOCKET, net::SO_LINGER) => return Ok(8),
        (net::SOL_SOCKET, net::SO_TYPE) => match socket.kind() {
            Kind::Stream => net::SOCK_STREAM,
            Kind::Datagram => net::SOCK_DGRAM,
            Kind::SeqPacket => net::SOCK_SEQPACKET,
        },
        (net::SOL_SOCKET, net::SO_DOMAIN) => socket.family().number(),
        (net::SOL_SOCKET, net::SO_PROTOCOL) => match (socket.family(), socket.kind()) {
            (Family::Unix, _) => 0,
            (_, Kind::Datagram) => net::IPPROTO_UDP as u32,
            _ => TCP,
        },
        (net::SOL_SOCKET, net::SO_ERROR) => socket.take_error(),
        (net::SOL_SOCKET, net::SO_ACCEPTCONN) => u32::from(socket.is_listening()),
        (net::SOL_SOCKET, net::SO_SNDBUF) => options.send_buffer().load(Ordering::Relaxed),
        (net::SOL_SOCKET, net::SO_RCVBUF) => options.receive_buffer().load(Ordering::Relaxed),
        (net::SOL_SOCKET, net::SO_PASSCRED) => u32::from(options.pass_credentials()),
        (IPV6, net::IPV6_V6ONLY) => u32::from(options.only_v6()),
        (TCP, net::TCP_MAXSEG) if socket.family() != Family::Unix => 65483,
        (level, name) => {
            let bit = kept(level, name).ok_or(match level {
                net::SOL_SOCKET => Errno::ENOPROTOOPT,
                _ => Errno::EOPNOTSUPP,
            })?;
            u32::from(options.kept(bit))
        }
    };
    bytes[..4].copy_from_slice(&number.to_ne_bytes());
    Ok(4)
}
