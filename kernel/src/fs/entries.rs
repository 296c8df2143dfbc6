//! Reading directories (getdents64(2)).
//!
//! Entries go by position straight into the caller's memory; no list of them is made, so a
//! directory can be read when memory is short. The end of the reading is fixed when it begins:
//! entries that are added meanwhile are left out, so a program that adds entries as it reads comes
//! to an end. Each entry that is there all the time is found exactly once.

use super::directory::FIRST_POSITION;
use super::file::{OpenFile, Opened};
use super::metadata::FileType;
use super::node::{Location, Node, NodeKind};
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, UserBuf};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where the name begins in a `linux_dirent64`.
const HEADER: usize = 19;
/// The longest name.
const MAX_NAME: usize = 255;
/// The largest record: a name and its null, rounded up.
const MAX_RECORD: usize = (HEADER + MAX_NAME + 1).next_multiple_of(8);
/// How many entries are put before other tasks on this CPU get their turn (rule E4).
const STRETCH: usize = 256;

impl OpenFile {
    /// Puts as many entries as fit into the user's memory.
    pub async fn read_entries(&self, to: &mut UserBuf<'_>) -> SysResult {
        let Opened::Directory(end) = self.opened() else {
            return Err(Errno::ENOTDIR);
        };
        let node = self.node().ok_or(Errno::ENOTDIR)?;
        if matches!(node.location(), Location::Nowhere) {
            // It was removed; there are no more entries, not even of itself.
            return Err(Errno::ENOENT);
        }
        let mut position = self.position().lock().await;
        if *position == 0
            && let NodeKind::Directory(directory) = node.kind()
        {
            // Relaxed: the position's mutex orders it.
            end.store(directory.end(), Ordering::Relaxed);
        }
        let before = to.done();
        let mut whole = before;
        let mut count = 0;
        loop {
            let start = to.mark();
            let error = match put(node, *position, end, to) {
                Put::Whole(next) => {
                    whole = to.done();
                    *position = next;
                    count += 1;
                    None
                }
                Put::End => break,
                Put::Full => Some(Errno::EINVAL),
                Put::NotReady => {
                    let result = to.fault_in(Access::Write).await;
                    // The entry may be gone by then: begin with it again.
                    to.rewind(start);
                    result.err().map(Errno::from)
                }
            };
            match error {
                None => {}
                Some(_) if whole > before => break,
                Some(error) => return Err(error),
            }
            if count >= STRETCH {
                count = 0;
                executor::yield_now().await;
            }
        }
        Ok(whole - before)
    }
}

/// What came of one attempt to put an entry, which does not wait.
enum Put {
    /// It is there. The next one is at this position.
    Whole(u64),
    /// There is no further entry.
    End,
    /// There is not enough room for it.
    Full,
    /// The user's memory has to be made ready. Part of the entry may have been put.
    NotReady,
}

/// Puts the first entry at `position` or behind it. The record is not kept over a wait: a future
/// with room for one is too large.
fn put(node: &Arc<Node>, position: u64, end: &AtomicU64, to: &mut UserBuf<'_>) -> Put {
    let Some(record) = Dirent::find(node, position, end) else {
        return Put::End;
    };
    if to.remaining() < record.length {
        return Put::Full;
    }
    if to.put(&record.bytes[..record.length]) < record.length {
        return Put::NotReady;
    }
    Put::Whole(record.next)
}

/// One entry as the ABI has it.
struct Dirent {
    bytes: [u8; MAX_RECORD],
    length: usize,
    /// The position of the entry behind it.
    next: u64,
}

impl Dirent {
    /// The first entry of a directory whose position is not below `position`.
    fn find(node: &Arc<Node>, position: u64, end: &AtomicU64) -> Option<Dirent> {
        let next = position + 1;
        match position {
            0 => return Some(Dirent::new(b".", node.number(), FileType::Directory, next)),
            1 => {
                let number = match node.location() {
                    Location::In(parent, _) => parent.upgrade().map(|parent| parent.number()),
                    Location::Within(parent, _) => Some(parent.number()),
                    Location::Root | Location::Nowhere => None,
                };
                let number = number.unwrap_or(node.number());
                return Some(Dirent::new(b"..", number, FileType::Directory, next));
            }
            _ => {}
        }
        match node.kind() {
            NodeKind::Directory(directory) => {
                let entry = directory.entry_from(position)?;
                // Relaxed: as where it is stored.
                if entry.position() >= end.load(Ordering::Relaxed) {
                    return None;
                }
                let (number, file_type) = (entry.node().number(), entry.node().file_type());
                let next = entry.position() + 1;
                Some(Dirent::new(entry.name(), number, file_type, next))
            }
            NodeKind::Computed(listing) => {
                let mut found = None;
                let next = listing.entry(position - FIRST_POSITION, &mut |name, file_type| {
                    // Programs may take a zero for a deleted entry.
                    found = Some(Dirent::new(name, 1, file_type, 0));
                })?;
                found.map(|record| record.with_next(next.saturating_add(FIRST_POSITION)))
            }
            _ => None,
        }
    }

    fn new(name: &[u8], number: u64, file_type: FileType, next: u64) -> Dirent {
        // A computed directory might list a name that is too long.
        let name = &name[..name.len().min(MAX_NAME)];
        let length = (HEADER + name.len() + 1).next_multiple_of(8);
        let mut bytes = [0; MAX_RECORD];
        bytes[..8].copy_from_slice(&number.to_ne_bytes());
        bytes[16..18].copy_from_slice(&(length as u16).to_ne_bytes());
        bytes[18] = file_type.entry();
        bytes[HEADER..HEADER + name.len()].copy_from_slice(name);
        let record = Dirent {
            bytes,
            length,
            next,
        };
        record.with_next(next)
    }

    fn with_next(mut self, next: u64) -> Dirent {
        self.bytes[8..16].copy_from_slice(&next.to_ne_bytes());
        Dirent { next, ..self }
    }
}
