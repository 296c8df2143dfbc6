//! Reading directories (getdents64(2)).
//!
//! The list of entries is taken when the position is at the start, and kept in the open file; a
//! position is an index into it, after `.` and `..`. So one reading of a directory sees each
//! entry that is there all the time exactly once, whatever is made and removed meanwhile.

use super::file::{OpenFile, Opened};
use super::metadata::{FileType, Listed};
use super::node::{Location, Node, NodeKind};
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, UserBuf};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where the name begins in a `linux_dirent64`.
const HEADER: usize = 19;
/// The largest record: a name of 255 bytes and its null, rounded up.
const MAX_RECORD: usize = (HEADER + 256).next_multiple_of(8);

impl OpenFile {
    /// Puts as many entries as fit into the user's memory.
    pub async fn read_entries(&self, to: &mut UserBuf<'_>) -> SysResult {
        let Opened::Directory(kept) = self.opened() else {
            return Err(Errno::ENOTDIR);
        };
        let node = self.node().ok_or(Errno::ENOTDIR)?;
        if matches!(node.location(), Location::Nowhere) {
            // It was removed; there are no more entries, not even of itself.
            return Err(Errno::ENOENT);
        }
        let mut position = self.position().lock().await;
        if *position == 0 {
            let list = Arc::new(list(node)?);
            let old = core::mem::replace(&mut *kept.lock(), list);
            drop(old);
        }
        let list = kept.lock().clone();
        let before = to.done();
        let mut whole = before;
        while let Some(record) = Dirent::new(node, &list, *position) {
            if to.remaining() < record.length() {
                if whole == before {
                    return Err(Errno::EINVAL);
                }
                break;
            }
            let mut put = 0;
            while put < record.length() {
                let n = record.put(to, put);
                put += n;
                if put < record.length()
                    && let Err(error) = to.fault_in(Access::Write).await
                {
                    return if whole > before {
                        Ok(whole - before)
                    } else {
                        Err(error)
                    };
                }
            }
            whole = to.done();
            *position += 1;
        }
        Ok(whole - before)
    }
}

/// The entries of a directory without `.` and `..`.
fn list(node: &Node) -> Result<Vec<Listed>, Errno> {
    super::ensure_free()?;
    match node.kind() {
        NodeKind::Directory(directory) => {
            let mut list = Vec::new();
            // Some may be added meanwhile; those are left out.
            list.try_reserve_exact(directory.len())
                .map_err(|_| Errno::ENOMEM)?;
            directory.list(&mut list);
            Ok(list)
        }
        NodeKind::Computed(listing) => listing.list(),
        _ => Err(Errno::ENOTDIR),
    }
}

/// One entry as the ABI has it.
struct Dirent<'a> {
    number: u64,
    file_type: FileType,
    name: &'a [u8],
    /// The position of the entry after it.
    next: u64,
}

impl<'a> Dirent<'a> {
    fn new(node: &Arc<Node>, list: &'a [Listed], position: u64) -> Option<Dirent<'a>> {
        let next = position + 1;
        let file_type = FileType::Directory;
        match position {
            0 => Some(Dirent {
                number: node.number(),
                file_type,
                name: b".",
                next,
            }),
            1 => {
                let number = match node.location() {
                    Location::In(parent, _) => parent.upgrade().map(|parent| parent.number()),
                    Location::Within(parent, _) => Some(parent.number()),
                    Location::Root | Location::Nowhere => None,
                };
                let number = number.unwrap_or(node.number());
                Some(Dirent {
                    number,
                    file_type,
                    name: b"..",
                    next,
                })
            }
            _ => {
                let listed = list.get(usize::try_from(position - 2).ok()?)?;
                let Listed {
                    name,
                    number,
                    file_type,
                } = listed;
                Some(Dirent {
                    number: *number,
                    file_type: *file_type,
                    name,
                    next,
                })
            }
        }
    }

    fn length(&self) -> usize {
        // A computed directory might list a name that is too long.
        (HEADER + self.name.len().min(255) + 1).next_multiple_of(8)
    }

    /// Puts the record from its byte `start` on, and says how many bytes went.
    fn put(&self, to: &mut UserBuf<'_>, start: usize) -> usize {
        let mut bytes = [0; MAX_RECORD];
        let length = self.length();
        let name = &self.name[..self.name.len().min(255)];
        bytes[..8].copy_from_slice(&self.number.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.next.to_ne_bytes());
        bytes[16..18].copy_from_slice(&(length as u16).to_ne_bytes());
        bytes[18] = self.file_type.entry();
        bytes[HEADER..HEADER + name.len()].copy_from_slice(name);
        to.put(&bytes[start..length])
    }
}
