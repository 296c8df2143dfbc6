//! File systems, sparse files, and bytes that go from file to file without the program.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr;

use linux_raw_sys::general::{
    __NR_copy_file_range, __NR_fadvise64, __NR_fallocate, __NR_fcntl, __NR_fdatasync, __NR_flock,
    __NR_fstatfs, __NR_fsync, __NR_memfd_create, __NR_renameat2, __NR_sendfile, __NR_splice,
    __NR_statfs, __NR_syncfs, __NR_tee, AT_FDCWD,
};

use super::Result;
use super::file::Fd;
use super::raw::syscall;

pub use linux_raw_sys::general::{
    F_GETLK, F_OFD_SETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, POSIX_FADV_RANDOM, RENAME_EXCHANGE,
    RENAME_NOREPLACE, SEEK_DATA, SEEK_HOLE, statfs as Statfs,
};

/// `SPLICE_F_NONBLOCK`
pub const SPLICE_NONBLOCK: u32 = 2;

pub fn statfs(path: &CStr) -> Result<Statfs> {
    let mut answer = MaybeUninit::<Statfs>::zeroed();
    syscall!(__NR_statfs, path.as_ptr(), answer.as_mut_ptr())?;
    // SAFETY: the kernel filled it in, and all zeroes were a valid value before.
    Ok(unsafe { answer.assume_init() })
}

pub fn fstatfs(fd: Fd) -> Result<Statfs> {
    let mut answer = MaybeUninit::<Statfs>::zeroed();
    syscall!(__NR_fstatfs, fd.0, answer.as_mut_ptr())?;
    // SAFETY: as in `statfs`.
    Ok(unsafe { answer.assume_init() })
}

pub fn fsync(fd: Fd) -> Result<()> {
    syscall!(__NR_fsync, fd.0).map(drop)
}

pub fn fdatasync(fd: Fd) -> Result<()> {
    syscall!(__NR_fdatasync, fd.0).map(drop)
}

pub fn syncfs(fd: Fd) -> Result<()> {
    syscall!(__NR_syncfs, fd.0).map(drop)
}

pub fn fadvise(fd: Fd, length: i64, advice: u32) -> Result<()> {
    syscall!(__NR_fadvise64, fd.0, 0, length, advice).map(drop)
}

pub fn fallocate(fd: Fd, mode: u32, offset: i64, length: i64) -> Result<()> {
    syscall!(__NR_fallocate, fd.0, mode, offset, length).map(drop)
}

/// A file in memory that has no name.
pub fn memfd(flags: u32) -> Result<Fd> {
    syscall!(__NR_memfd_create, c"test".as_ptr(), flags).map(|fd| Fd(fd as i32))
}

fn pointer(offset: Option<&mut u64>) -> *mut u64 {
    offset.map_or(ptr::null_mut(), ptr::from_mut)
}

pub fn sendfile(to: Fd, from: Fd, offset: Option<&mut u64>, count: usize) -> Result<usize> {
    syscall!(__NR_sendfile, to.0, from.0, pointer(offset), count)
}

pub fn copy_file_range(
    (from, from_offset): (Fd, Option<&mut u64>),
    (to, to_offset): (Fd, Option<&mut u64>),
    count: usize,
) -> Result<usize> {
    syscall!(
        __NR_copy_file_range,
        from.0,
        pointer(from_offset),
        to.0,
        pointer(to_offset),
        count,
        0
    )
}

pub fn splice(
    (from, from_offset): (Fd, Option<&mut u64>),
    (to, to_offset): (Fd, Option<&mut u64>),
    count: usize,
    flags: u32,
) -> Result<usize> {
    syscall!(
        __NR_splice,
        from.0,
        pointer(from_offset),
        to.0,
        pointer(to_offset),
        count,
        flags
    )
}

pub fn tee(from: Fd, to: Fd, count: usize, flags: u32) -> Result<usize> {
    syscall!(__NR_tee, from.0, to.0, count, flags)
}

pub fn rename_with(from: &CStr, to: &CStr, flags: u32) -> Result<()> {
    syscall!(
        __NR_renameat2,
        AT_FDCWD,
        from.as_ptr(),
        AT_FDCWD,
        to.as_ptr(),
        flags
    )
    .map(drop)
}

pub fn flock(fd: Fd, operation: u32) -> Result<()> {
    syscall!(__NR_flock, fd.0, operation).map(drop)
}

/// A lock on a range of bytes, as fcntl(2) has it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordLock {
    pub kind: u16,
    pub origin: u16,
    pub start: i64,
    pub length: i64,
    pub pid: i32,
}

impl RecordLock {
    /// From the start of the file.
    pub fn new(kind: u32, start: i64, length: i64) -> Self {
        Self {
            kind: kind as u16,
            origin: 0,
            start,
            length,
            pid: 0,
        }
    }
}

/// One of the commands of fcntl(2) for locks.
pub fn record_lock(fd: Fd, command: u32, lock: &mut RecordLock) -> Result<()> {
    syscall!(__NR_fcntl, fd.0, command, ptr::from_mut(lock)).map(drop)
}
