//! Filling the tree from the initramfs.

use super::cpio::{Archive, ArchiveEntry, Corrupt};
use super::node::{Node, NodeKind};
use super::pipe::Pipe;
use super::tree::Tree;
use super::walk::{Follow, Start};
use crate::errno::Errno;
use crate::memory::Object;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use linux_raw_sys::general as abi;

/// Why the initramfs could not be loaded.
#[derive(Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The archive is damaged.
    Corrupt(Corrupt),
    /// This file could not be made.
    File(Vec<u8>, Errno),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Corrupt(corrupt) => corrupt.fmt(f),
            LoadError::File(path, error) => {
                write!(f, "initramfs: {}: {error:?}", path.escape_ascii())
            }
        }
    }
}

/// Makes all files of the archive in `tree`, over what is there: the contents are copied, so
/// the archive is not needed any more. Returns how many entries it had. What came before an
/// error stays.
pub fn load(tree: &Tree, archive: &[u8]) -> Result<usize, LoadError> {
    let mut loader = Loader {
        tree,
        hard_links: BTreeMap::new(),
    };
    let mut count = 0;
    for entry in Archive::new(archive) {
        let entry = entry.map_err(LoadError::Corrupt)?;
        loader
            .add(&entry)
            .map_err(|error| LoadError::File(entry.path.to_vec(), error))?;
        count += 1;
    }
    Ok(count)
}

struct Loader<'a> {
    tree: &'a Tree,
    /// Files with several names, by what their entries have in common.
    hard_links: BTreeMap<(u32, u32, u32), Arc<Node>>,
}

impl Loader<'_> {
    fn start(&self) -> Start<'_> {
        Start {
            directory: self.tree.root(),
            caller: 0,
        }
    }

    fn add(&mut self, entry: &ArchiveEntry<'_>) -> Result<(), Errno> {
        self.make_parents(entry.path)?;
        let permissions = entry.mode & 0o7777;
        let kind = match entry.mode & abi::S_IFMT {
            abi::S_IFDIR => return self.add_directory(entry, permissions),
            abi::S_IFREG if entry.links > 1 => return self.add_linked(entry, permissions),
            abi::S_IFREG => self.regular(entry.contents)?,
            abi::S_IFLNK => NodeKind::link(entry.contents)?,
            abi::S_IFIFO => NodeKind::Fifo(Pipe::closed()?),
            abi::S_IFSOCK => NodeKind::Socket(None),
            // Device nodes are made by the kernel.
            _ => return Ok(()),
        };
        self.put(entry, Arc::new(Node::with_permissions(kind, permissions)))
    }

    fn add_directory(&self, entry: &ArchiveEntry<'_>, permissions: u32) -> Result<(), Errno> {
        let node = match self.tree.node(self.start(), entry.path, Follow::No) {
            Ok(node) if node.is_directory() => node,
            Ok(_) | Err(Errno::ENOENT) => {
                let node = Arc::new(Node::new(NodeKind::directory()));
                self.put(entry, node.clone())?;
                node
            }
            Err(error) => return Err(error),
        };
        set(&node, entry, permissions);
        Ok(())
    }

    /// One of several names. The contents come with one of them, usually the last.
    fn add_linked(&mut self, entry: &ArchiveEntry<'_>, permissions: u32) -> Result<(), Errno> {
        let node = match self.hard_links.get(&entry.identity) {
            Some(node) => node.clone(),
            None => {
                let node = Arc::new(Node::with_permissions(self.regular(&[])?, permissions));
                self.hard_links.insert(entry.identity, node.clone());
                node
            }
        };
        if let Some(object) = node.object() {
            fill(object, entry.contents)?;
        }
        self.put(entry, node)
    }

    fn regular(&self, contents: &[u8]) -> Result<NodeKind, Errno> {
        let object = self.tree.new_object()?;
        fill(&object, contents)?;
        Ok(NodeKind::regular(object))
    }

    /// Gives the node its name, over what had it.
    fn put(&self, entry: &ArchiveEntry<'_>, node: Arc<Node>) -> Result<(), Errno> {
        match self.tree.unlink(self.start(), entry.path) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        let permissions = entry.mode & 0o7777;
        self.tree.link(self.start(), entry.path, node.clone())?;
        set(&node, entry, permissions);
        Ok(())
    }

    /// Makes the directories that the archive does not list itself.
    fn make_parents(&self, path: &[u8]) -> Result<(), Errno> {
        let slashes = path
            .iter()
            .enumerate()
            .filter(|&(at, &byte)| byte == b'/' && at > 0);
        for (at, _) in slashes {
            match self
                .tree
                .make(self.start(), &path[..at], Node::new(NodeKind::directory()))
            {
                Ok(_) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn set(node: &Node, entry: &ArchiveEntry<'_>, permissions: u32) {
    node.change(|attributes| {
        attributes.permissions = permissions;
        attributes.modified = u64::from(entry.modified) * 1_000_000_000;
    });
}

/// Writes all of `contents` to the start of `object`.
fn fill(object: &Object, contents: &[u8]) -> Result<(), Errno> {
    let mut source = contents;
    let mut offset = 0;
    while !source.is_empty() {
        let length = source.len();
        let n = object
            .write_at(offset, &mut source, length)
            .map_err(|_| Errno::ENOMEM)?;
        if n == 0 {
            return Err(Errno::EIO);
        }
        offset += n as u64;
    }
    Ok(())
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
