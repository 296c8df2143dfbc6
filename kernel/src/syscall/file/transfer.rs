//! Reading and writing: read(2), readv(2), pread64(2), sync(2) and their kin.

use super::file;
use crate::errno::{Errno, SysResult};
use crate::fs::file::{OpenFile, Whence};
use crate::memory::{FRAME_SIZE, UserBuf};
use crate::process::{SigInfo, Signal, Thread};
use linux_raw_sys::general as abi;

/// The most bytes of one call (read(2)).
const MAX_COUNT: usize = 0x7fff_f000;

/// A read(2) that has nothing to wait for, if this is one: it is ready altogether or not at
/// all if it is within a page.
pub fn read_at_once(thread: &Thread, fd: usize, address: usize, count: usize) -> Option<SysResult> {
    if count > FRAME_SIZE - address % FRAME_SIZE {
        return None;
    }
    let file = file(thread, fd).ok()?;
    let mut to = UserBuf::new(thread.space(), address, count).ok()?;
    file.read_at_once(&mut to)
}

/// A write(2) that has nothing to wait for and succeeds, if this is one.
pub fn write_at_once(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
) -> Option<SysResult> {
    let file = file(thread, fd).ok()?;
    let mut from = UserBuf::new(thread.space(), address, count).ok()?;
    file.write_at_once(&mut from).map(Ok)
}

/// read(2)
pub async fn read(thread: &Thread, fd: usize, address: usize, count: usize) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut to = UserBuf::new(space, address, count)?;
    to.limit(MAX_COUNT);
    file.read(&mut to, thread).await
}

/// write(2)
pub async fn write(thread: &Thread, fd: usize, address: usize, count: usize) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut from = UserBuf::new(space, address, count)?;
    from.limit(MAX_COUNT);
    let result = file.write(&mut from, thread).await;
    written(thread, &file, result)
}

/// readv(2)
pub async fn readv(thread: &Thread, fd: usize, vector: usize, count: usize) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut to = UserBuf::vectored(space, vector, count).await?;
    to.limit(MAX_COUNT);
    file.read(&mut to, thread).await
}

/// writev(2)
pub async fn writev(thread: &Thread, fd: usize, vector: usize, count: usize) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut from = UserBuf::vectored(space, vector, count).await?;
    from.limit(MAX_COUNT);
    let result = file.write(&mut from, thread).await;
    written(thread, &file, result)
}

/// pread64(2)
pub async fn pread64(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
    offset: usize,
) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut to = UserBuf::new(space, address, count)?;
    to.limit(MAX_COUNT);
    file.read_at(&mut to, position(offset)?, thread).await
}

/// pwrite64(2)
pub async fn pwrite64(
    thread: &Thread,
    fd: usize,
    address: usize,
    count: usize,
    offset: usize,
) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut from = UserBuf::new(space, address, count)?;
    from.limit(MAX_COUNT);
    file.write_at(&mut from, position(offset)?, thread).await
}

/// preadv(2)
pub async fn preadv(
    thread: &Thread,
    fd: usize,
    vector: usize,
    count: usize,
    offset: usize,
) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut to = UserBuf::vectored(space, vector, count).await?;
    to.limit(MAX_COUNT);
    file.read_at(&mut to, position(offset)?, thread).await
}

/// pwritev(2)
pub async fn pwritev(
    thread: &Thread,
    fd: usize,
    vector: usize,
    count: usize,
    offset: usize,
) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut from = UserBuf::vectored(space, vector, count).await?;
    from.limit(MAX_COUNT);
    file.write_at(&mut from, position(offset)?, thread).await
}

/// lseek(2)
pub async fn lseek(thread: &Thread, fd: usize, offset: usize, whence: usize) -> SysResult {
    let file = file(thread, fd)?;
    let whence = match whence as u32 {
        abi::SEEK_SET => Whence::Start,
        abi::SEEK_CUR => Whence::Current,
        abi::SEEK_END => Whence::End,
        abi::SEEK_DATA => Whence::Data,
        abi::SEEK_HOLE => Whence::Hole,
        _ => return Err(Errno::EINVAL),
    };
    file.seek(offset as i64, whence).await
}

/// getdents64(2)
pub async fn getdents64(thread: &Thread, fd: usize, address: usize, count: usize) -> SysResult {
    let file = file(thread, fd)?;
    let space = thread.space();
    let mut to = UserBuf::new(space, address, count)?;
    file.read_entries(&mut to).await
}

/// fsync(2) and fdatasync(2): memory is as safe as it gets.
pub async fn fsync(thread: &Thread, fd: usize) -> SysResult {
    match file(thread, fd)?.object() {
        Some(_) => Ok(0),
        None => Err(Errno::EINVAL),
    }
}

/// An offset, which must not be negative.
fn position(argument: usize) -> Result<u64, Errno> {
    u64::try_from(argument as i64).map_err(|_| Errno::EINVAL)
}

/// A write into a pipe that nobody reads kills, unless the program has said otherwise (pipe(7)).
fn written(thread: &Thread, file: &OpenFile, result: SysResult) -> SysResult {
    if result == Err(Errno::EPIPE) && file.is_pipe() {
        // An ordinary signal always has room.
        let _ = thread
            .tcb()
            .send(SigInfo::user(Signal::PIPE, thread.process().pid));
    }
    result
}
