//! Directories: maps from names to nodes.
//!
//! Entries change only under the tree's change lock (see [`tree`](mod@super::tree)), and are read
//! at any time. The holder of the change lock can therefore look at several directories one after
//! the other, and none of them changes meanwhile.

use super::metadata::{Listed, Name};
use super::node::Node;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use spin::Mutex;

/// The contents of a directory.
pub struct Directory {
    entries: Mutex<BTreeMap<Name, Arc<Node>>>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Directory {
        Directory {
            entries: Mutex::new(BTreeMap::new()),
        }
    }

    /// The node that has this name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Node>> {
        self.entries.lock().get(name).cloned()
    }

    /// Gives the name to `node`, and returns the node that had it before.
    pub(super) fn insert(&self, name: Name, node: Arc<Node>) -> Option<Arc<Node>> {
        self.entries.lock().insert(name, node)
    }

    /// Removes the name, and returns its node.
    pub(super) fn remove(&self, name: &[u8]) -> Option<Arc<Node>> {
        self.entries.lock().remove(name)
    }

    /// Takes all entries out.
    pub(super) fn take(&self) -> BTreeMap<Name, Arc<Node>> {
        core::mem::take(&mut *self.entries.lock())
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.lock().is_empty()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Adds its entries to `list`, in the order of their names, as far as `list` has room.
    pub(super) fn list(&self, list: &mut Vec<Listed>) {
        let entries = self.entries.lock();
        let room = list.capacity() - list.len();
        list.extend(entries.iter().take(room).map(|(name, node)| Listed {
            name: name.clone(),
            number: node.number(),
            file_type: node.file_type(),
        }));
    }
}

impl Default for Directory {
    fn default() -> Directory {
        Directory::new()
    }
}
