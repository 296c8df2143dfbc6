//! Descriptors of files that are open already: pipe(2), dup(2), fcntl(2).

use super::arguments::{check_flags, file_or_path, flags};
use super::locking::record_lock;
use super::opening::on_exec;
use crate::errno::{Errno, SysResult};
use crate::fs::file::{CHANGEABLE, OpenFile};
use crate::fs::table::{Fd, OnExec};
use crate::process::Thread;
use linux_raw_sys::general as abi;

/// pipe(2)
pub async fn pipe(thread: &Thread, address: usize) -> SysResult {
    pipe2(thread, address, 0).await
}

/// pipe2(2). Packets (`O_DIRECT`) are not supported.
pub async fn pipe2(thread: &Thread, address: usize, pipe_flags: usize) -> SysResult {
    let pipe_flags = flags(pipe_flags);
    check_flags(pipe_flags, abi::O_CLOEXEC | abi::O_NONBLOCK)?;
    let files = thread.process().files();
    let ends = OpenFile::pipe(pipe_flags & abi::O_NONBLOCK)?;
    let (reader, writer) = files.add_two(ends, on_exec(pipe_flags))?;
    let numbers = u64::from(reader.0) | u64::from(writer.0) << 32;
    let result = thread
        .space()
        .write_bytes(address, &numbers.to_le_bytes())
        .await;
    if let Err(error) = result {
        // The program never learned the numbers.
        let _ = files.remove(reader);
        let _ = files.remove(writer);
        return Err(error.into());
    }
    Ok(0)
}

/// dup(2)
pub async fn dup(thread: &Thread, old: usize) -> SysResult {
    let file = file_or_path(thread, old)?;
    let fd = thread.process().files().add(file, OnExec::Keep)?;
    Ok(fd.0 as usize)
}

/// dup2(2)
pub async fn dup2(thread: &Thread, old: usize, new: usize) -> SysResult {
    let (old, new) = (Fd::from_argument(old), Fd::from_argument(new));
    let files = thread.process().files();
    let file = files.get(old)?;
    if old != new {
        let replaced = files.set(new, file, OnExec::Keep)?;
        drop(replaced);
    }
    Ok(new.0 as usize)
}

/// dup3(2)
pub async fn dup3(thread: &Thread, old: usize, new: usize, dup_flags: usize) -> SysResult {
    let dup_flags = flags(dup_flags);
    check_flags(dup_flags, abi::O_CLOEXEC)?;
    let (old, new) = (Fd::from_argument(old), Fd::from_argument(new));
    if old == new {
        return Err(Errno::EINVAL);
    }
    let files = thread.process().files();
    let file = files.get(old)?;
    let replaced = files.set(new, file, on_exec(dup_flags))?;
    drop(replaced);
    Ok(new.0 as usize)
}

/// fcntl(2). Leases and owners are not supported.
pub async fn fcntl(thread: &Thread, fd: usize, command: usize, argument: usize) -> SysResult {
    let file = file_or_path(thread, fd)?;
    let files = thread.process().files();
    let fd = Fd::from_argument(fd);
    match command as u32 {
        command @ (abi::F_DUPFD | abi::F_DUPFD_CLOEXEC) => {
            let on_exec = if command == abi::F_DUPFD {
                OnExec::Keep
            } else {
                OnExec::Close
            };
            let new = files.add_from(Fd::from_argument(argument), file, on_exec)?;
            Ok(new.0 as usize)
        }
        abi::F_GETFD => match files.on_exec(fd)? {
            OnExec::Keep => Ok(0),
            OnExec::Close => Ok(abi::FD_CLOEXEC as usize),
        },
        abi::F_SETFD => {
            let close = flags(argument) & abi::FD_CLOEXEC != 0;
            files.set_on_exec(fd, if close { OnExec::Close } else { OnExec::Keep })?;
            Ok(0)
        }
        abi::F_GETFL => Ok(file.flags() as usize),
        _ if file.is_path() => Err(Errno::EBADF),
        abi::F_SETFL => {
            file.set_flags(CHANGEABLE, flags(argument));
            Ok(0)
        }
        abi::F_GETLK
        | abi::F_SETLK
        | abi::F_SETLKW
        | abi::F_OFD_GETLK
        | abi::F_OFD_SETLK
        | abi::F_OFD_SETLKW => record_lock(thread, &file, command as u32, argument).await,
        abi::F_GETPIPE_SZ => Ok(file.as_pipe().ok_or(Errno::EBADF)?.capacity()),
        abi::F_SETPIPE_SZ => {
            let pipe = file.as_pipe().ok_or(Errno::EBADF)?;
            // As on Linux: a number of 32 bits, of which the highest is too much.
            match argument as u32 {
                bytes if bytes > 1 << 31 => Err(Errno::EINVAL),
                bytes => pipe.resize(bytes as usize),
            }
        }
        _ => Err(Errno::EINVAL),
    }
}
