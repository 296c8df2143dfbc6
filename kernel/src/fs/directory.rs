//! Directories: maps from names to nodes, which can also be listed by position.
//!
//! An entry is one allocation that is made before the directory is locked. It is linked into two
//! trees, one by name and one by position; linking never allocates, so neither adding nor removing
//! a name can fail for want of memory once the entry exists.
//!
//! **Positions.** An entry gets the directory's next position when it is added, and keeps it. A
//! listing that goes on at a position therefore finds each entry that stays exactly once, whatever
//! is added and removed meanwhile (as Linux's `simple_offset` directories).
//!
//! Entries change only under the tree's change lock (see [`tree`](mod@super::tree)), and are read
//! at any time. The holder of the change lock can therefore look at several directories one after
//! the other, and none of them changes meanwhile.

use super::metadata::Name;
use super::node::Node;
use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use intrusive_collections::{Bound, KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};
use spin::Mutex;

/// The position of the first entry. Those below are `.` and `..`.
pub(super) const FIRST_POSITION: u64 = 2;

/// A name in a directory, and the node that has it.
pub(super) struct DirectoryEntry {
    by_name: RBTreeAtomicLink,
    by_position: RBTreeAtomicLink,
    /// Set once, under the directory's lock, before the entry is linked.
    position: AtomicU64,
    name: Name,
    node: Arc<Node>,
}

impl DirectoryEntry {
    /// An entry that is in no directory yet.
    pub fn new(name: Name, node: Arc<Node>) -> Result<Arc<DirectoryEntry>, Errno> {
        let entry = DirectoryEntry {
            by_name: RBTreeAtomicLink::new(),
            by_position: RBTreeAtomicLink::new(),
            position: AtomicU64::new(0),
            name,
            node,
        };
        Ok(fallible::arc(entry)?)
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Where a listing finds it.
    pub fn position(&self) -> u64 {
        // Relaxed: written and read under the directory's lock, or after it by a reader that found
        // the entry under the lock.
        self.position.load(Ordering::Relaxed)
    }
}

intrusive_adapter!(ByName = Arc<DirectoryEntry>: DirectoryEntry { by_name => RBTreeAtomicLink });
intrusive_adapter!(ByPosition = Arc<DirectoryEntry>: DirectoryEntry { by_position => RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for ByName {
    type Key = &'a [u8];

    fn get_key(&self, entry: &'a DirectoryEntry) -> &'a [u8] {
        &entry.name
    }
}

impl KeyAdapter<'_> for ByPosition {
    type Key = u64;

    fn get_key(&self, entry: &DirectoryEntry) -> u64 {
        entry.position()
    }
}

/// The contents of a directory.
pub struct Directory {
    entries: Mutex<Entries>,
}

struct Entries {
    by_name: RBTree<ByName>,
    by_position: RBTree<ByPosition>,
    /// The position that the next entry gets.
    next: u64,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Directory {
        Directory {
            entries: Mutex::new(Entries {
                by_name: RBTree::new(ByName::NEW),
                by_position: RBTree::new(ByPosition::NEW),
                next: FIRST_POSITION,
            }),
        }
    }

    /// The node that has this name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Node>> {
        let entries = self.entries.lock();
        let found = entries.by_name.find(name);
        found.get().map(|entry| entry.node.clone())
    }

    /// A name that the node has here.
    pub fn name_of(&self, node: &Arc<Node>) -> Option<Name> {
        let entries = self.entries.lock();
        let mut all = entries.by_name.iter();
        let found = all.find(|entry| Arc::ptr_eq(&entry.node, node));
        found.map(|entry| entry.name.clone())
    }

    /// Adds an entry, in place of the one that had its name, which is returned.
    pub(super) fn insert(&self, entry: Arc<DirectoryEntry>) -> Option<Arc<DirectoryEntry>> {
        let mut entries = self.entries.lock();
        let old = entries.remove(&entry.name);
        // Relaxed: the lock orders it.
        entry.position.store(entries.next, Ordering::Relaxed);
        entries.next += 1;
        entries.by_position.insert(entry.clone());
        entries.by_name.insert(entry);
        old
    }

    /// Removes the name, and returns its entry.
    pub(super) fn remove(&self, name: &[u8]) -> Option<Arc<DirectoryEntry>> {
        self.entries.lock().remove(name)
    }

    /// Removes the first entry, and returns it.
    pub(super) fn pop(&self) -> Option<Arc<DirectoryEntry>> {
        let mut entries = self.entries.lock();
        let name = entries.by_position.front().get()?.name.clone();
        entries.remove(&name)
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.lock().by_name.is_empty()
    }

    /// The position behind the last entry.
    pub(super) fn end(&self) -> u64 {
        self.entries.lock().next
    }

    /// The first entry at a position that is not below `position`.
    pub(super) fn entry_from(&self, position: u64) -> Option<Arc<DirectoryEntry>> {
        let entries = self.entries.lock();
        let found = entries.by_position.lower_bound(Bound::Included(&position));
        found.clone_pointer()
    }
}

impl Entries {
    fn remove(&mut self, name: &[u8]) -> Option<Arc<DirectoryEntry>> {
        let entry = self.by_name.find_mut(name).remove()?;
        self.by_position.find_mut(&entry.position()).remove();
        Some(entry)
    }
}

impl Default for Directory {
    fn default() -> Directory {
        Directory::new()
    }
}
