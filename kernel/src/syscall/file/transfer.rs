//! Reading and writing: read(2), readv(2), pread64(2), sync(2) and their kin.

use super::arguments::file;
use crate::errno::{Errno, SysResult};
use crate::fs::file::{OpenFile, Whence};
use crate::memory::{FRAME_SIZE, UserBuf};
use crate::process::{self, SigInfo, Signal, TerminalUse, Thread};
use linux_raw_sys::general as abi;

/// The most bytes of one call (read(2)).
const MAX_COUNT: usize = 0x7fff_f000;

/// Where in the program's memory the bytes go to, or come from.
pub enum Buffer {
    /// An address and a length.
    Range(usize, usize),
    /// An array of `struct iovec`, and how many they are.
    Segments(usize, usize),
}

impl Buffer {
    /// As the argument of a transfer, which is no longer than one call's may be.
    async fn find(self, thread: &Thread) -> Result<UserBuf<'_>, Errno> {
        let space = thread.space();
        let mut buffer = match self {
            Buffer::Range(address, count) => UserBuf::new(space, address, count)?,
            Buffer::Segments(vector, count) => UserBuf::vectored(space, vector, count).await?,
        };
        buffer.limit(MAX_COUNT);
        Ok(buffer)
    }
}

/// The fast path of read(2). Only within one page: its memory is then ready as a whole or not at
/// all.
pub fn read_fast(thread: &Thread, fd: usize, address: usize, count: usize) -> Option<SysResult> {
    if count > FRAME_SIZE - address % FRAME_SIZE {
        return None;
    }
    let file = file(thread, fd).ok()?;
    let mut to = UserBuf::new(thread.space(), address, count).ok()?;
    file.read_fast(&mut to)
}

/// The fast path of write(2): a write that succeeds without waiting.
pub fn write_fast(thread: &Thread, fd: usize, address: usize, count: usize) -> Option<SysResult> {
    let file = file(thread, fd).ok()?;
    let mut from = UserBuf::new(thread.space(), address, count).ok()?;
    file.write_fast(&mut from).map(Ok)
}

/// read(2) and readv(2)
pub async fn read(thread: &Thread, fd: usize, buffer: Buffer) -> SysResult {
    let file = file(thread, fd)?;
    // Not by `find`: each future around a read that waits costs instructions.
    let mut to = match buffer {
        Buffer::Range(address, count) => UserBuf::new(thread.space(), address, count)?,
        Buffer::Segments(vector, count) => UserBuf::vectored(thread.space(), vector, count).await?,
    };
    to.limit(MAX_COUNT);
    check_terminal(thread, &file, TerminalUse::Read)?;
    file.read(&mut to, thread).await
}

/// Keeps a process in the background off its terminal (termios(3)).
fn check_terminal(thread: &Thread, file: &OpenFile, wants: TerminalUse) -> Result<(), Errno> {
    let Some(tty) = file.tty() else {
        return Ok(());
    };
    let stops_writers = || tty.settings().termios().c_lflag & abi::TOSTOP != 0;
    if wants == TerminalUse::Change && !stops_writers() {
        return Ok(());
    }
    process::check_foreground(thread, tty.owner(), wants)
}

/// write(2) and writev(2)
pub async fn write(thread: &Thread, fd: usize, buffer: Buffer) -> SysResult {
    let file = file(thread, fd)?;
    let mut from = buffer.find(thread).await?;
    check_terminal(thread, &file, TerminalUse::Change)?;
    let result = file.write(&mut from, thread).await;
    written(thread, &file, result)
}

/// pread64(2) and preadv(2)
pub async fn pread(thread: &Thread, fd: usize, buffer: Buffer, offset: usize) -> SysResult {
    let file = file(thread, fd)?;
    let mut to = buffer.find(thread).await?;
    file.read_at(&mut to, position(offset)?).await
}

/// pwrite64(2) and pwritev(2)
pub async fn pwrite(thread: &Thread, fd: usize, buffer: Buffer, offset: usize) -> SysResult {
    let file = file(thread, fd)?;
    let mut from = buffer.find(thread).await?;
    file.write_at(&mut from, position(offset)?).await
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

/// An offset, which must not be negative.
pub(super) fn position(argument: usize) -> Result<u64, Errno> {
    u64::try_from(argument as i64).map_err(|_| Errno::EINVAL)
}

/// A write into a pipe without readers sends `SIGPIPE` (pipe(7)).
pub(super) fn written(thread: &Thread, file: &OpenFile, result: SysResult) -> SysResult {
    if result == Err(Errno::EPIPE) && file.is_pipe() {
        let process = thread.process();
        let uid = process.with_credentials(|own| own.uid.real);
        let info = SigInfo::user(Signal::PIPE, process.pid, uid);
        // An ordinary signal always has room.
        let _ = thread.tcb().send(info);
    }
    result
}
