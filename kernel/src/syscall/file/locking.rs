//! Locks on files: flock(2), and the commands of fcntl(2) for them.

use super::arguments::{file, flags};
use crate::errno::{Errno, SysResult};
use crate::fs::file::OpenFile;
use crate::fs::locks::{FileLock, LockClass, LockMode, LockOwner};
use crate::process::Thread;
use alloc::sync::Arc;
use linux_raw_sys::general as abi;

/// flock(2)
pub async fn flock(thread: &Thread, fd: usize, operation: usize) -> SysResult {
    let file = file(thread, fd)?;
    let operation = flags(operation);
    let mode = match operation & !abi::LOCK_NB {
        abi::LOCK_SH => Some(LockMode::Shared),
        abi::LOCK_EX => Some(LockMode::Exclusive),
        abi::LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let lock = FileLock {
        owner: owner_of(&file),
        class: LockClass::Whole,
        mode: mode.unwrap_or(LockMode::Shared),
        start: 0,
        last: u64::MAX,
        pid: -1,
    };
    let locks = file.locks()?;
    if mode.is_none() || locks.conflict(&lock).is_some() {
        // A lock in another mode is given up first, as on Linux.
        locks.unlock(&lock)?;
    }
    match mode {
        None => {}
        Some(_) if operation & abi::LOCK_NB != 0 => locks.try_lock(lock)?,
        Some(_) => locks.lock(lock, thread).await?,
    }
    Ok(0)
}

/// The open file as the owner of a lock.
fn owner_of(file: &Arc<OpenFile>) -> LockOwner {
    LockOwner::OpenFile(Arc::as_ptr(file).addr())
}

/// The bytes of a `struct flock`: type, origin, start, length, process.
const FLOCK: usize = 32;

/// The commands of fcntl(2) for locks on ranges.
pub(super) async fn record_lock(
    thread: &Thread,
    file: &Arc<OpenFile>,
    command: u32,
    address: usize,
) -> SysResult {
    let mut bytes = [0; FLOCK];
    thread.space().read_bytes(address, &mut bytes).await?;
    let number = |at: usize| i64::from_ne_bytes(core::array::from_fn(|byte| bytes[at + byte]));
    let short = |at: usize| u32::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
    let (kind, origin) = (short(0), short(2));
    let pid = number(24) as i32;
    let of_open_file = matches!(
        command,
        abi::F_OFD_GETLK | abi::F_OFD_SETLK | abi::F_OFD_SETLKW
    );
    if of_open_file && pid != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, last) = range(file, origin, number(8), number(16)).await?;
    let files = thread.process().files();
    let (owner, pid) = match of_open_file {
        true => (owner_of(file), -1),
        false => (files.lock_owner(), thread.process().pid.0 as i32),
    };
    let lock = FileLock {
        owner,
        class: LockClass::Record,
        mode: match kind {
            abi::F_WRLCK => LockMode::Exclusive,
            abi::F_RDLCK | abi::F_UNLCK => LockMode::Shared,
            _ => return Err(Errno::EINVAL),
        },
        start,
        last,
        pid,
    };
    let locks = file.locks()?;
    match (command, kind) {
        (abi::F_GETLK | abi::F_OFD_GETLK, abi::F_UNLCK) => return Err(Errno::EINVAL),
        (abi::F_GETLK | abi::F_OFD_GETLK, _) => {
            match locks.conflict(&lock) {
                None => bytes[..2].copy_from_slice(&(abi::F_UNLCK as u16).to_ne_bytes()),
                Some(other) => {
                    let kind = match other.mode {
                        LockMode::Exclusive => abi::F_WRLCK,
                        LockMode::Shared => abi::F_RDLCK,
                    };
                    let length = match other.last {
                        u64::MAX => 0,
                        last => last - other.start + 1,
                    };
                    bytes[..2].copy_from_slice(&(kind as u16).to_ne_bytes());
                    bytes[2..4].copy_from_slice(&(abi::SEEK_SET as u16).to_ne_bytes());
                    bytes[8..16].copy_from_slice(&other.start.to_ne_bytes());
                    bytes[16..24].copy_from_slice(&length.to_ne_bytes());
                    bytes[24..28].copy_from_slice(&other.pid.to_ne_bytes());
                }
            }
            thread.space().write_bytes(address, &bytes).await?;
        }
        (_, abi::F_UNLCK) => locks.unlock(&lock)?,
        (_, abi::F_WRLCK) if !file.is_writable() => return Err(Errno::EBADF),
        (_, abi::F_RDLCK) if !file.is_readable() => return Err(Errno::EBADF),
        (abi::F_SETLKW | abi::F_OFD_SETLKW, _) => {
            files.note_lock();
            locks.lock(lock, thread).await?;
        }
        _ => {
            files.note_lock();
            locks.try_lock(lock)?;
        }
    }
    Ok(0)
}

/// The first and the last byte that a `struct flock` means.
async fn range(file: &OpenFile, origin: u32, start: i64, length: i64) -> Result<(u64, u64), Errno> {
    let base = match origin {
        abi::SEEK_SET => 0,
        abi::SEEK_CUR => file.tell().await as i64,
        abi::SEEK_END => file.status().size as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let (start, last) = match length {
        0 => (start, None),
        1.. => {
            let last = start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?;
            (start, Some(last))
        }
        _ => (start.saturating_add(length), Some(start - 1)),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    Ok((start, last.map_or(u64::MAX, |last| last as u64)))
}
