//! The file that a process runs, for `/proc/PID/exe` (proc(5)).

use crate::errno::Errno;
use crate::fs;
use crate::fs::metadata::Name;
use crate::fs::node::{Node, NodeKind};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where a program's file was found.
#[derive(Clone)]
pub(super) struct Executable {
    pub(super) directory: Arc<Node>,
    pub(super) name: Name,
    pub(super) node: Arc<Node>,
}

impl Executable {
    /// Its absolute path as it is now. A file that was renamed in its directory is found again; one
    /// that was removed has " (deleted)" behind its last path.
    pub(super) fn path(&self) -> Result<Vec<u8>, Errno> {
        const DELETED: &[u8] = b" (deleted)";
        let mut name = self.name.clone();
        let mut is_there = false;
        if let NodeKind::Directory(entries) = self.directory.kind() {
            is_there = entries
                .get(&name)
                .is_some_and(|node| Arc::ptr_eq(&node, &self.node));
            if !is_there && let Some(other) = entries.name_of(&self.node) {
                name = other;
                is_there = true;
            }
        }
        let mut path = fs::tree().path_of(&self.directory)?;
        path.try_reserve_exact(1 + name.len() + DELETED.len())
            .map_err(|_| Errno::ENOMEM)?;
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        if !is_there && self.node.status().links == 0 {
            path.extend_from_slice(DELETED);
        }
        Ok(path)
    }
}
