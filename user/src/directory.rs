//! Reading directories.

use alloc::vec::Vec;
use core::ffi::CStr;

use crate::sys::file::{self, Fd, O_CLOEXEC, O_DIRECTORY, O_RDONLY};
use crate::sys::{Errno, Result};

/// One entry of a directory.
pub struct Entry {
    pub name: Vec<u8>,
    pub inode: u64,
    /// `DT_DIR` and so on; zero where the file system does not say.
    pub kind: u8,
}

/// All entries of a directory but `.` and `..`, by name.
pub fn list(path: &CStr) -> Result<Vec<Entry>> {
    let directory = file::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)?;
    let entries = read_all(directory);
    file::close(directory)?;
    let mut entries = entries?;
    entries.retain(|entry| entry.name != b"." && entry.name != b"..");
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// The entries that an open directory still has to give.
pub fn read_all(directory: Fd) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for_each(directory, |record| {
        entries.push(Entry {
            name: record.name.to_bytes().to_vec(),
            inode: record.inode,
            kind: record.kind,
        });
        Ok(())
    })?;
    Ok(entries)
}

/// An entry where the kernel has written it.
pub struct Record<'a> {
    pub name: &'a CStr,
    pub inode: u64,
    /// As in [`Entry`].
    pub kind: u8,
}

/// Calls `work` with each entry that an open directory still has to give. Allocates nothing.
pub fn for_each(directory: Fd, mut work: impl FnMut(&Record<'_>) -> Result<()>) -> Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let count = file::getdents(directory, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            // A record that makes no sense is the kernel's fault.
            let (record, length) = decode(rest).ok_or(Errno::EIO)?;
            work(&record)?;
            rest = rest.get(length..).ok_or(Errno::EIO)?;
        }
    }
}

/// The first of some records, and its length (`struct linux_dirent64`, man 2 getdents64).
fn decode(record: &[u8]) -> Option<(Record<'_>, usize)> {
    let inode = u64::from_ne_bytes(record.get(0..8)?.try_into().ok()?);
    let length = usize::from(u16::from_ne_bytes(record.get(16..18)?.try_into().ok()?));
    let kind = *record.get(18)?;
    let name = CStr::from_bytes_until_nul(record.get(19..length)?).ok()?;
    Some((Record { name, inode, kind }, length))
}
