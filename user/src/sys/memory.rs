//! Address space: mapping, unmapping, rights, the break.

use linux_raw_sys::general::{
    __NR_brk, __NR_madvise, __NR_mmap, __NR_mprotect, __NR_mremap, __NR_munmap, MAP_ANONYMOUS,
    MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_EXEC, PROT_NONE,
    PROT_READ, PROT_WRITE,
};

use super::Result;
use super::file::Fd;
use super::raw::syscall;

pub use linux_raw_sys::general::{MADV_DONTNEED, MADV_NOHUGEPAGE, MADV_POPULATE_WRITE};

/// The size of a page.
pub const PAGE: usize = 4096;

/// Rights of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection(pub u32);

impl Protection {
    pub const NONE: Self = Self(PROT_NONE);
    pub const READ: Self = Self(PROT_READ);
    pub const READ_WRITE: Self = Self(PROT_READ | PROT_WRITE);
    pub const READ_EXECUTE: Self = Self(PROT_READ | PROT_EXEC);
}

/// Whether a fork shares the memory or copies it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    Private,
    Shared,
}

impl Sharing {
    fn flag(self) -> u32 {
        match self {
            Self::Private => MAP_PRIVATE,
            Self::Shared => MAP_SHARED,
        }
    }
}

/// Maps fresh zeroed memory where the kernel likes; returns its address.
pub fn map(length: usize, protection: Protection, sharing: Sharing) -> Result<usize> {
    syscall!(
        __NR_mmap,
        0,
        length,
        protection.0,
        sharing.flag() | MAP_ANONYMOUS,
        -1isize,
        0
    )
}

/// Maps fresh zeroed memory at `address`, in place of what is there.
///
/// # Safety
/// Nothing that Rust knows of lives in the range.
pub unsafe fn map_at(
    address: usize,
    length: usize,
    protection: Protection,
    sharing: Sharing,
) -> Result<usize> {
    let flags = sharing.flag() | MAP_ANONYMOUS | MAP_FIXED;
    syscall!(__NR_mmap, address, length, protection.0, flags, -1isize, 0)
}

/// Maps the beginning of an open file where the kernel likes; returns its address.
pub fn map_file(fd: Fd, length: usize, protection: Protection, sharing: Sharing) -> Result<usize> {
    syscall!(__NR_mmap, 0, length, protection.0, sharing.flag(), fd.0, 0)
}

/// Maps the beginning of an open file at `address`, in place of what is there.
///
/// # Safety
/// As [`map_at`].
pub unsafe fn map_file_at(
    address: usize,
    fd: Fd,
    length: usize,
    protection: Protection,
    sharing: Sharing,
) -> Result<usize> {
    let flags = sharing.flag() | MAP_FIXED;
    syscall!(__NR_mmap, address, length, protection.0, flags, fd.0, 0)
}

/// Takes the mapping of a range away.
///
/// # Safety
/// Nothing in the range is used afterwards.
pub unsafe fn unmap(address: usize, length: usize) -> Result<()> {
    syscall!(__NR_munmap, address, length).map(drop)
}

/// Changes the rights of a range.
///
/// # Safety
/// What the program still does with the range is allowed by the new rights, or meant to fail.
pub unsafe fn protect(address: usize, length: usize, protection: Protection) -> Result<()> {
    syscall!(__NR_mprotect, address, length, protection.0).map(drop)
}

/// Moves a mapping to just that place, in place of what is there, and gives it a new length.
///
/// # Safety
/// Nothing in the old range is used afterwards but by the new addresses, and nothing that Rust
/// knows of lives in the new one.
pub unsafe fn move_to(address: usize, length: usize, new: usize, new_length: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        remap(
            address,
            length,
            new_length,
            MREMAP_MAYMOVE | MREMAP_FIXED,
            new,
        )
    }
    .map(drop)
}

/// Tells the kernel how a range will be used, or what is to become of it (man 2 madvise).
///
/// # Safety
/// Nothing that Rust knows of lives in the range, if the advice changes contents.
pub unsafe fn advise(address: usize, length: usize, advice: u32) -> Result<()> {
    syscall!(__NR_madvise, address, length, advice).map(drop)
}

/// Changes the length of a mapping or its place, as the flags of mremap(2) say; returns where it
/// is then.
///
/// # Safety
/// Nothing uses the old place afterwards, or what was mapped at the new one.
pub unsafe fn remap(
    start: usize,
    old_length: usize,
    new_length: usize,
    flags: u32,
    place: usize,
) -> Result<usize> {
    syscall!(__NR_mremap, start, old_length, new_length, flags, place)
}

/// Moves the end of the heap; returns where it is now, which is the old place on failure.
///
/// # Safety
/// Nothing above the new end is used afterwards.
pub unsafe fn set_break(address: usize) -> Result<usize> {
    syscall!(__NR_brk, address)
}
