//! Files, directories, pipes and descriptors.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __NR_access, __NR_chdir, __NR_close, __NR_dup, __NR_dup2, __NR_dup3, __NR_fcntl, __NR_fstat,
    __NR_ftruncate, __NR_getcwd, __NR_getdents64, __NR_ioctl, __NR_lseek, __NR_mkdir,
    __NR_newfstatat, __NR_open, __NR_openat, __NR_pipe, __NR_pipe2, __NR_pread64, __NR_pwrite64,
    __NR_read, __NR_readv, __NR_rename, __NR_rmdir, __NR_unlink, __NR_unlinkat, __NR_write,
    __NR_writev, AT_FDCWD, F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL,
};
use linux_raw_sys::ioctl::{TCGETS, TIOCSCTTY};

use super::raw::syscall;
use super::{Errno, Result};

pub use linux_raw_sys::general::{
    FD_CLOEXEC, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR,
    O_TRUNC, O_WRONLY, R_OK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, SEEK_CUR, SEEK_END,
    SEEK_SET, W_OK, X_OK, stat as Stat,
};

/// A file descriptor: a number that may or may not be open. Nothing closes it by itself, since
/// what the kernel does with wrong ones is tested too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fd(pub i32);

impl Fd {
    pub const STDIN: Self = Self(0);
    pub const STDOUT: Self = Self(1);
    pub const STDERR: Self = Self(2);
}

/// The two ends of a pipe.
#[derive(Clone, Copy, Debug)]
pub struct Pipe {
    pub read: Fd,
    pub write: Fd,
}

pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    syscall!(__NR_read, fd.0, buffer.as_mut_ptr(), buffer.len())
}

pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    syscall!(__NR_write, fd.0, bytes.as_ptr(), bytes.len())
}

/// Writes the pieces one after the other, by one system call.
pub fn writev(fd: Fd, pieces: &[&[u8]]) -> Result<usize> {
    // A slice's layout is not promised to be an iovec's, so they are converted.
    let mut vectors = [[0usize; 2]; 16];
    let count = pieces.len().min(vectors.len());
    for (vector, piece) in vectors.iter_mut().zip(pieces) {
        *vector = [piece.as_ptr() as usize, piece.len()];
    }
    syscall!(__NR_writev, fd.0, vectors.as_ptr(), count)
}

/// Reads into so many segments, which are all the same byte: for what the kernel does with a long
/// list of them.
pub fn read_segments(fd: Fd, byte: &mut u8, count: usize) -> Result<usize> {
    // IOV_MAX; the kernel refuses more.
    let mut vectors = [[0usize; 2]; 1024];
    vectors.fill([&raw mut *byte as usize, 1]);
    let count = count.min(vectors.len());
    syscall!(__NR_readv, fd.0, vectors.as_ptr(), count)
}

/// Writes all of it; a short write is continued, an interrupted one repeated.
pub fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; says how much there was.
pub fn read_full(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match read(fd, rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

pub fn pread(fd: Fd, buffer: &mut [u8], offset: u64) -> Result<usize> {
    syscall!(
        __NR_pread64,
        fd.0,
        buffer.as_mut_ptr(),
        buffer.len(),
        offset
    )
}

pub fn pwrite(fd: Fd, bytes: &[u8], offset: u64) -> Result<usize> {
    syscall!(__NR_pwrite64, fd.0, bytes.as_ptr(), bytes.len(), offset)
}

pub fn open(path: &CStr, flags: u32, mode: u32) -> Result<Fd> {
    syscall!(__NR_open, path.as_ptr(), flags, mode).map(descriptor)
}

pub fn openat(directory: Fd, path: &CStr, flags: u32, mode: u32) -> Result<Fd> {
    syscall!(__NR_openat, directory.0, path.as_ptr(), flags, mode).map(descriptor)
}

pub fn close(fd: Fd) -> Result<()> {
    syscall!(__NR_close, fd.0).map(drop)
}

pub fn seek(fd: Fd, offset: i64, whence: u32) -> Result<u64> {
    syscall!(__NR_lseek, fd.0, offset, whence).map(|position| position as u64)
}

pub fn truncate(fd: Fd, length: u64) -> Result<()> {
    syscall!(__NR_ftruncate, fd.0, length).map(drop)
}

pub fn fstat(fd: Fd) -> Result<Stat> {
    let mut stat = MaybeUninit::<Stat>::zeroed();
    syscall!(__NR_fstat, fd.0, stat.as_mut_ptr())?;
    // SAFETY: the kernel filled it in, and all zeroes were a valid value before.
    Ok(unsafe { stat.assume_init() })
}

pub fn stat(path: &CStr) -> Result<Stat> {
    let mut stat = MaybeUninit::<Stat>::zeroed();
    syscall!(
        __NR_newfstatat,
        AT_FDCWD,
        path.as_ptr(),
        stat.as_mut_ptr(),
        0
    )?;
    // SAFETY: as in `fstat`.
    Ok(unsafe { stat.assume_init() })
}

pub fn access(path: &CStr, mode: u32) -> Result<()> {
    syscall!(__NR_access, path.as_ptr(), mode).map(drop)
}

pub fn mkdir(path: &CStr, mode: u32) -> Result<()> {
    syscall!(__NR_mkdir, path.as_ptr(), mode).map(drop)
}

pub fn rmdir(path: &CStr) -> Result<()> {
    syscall!(__NR_rmdir, path.as_ptr()).map(drop)
}

pub fn unlink(path: &CStr) -> Result<()> {
    syscall!(__NR_unlink, path.as_ptr()).map(drop)
}

pub fn unlinkat(directory: Fd, path: &CStr) -> Result<()> {
    syscall!(__NR_unlinkat, directory.0, path.as_ptr(), 0).map(drop)
}

pub fn rename(from: &CStr, to: &CStr) -> Result<()> {
    syscall!(__NR_rename, from.as_ptr(), to.as_ptr()).map(drop)
}

pub fn chdir(path: &CStr) -> Result<()> {
    syscall!(__NR_chdir, path.as_ptr()).map(drop)
}

/// The current directory, at the start of `buffer`.
pub fn getcwd(buffer: &mut [u8]) -> Result<&CStr> {
    syscall!(__NR_getcwd, buffer.as_mut_ptr(), buffer.len())?;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::ERANGE)
}

/// Fills `buffer` with the next entries of a directory; zero at the end.
pub fn getdents(directory: Fd, buffer: &mut [u8]) -> Result<usize> {
    syscall!(
        __NR_getdents64,
        directory.0,
        buffer.as_mut_ptr(),
        buffer.len()
    )
}

pub fn pipe() -> Result<Pipe> {
    let mut ends = [0i32; 2];
    syscall!(__NR_pipe, ends.as_mut_ptr())?;
    Ok(Pipe {
        read: Fd(ends[0]),
        write: Fd(ends[1]),
    })
}

pub fn pipe2(flags: u32) -> Result<Pipe> {
    let mut ends = [0i32; 2];
    syscall!(__NR_pipe2, ends.as_mut_ptr(), flags)?;
    Ok(Pipe {
        read: Fd(ends[0]),
        write: Fd(ends[1]),
    })
}

pub fn dup(fd: Fd) -> Result<Fd> {
    syscall!(__NR_dup, fd.0).map(descriptor)
}

pub fn dup2(from: Fd, to: Fd) -> Result<Fd> {
    syscall!(__NR_dup2, from.0, to.0).map(descriptor)
}

pub fn dup3(from: Fd, to: Fd, flags: u32) -> Result<Fd> {
    syscall!(__NR_dup3, from.0, to.0, flags).map(descriptor)
}

/// A copy of `fd` at the first free number from `lowest` on.
pub fn dup_from(fd: Fd, lowest: i32) -> Result<Fd> {
    syscall!(__NR_fcntl, fd.0, F_DUPFD, lowest).map(descriptor)
}

/// The flags of the descriptor: `FD_CLOEXEC` or nothing.
pub fn descriptor_flags(fd: Fd) -> Result<u32> {
    syscall!(__NR_fcntl, fd.0, F_GETFD).map(|flags| flags as u32)
}

pub fn set_descriptor_flags(fd: Fd, flags: u32) -> Result<()> {
    syscall!(__NR_fcntl, fd.0, F_SETFD, flags).map(drop)
}

/// The flags of the open file: access mode, `O_APPEND`, `O_NONBLOCK`.
pub fn file_flags(fd: Fd) -> Result<u32> {
    syscall!(__NR_fcntl, fd.0, F_GETFL).map(|flags| flags as u32)
}

pub fn set_file_flags(fd: Fd, flags: u32) -> Result<()> {
    syscall!(__NR_fcntl, fd.0, F_SETFL, flags).map(drop)
}

pub fn is_terminal(fd: Fd) -> bool {
    // Room for the kernel's `struct termios`, which is not looked at.
    let mut termios = [0u8; 64];
    syscall!(__NR_ioctl, fd.0, TCGETS, termios.as_mut_ptr()).is_ok()
}

/// Makes the terminal that of the caller's session, which it leads: its keys signal the session's
/// processes from then on.
pub fn take_terminal(fd: Fd) -> Result<()> {
    syscall!(__NR_ioctl, fd.0, TIOCSCTTY, 0).map(drop)
}

fn descriptor(number: usize) -> Fd {
    Fd(number as i32)
}

/// Fills the pieces one after the other, by one system call.
pub fn readv(fd: Fd, pieces: &mut [&mut [u8]]) -> Result<usize> {
    let mut vectors = [[0usize; 2]; 16];
    let count = pieces.len().min(vectors.len());
    for (vector, piece) in vectors.iter_mut().zip(pieces) {
        *vector = [piece.as_mut_ptr() as usize, piece.len()];
    }
    syscall!(__NR_readv, fd.0, vectors.as_ptr(), count)
}
