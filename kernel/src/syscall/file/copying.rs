//! Moving bytes between files without the program: sendfile(2), copy_file_range(2), splice(2),
//! tee(2), vmsplice(2). And fallocate(2), which moves none.

use super::arguments::{check_flags, file, flags};
use super::transfer::{Buffer, position, read, write};
use crate::errno::{Errno, SysResult};
use crate::fs::copy::{self, End};
use crate::fs::file::OpenFile;
use crate::fs::metadata::FileType;
use crate::process::Thread;
use linux_raw_sys::general as abi;

/// The most bytes of one call, as for read(2).
const MAX_COUNT: usize = 0x7fff_f000;

/// Where a call reads or writes: at an offset that the program keeps, or at the file's position.
struct Offset {
    address: usize,
    value: Option<u64>,
}

impl Offset {
    async fn read(thread: &Thread, address: usize) -> Result<Offset, Errno> {
        let value = match address {
            0 => None,
            _ => Some(position(thread.space().read_word(address).await?)?),
        };
        Ok(Offset { address, value })
    }

    fn end<'a>(&self, file: &'a OpenFile) -> End<'a> {
        End {
            file,
            offset: self.value,
        }
    }

    /// Tells the program how far the call has come.
    async fn advance(&self, thread: &Thread, moved: usize) -> Result<(), Errno> {
        if let Some(value) = self.value {
            let bytes = (value + moved as u64).to_ne_bytes();
            thread.space().write_bytes(self.address, &bytes).await?;
        }
        Ok(())
    }
}

/// sendfile(2)
pub async fn sendfile(
    thread: &Thread,
    out: usize,
    input: usize,
    offset: usize,
    count: usize,
) -> SysResult {
    let from_offset = Offset::read(thread, offset).await?;
    let from = file(thread, input)?;
    if !from.is_readable() {
        return Err(Errno::EBADF);
    }
    if from.is_pipe() && from_offset.value.is_some() {
        return Err(Errno::ESPIPE);
    }
    let to = file(thread, out)?;
    if !to.is_writable() {
        return Err(Errno::EBADF);
    }
    if to.flags() & abi::O_APPEND != 0 || from.is_pipe() {
        return Err(Errno::EINVAL);
    }
    let to_end = End {
        file: &to,
        offset: None,
    };
    let result = copy::copy(from_offset.end(&from), to_end, count.min(MAX_COUNT), thread).await;
    let moved = super::transfer::written(thread, &to, result)?;
    from_offset.advance(thread, moved).await?;
    Ok(moved)
}

/// copy_file_range(2)
pub async fn copy_file_range(
    thread: &Thread,
    input: usize,
    in_offset: usize,
    out: usize,
    out_offset: usize,
    (count, copy_flags): (usize, usize),
) -> SysResult {
    let (from, to) = (file(thread, input)?, file(thread, out)?);
    let from_offset = Offset::read(thread, in_offset).await?;
    let to_offset = Offset::read(thread, out_offset).await?;
    check_flags(flags(copy_flags), 0)?;
    for one in [&from, &to] {
        match one.status().file_type {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !from.is_readable() || !to.is_writable() || to.flags() & abi::O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    let (Some(object), Some(target)) = (from.object(), to.object()) else {
        return Err(Errno::EXDEV);
    };
    let start = match from_offset.value {
        Some(offset) => offset,
        None => from.tell().await,
    };
    let target_start = match to_offset.value {
        Some(offset) => offset,
        None => to.tell().await,
    };
    let left = object.len().saturating_sub(start);
    let count = count
        .min(MAX_COUNT)
        .min(usize::try_from(left).unwrap_or(MAX_COUNT));
    let apart = start.abs_diff(target_start) >= count as u64;
    if alloc::sync::Arc::ptr_eq(object, target) && !apart {
        return Err(Errno::EINVAL);
    }
    let result = copy::copy(from_offset.end(&from), to_offset.end(&to), count, thread).await;
    let moved = result?;
    from_offset.advance(thread, moved).await?;
    to_offset.advance(thread, moved).await?;
    Ok(moved)
}

/// The flags of splice(2), tee(2) and vmsplice(2): `SPLICE_F_MOVE`, `NONBLOCK`, `MORE`, `GIFT`.
const SPLICE_FLAGS: u32 = 15;
const SPLICE_F_NONBLOCK: u32 = 2;

/// splice(2)
pub async fn splice(
    thread: &Thread,
    input: usize,
    in_offset: usize,
    out: usize,
    out_offset: usize,
    (count, splice_flags): (usize, usize),
) -> SysResult {
    if count == 0 {
        return Ok(0);
    }
    check_flags(flags(splice_flags), SPLICE_FLAGS)?;
    let (from, to) = (file(thread, input)?, file(thread, out)?);
    if !from.is_readable() || !to.is_writable() {
        return Err(Errno::EBADF);
    }
    if (from.is_pipe() && in_offset != 0) || (to.is_pipe() && out_offset != 0) {
        return Err(Errno::ESPIPE);
    }
    match (from.as_pipe(), to.as_pipe()) {
        (None, None) => return Err(Errno::EINVAL),
        (Some(one), Some(other)) if core::ptr::eq(one, other) => return Err(Errno::EINVAL),
        _ => {}
    }
    if to.flags() & abi::O_APPEND != 0 && !to.is_pipe() {
        return Err(Errno::EINVAL);
    }
    let from_offset = Offset::read(thread, in_offset).await?;
    let to_offset = Offset::read(thread, out_offset).await?;
    let (source, target) = (from_offset.end(&from), to_offset.end(&to));
    let count = count.min(MAX_COUNT);
    let result = match flags(splice_flags) & SPLICE_F_NONBLOCK {
        0 => copy::splice(source, target, count, Some(thread)).await,
        _ => copy::splice(source, target, count, None).await,
    };
    let moved = super::transfer::written(thread, &to, result)?;
    from_offset.advance(thread, moved).await?;
    to_offset.advance(thread, moved).await?;
    Ok(moved)
}

/// tee(2)
pub async fn tee(
    thread: &Thread,
    input: usize,
    out: usize,
    count: usize,
    tee_flags: usize,
) -> SysResult {
    check_flags(flags(tee_flags), SPLICE_FLAGS)?;
    if count == 0 {
        return Ok(0);
    }
    let (from, to) = (file(thread, input)?, file(thread, out)?);
    if !from.is_readable() || !to.is_writable() {
        return Err(Errno::EBADF);
    }
    match (from.as_pipe(), to.as_pipe()) {
        (Some(one), Some(other)) if !core::ptr::eq(one, other) => {}
        _ => return Err(Errno::EINVAL),
    }
    let result = match flags(tee_flags) & SPLICE_F_NONBLOCK {
        0 => copy::tee(&from, &to, count, Some(thread)).await,
        _ => copy::tee(&from, &to, count, None).await,
    };
    super::transfer::written(thread, &to, result)
}

/// vmsplice(2). The bytes are copied, so the pipe never holds a page of the program.
pub async fn vmsplice(
    thread: &Thread,
    fd: usize,
    vector: usize,
    count: usize,
    splice_flags: usize,
) -> SysResult {
    check_flags(flags(splice_flags), SPLICE_FLAGS)?;
    let end = file(thread, fd)?;
    if !end.is_pipe() {
        return Err(Errno::EBADF);
    }
    if end.is_writable() {
        write(thread, fd, Buffer::Segments(vector, count)).await
    } else {
        read(thread, fd, Buffer::Segments(vector, count)).await
    }
}

/// fallocate(2)
pub async fn fallocate(
    thread: &Thread,
    fd: usize,
    mode: usize,
    offset: usize,
    length: usize,
) -> SysResult {
    const PUNCH_HOLE: u32 = abi::FALLOC_FL_PUNCH_HOLE;
    const KEEP_SIZE: u32 = abi::FALLOC_FL_KEEP_SIZE;
    let file = file(thread, fd)?;
    let (offset, length) = (position(offset)?, position(length)?);
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    let (punch, keep_size) = match flags(mode) {
        0 => (false, false),
        KEEP_SIZE => (false, true),
        mode if mode == PUNCH_HOLE | KEEP_SIZE => (true, true),
        _ => return Err(Errno::EOPNOTSUPP),
    };
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    match file.status().file_type {
        FileType::Pipe => return Err(Errno::ESPIPE),
        FileType::Directory => return Err(Errno::EISDIR),
        FileType::Regular => {}
        _ => return Err(Errno::ENODEV),
    }
    let end = offset
        .checked_add(length)
        .filter(|&end| end <= i64::MAX as u64)
        .ok_or(Errno::EFBIG)?;
    if punch {
        file.punch(offset..end).await?;
    } else {
        file.allocate(offset..end, keep_size).await?;
    }
    Ok(0)
}
