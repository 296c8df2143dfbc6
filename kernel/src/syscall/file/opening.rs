//! Making descriptors from paths, and giving them up: open(2), close(2).

use super::arguments::{PathArgument, WORKING_DIRECTORY, check_flags, flags, permissions};
use crate::errno::{Errno, SysResult};
use crate::fs;
use crate::fs::table::{Fd, OnExec};
use crate::memory::AccessError;
use crate::process::{self, Thread};
use linux_raw_sys::general as abi;

/// open(2)
pub async fn open(thread: &Thread, path: usize, flags: usize, mode: usize) -> SysResult {
    openat(thread, WORKING_DIRECTORY, path, flags, mode).await
}

/// creat(2)
pub async fn creat(thread: &Thread, path: usize, mode: usize) -> SysResult {
    let flags = abi::O_CREAT | abi::O_WRONLY | abi::O_TRUNC;
    openat(thread, WORKING_DIRECTORY, path, flags as usize, mode).await
}

/// openat(2)
pub async fn openat(
    thread: &Thread,
    directory: usize,
    path: usize,
    open_flags: usize,
    mode: usize,
) -> SysResult {
    let argument = PathArgument::read(thread, directory, path).await?;
    let open_flags = flags(open_flags);
    let permissions = permissions(thread, flags(mode) & 0o7777);
    let start = argument.start();
    let file = fs::open::open(fs::tree(), start, &argument.path, open_flags, permissions).await?;
    if open_flags & (abi::O_NOCTTY | abi::O_PATH) == 0
        && file.is_readable()
        && let Some(tty) = file.tty()
    {
        // The leader of a session without a terminal gets this one; others just open it.
        let _ = process::take_terminal(thread, tty, false);
    }
    let fd = thread.process().files().add(file, on_exec(open_flags))?;
    Ok(fd.0 as usize)
}

/// The longest name of memory that is a file, as on Linux.
const MAX_NAME: usize = 249;

/// memfd_create(2). The name is checked and not kept. There are no seals, and no huge pages.
pub async fn memfd_create(thread: &Thread, name: usize, create_flags: usize) -> SysResult {
    let create_flags = flags(create_flags);
    check_flags(create_flags, abi::MFD_CLOEXEC | abi::MFD_EXEC)?;
    match thread.space().read_string(name, MAX_NAME + 1).await {
        Err(AccessError::TooLong) => return Err(Errno::EINVAL),
        name => drop(name?),
    }
    let on_exec = match create_flags & abi::MFD_CLOEXEC {
        0 => OnExec::Keep,
        _ => OnExec::Close,
    };
    let file = fs::open::unnamed()?;
    let fd = thread.process().files().add(file, on_exec)?;
    Ok(fd.0 as usize)
}

/// close(2)
pub async fn close(thread: &Thread, fd: usize) -> SysResult {
    // Dropped here, without a lock.
    let file = thread.process().files().remove(Fd::from_argument(fd))?;
    drop(file);
    Ok(0)
}

/// close_range(2)
pub async fn close_range(
    thread: &Thread,
    first: usize,
    last: usize,
    range_flags: usize,
) -> SysResult {
    const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
    const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;
    let range_flags = flags(range_flags);
    // A process never shares its table, so there is nothing to unshare.
    check_flags(range_flags, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)?;
    let range = Fd::from_argument(first)..=Fd::from_argument(last);
    if range.is_empty() {
        return Err(Errno::EINVAL);
    }
    let files = thread.process().files();
    if range_flags & CLOSE_RANGE_CLOEXEC != 0 {
        files.close_on_exec_in(range)?;
    } else {
        files.remove_in(range)?;
    }
    Ok(0)
}

/// What `O_CLOEXEC` says.
pub(super) fn on_exec(flags: u32) -> OnExec {
    if flags & abi::O_CLOEXEC != 0 {
        OnExec::Close
    } else {
        OnExec::Keep
    }
}
