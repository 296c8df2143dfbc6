//! Changing attributes and sizes: chmod(2), chown(2), utimensat(2), truncate(2), umask(2).

use super::arguments::{PathArgument, WORKING_DIRECTORY, check_flags, file, flags};
use super::plain::{bytes_mut, zeroed};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::fs::file::truncate as truncate_node;
use crate::fs::node::Node;
use crate::fs::walk::Follow;
use crate::fs::write_access::WriteAccess;
use crate::process::{Capability, Thread};
use crate::syscall::words::read_words;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;

/// chmod(2)
pub async fn chmod(thread: &Thread, path: usize, mode: usize) -> SysResult {
    fchmodat(thread, WORKING_DIRECTORY, path, mode).await
}

/// fchmodat(2) as the kernel has it, without flags.
pub async fn fchmodat(thread: &Thread, directory: usize, path: usize, mode: usize) -> SysResult {
    let node = PathArgument::read(thread, directory, path)
        .await?
        .node(Follow::Yes)?;
    node.change(|attributes| attributes.permissions = flags(mode));
    Ok(0)
}

/// fchmod(2)
pub async fn fchmod(thread: &Thread, fd: usize, mode: usize) -> SysResult {
    // The attributes of a pipe are fixed, here and below.
    if let Some(node) = file(thread, fd)?.node() {
        node.change(|attributes| attributes.permissions = flags(mode));
    }
    Ok(0)
}

/// chown(2)
pub async fn chown(thread: &Thread, path: usize, user: usize, group: usize) -> SysResult {
    fchownat(thread, WORKING_DIRECTORY, path, user, group, 0).await
}

/// lchown(2)
pub async fn lchown(thread: &Thread, path: usize, user: usize, group: usize) -> SysResult {
    let flags = abi::AT_SYMLINK_NOFOLLOW as usize;
    fchownat(thread, WORKING_DIRECTORY, path, user, group, flags).await
}

/// fchown(2)
pub async fn fchown(thread: &Thread, fd: usize, user: usize, group: usize) -> SysResult {
    if let Some(node) = file(thread, fd)?.node() {
        set_owner(node, user, group);
    }
    Ok(0)
}

/// fchownat(2)
pub async fn fchownat(
    thread: &Thread,
    directory: usize,
    path: usize,
    user: usize,
    group: usize,
    chown_flags: usize,
) -> SysResult {
    let chown_flags = flags(chown_flags);
    check_flags(chown_flags, abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH)?;
    let argument = PathArgument::read(thread, directory, path).await?;
    set_owner(&*argument.node_at(chown_flags)?, user, group);
    Ok(0)
}

fn set_owner(node: &Node, user: usize, group: usize) {
    // -1 leaves it as it is.
    let keep = u32::MAX;
    let file = !node.is_directory();
    node.change(|attributes| {
        if user as u32 != keep {
            attributes.user = user as u32;
        }
        if group as u32 != keep {
            attributes.group = group as u32;
        }
        // A program that is given away does not run as its new owner (chown(2)).
        if file {
            attributes.permissions &= !abi::S_ISUID;
        }
        if file && attributes.permissions & abi::S_IXGRP != 0 {
            attributes.permissions &= !abi::S_ISGID;
        }
    });
}

/// What is to be done to one time.
#[derive(Clone, Copy)]
enum NewTime {
    Keep,
    Now,
    Set(u64),
}

/// utimensat(2)
pub async fn utimensat(
    thread: &Thread,
    directory: usize,
    path: usize,
    times: usize,
    time_flags: usize,
) -> SysResult {
    let time_flags = flags(time_flags);
    check_flags(time_flags, abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH)?;
    let times = match times {
        0 => None,
        times => Some([
            new_time(thread, times).await?,
            new_time(thread, times.wrapping_add(16)).await?,
        ]),
    };
    if path != 0 {
        let argument = PathArgument::read(thread, directory, path).await?;
        return set_times(thread, &*argument.node_at(time_flags)?, times);
    }
    // The kernel's form of futimens(3).
    if directory as i32 == abi::AT_FDCWD {
        return Err(Errno::EFAULT);
    }
    if time_flags != 0 {
        return Err(Errno::EINVAL);
    }
    match file(thread, directory)?.node() {
        Some(node) => set_times(thread, node, times),
        None => Ok(0),
    }
}

/// utime(2): whole seconds.
pub async fn utime(thread: &Thread, path: usize, times: usize) -> SysResult {
    let times = match times {
        0 => None,
        times => {
            let words: [u64; 2] = read_words(thread, times).await?;
            Some(words.map(|seconds| NewTime::Set(point(seconds as i64, 0))))
        }
    };
    let argument = PathArgument::read(thread, WORKING_DIRECTORY, path).await?;
    set_times(thread, &*argument.node(Follow::Yes)?, times)
}

/// utimes(2): microseconds.
pub async fn utimes(thread: &Thread, path: usize, times: usize) -> SysResult {
    futimesat(thread, WORKING_DIRECTORY, path, times).await
}

/// futimesat(2)
pub async fn futimesat(thread: &Thread, directory: usize, path: usize, times: usize) -> SysResult {
    let times = match times {
        0 => None,
        times => {
            let words: [u64; 4] = read_words(thread, times).await?;
            let [a, b, c, d] = words;
            if b >= 1_000_000 || d >= 1_000_000 {
                return Err(Errno::EINVAL);
            }
            let time = |seconds, micros| NewTime::Set(point(seconds as i64, micros * 1000));
            Some([time(a, b), time(c, d)])
        }
    };
    if path == 0 {
        return match file(thread, directory)?.node() {
            Some(node) => set_times(thread, node, times),
            None => Ok(0),
        };
    }
    let argument = PathArgument::read(thread, directory, path).await?;
    set_times(thread, &*argument.node(Follow::Yes)?, times)
}

/// Sets the times of the last use and change: to now, or as `times` says. Only the owner may choose
/// a time; to say now, the right to write is enough.
fn set_times(thread: &Thread, node: &Node, times: Option<[NewTime; 2]>) -> SysResult {
    let [accessed, modified] = match times {
        Some([NewTime::Keep, NewTime::Keep]) => return Ok(0),
        Some(times) => times,
        None => [NewTime::Now; 2],
    };
    let of = node.status().attributes;
    thread.process().with_credentials(|who| {
        let is_owner = who.uid.files == of.user || who.has(Capability::Fowner);
        let only_now = matches!([accessed, modified], [NewTime::Now, NewTime::Now]);
        let in_group = who.gid.files == of.group || who.groups.contains(&of.group);
        let may_write = match in_group {
            true => of.permissions & 0o020 != 0,
            false => of.permissions & 0o002 != 0,
        };
        match only_now {
            _ if is_owner => Ok(()),
            true if may_write || who.has(Capability::DacOverride) => Ok(()),
            true => Err(Errno::EACCES),
            false => Err(Errno::EPERM),
        }
    })?;
    let now = now();
    node.change(|attributes| {
        for (place, time) in [
            (&mut attributes.accessed, accessed),
            (&mut attributes.modified, modified),
        ] {
            match time {
                NewTime::Keep => {}
                NewTime::Now => *place = now,
                NewTime::Set(time) => *place = time,
            }
        }
    });
    Ok(0)
}

/// A time as files keep it. Times before 1970 are kept as its beginning.
fn point(seconds: i64, nanoseconds: u64) -> u64 {
    let seconds = seconds.max(0) as u64;
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

async fn new_time(thread: &Thread, address: usize) -> Result<NewTime, Errno> {
    let mut time: abi::__kernel_timespec = zeroed();
    thread
        .space()
        .read_bytes(address, bytes_mut(&mut time))
        .await?;
    match time.tv_nsec {
        nsec if nsec == i64::from(abi::UTIME_NOW) => Ok(NewTime::Now),
        nsec if nsec == i64::from(abi::UTIME_OMIT) => Ok(NewTime::Keep),
        nsec @ 0..1_000_000_000 => Ok(NewTime::Set(point(time.tv_sec, nsec as u64))),
        _ => Err(Errno::EINVAL),
    }
}

fn now() -> u64 {
    arch::clock() + arch::wall_clock_offset()
}

/// truncate(2)
pub async fn truncate(thread: &Thread, path: usize, length: usize) -> SysResult {
    let length = length_argument(length)?;
    let argument = PathArgument::read(thread, WORKING_DIRECTORY, path).await?;
    let node = argument.node(Follow::Yes)?;
    let _writing = WriteAccess::take(&node)?;
    truncate_node(&node, length).await?;
    Ok(0)
}

/// ftruncate(2)
pub async fn ftruncate(thread: &Thread, fd: usize, length: usize) -> SysResult {
    let length = length_argument(length)?;
    file(thread, fd)?.truncate(length).await?;
    Ok(0)
}

fn length_argument(length: usize) -> Result<u64, Errno> {
    u64::try_from(length as i64).map_err(|_| Errno::EINVAL)
}

/// umask(2)
pub async fn umask(thread: &Thread, mask: usize) -> SysResult {
    // Relaxed: a number that stands for itself.
    Ok(thread
        .process()
        .umask
        .swap(flags(mask) & 0o777, Ordering::Relaxed) as usize)
}
