//! The file that a process runs, for `/proc/PID/exe` (proc(5)).

use crate::errno::Errno;
use crate::fs;
use crate::fs::metadata::Name;
use crate::fs::node::{Location, Node, NodeKind};
use crate::fs::walk::{Last, PathTarget};
use crate::fs::write_access::WriteDenial;
use crate::memory::fallible;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where a program's file was found.
pub(super) struct Executable {
    directory: Arc<Node>,
    name: Name,
    /// The file, which is not written while the program runs.
    file: WriteDenial,
}

impl Executable {
    /// The file that was found at the end of a path.
    pub(super) fn new(target: PathTarget<'_>, node: &Arc<Node>) -> Result<Executable, Errno> {
        let file = WriteDenial::take(node)?;
        // What a link of `/proc` leads to is known by its own name.
        let own = match (target.directory.kind(), node.location()) {
            (NodeKind::Computed(_), Location::In(parent, name)) => {
                let root = || fs::tree().root().clone();
                Some((parent.upgrade().unwrap_or_else(root), name))
            }
            _ => None,
        };
        let (directory, name) = match (own, &target.last) {
            (Some(own), _) => own,
            (None, Last::Name(name)) => (target.directory, fallible::bytes(name)?),
            (None, _) => return Err(Errno::EACCES),
        };
        Ok(Executable {
            directory,
            name,
            file,
        })
    }

    /// The file.
    pub(super) fn node(&self) -> &Arc<Node> {
        self.file.node()
    }

    /// Its absolute path as it is now. A file that was renamed in its directory is found again; one
    /// that was removed has " (deleted)" behind its last path.
    pub(super) fn path(&self) -> Result<Vec<u8>, Errno> {
        const DELETED: &[u8] = b" (deleted)";
        let mut name = self.name.clone();
        let mut is_there = false;
        if let NodeKind::Directory(entries) = self.directory.kind() {
            is_there = entries
                .get(&name)
                .is_some_and(|node| Arc::ptr_eq(&node, self.node()));
            if !is_there && let Some(other) = entries.name_of(self.node()) {
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
        if !is_there && self.node().status().links == 0 {
            path.extend_from_slice(DELETED);
        }
        Ok(path)
    }
}
