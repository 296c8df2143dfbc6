//! The tree of names, and everything that changes it.
//!
//! **Protocol.** All changes of names are made under one lock, `Tree::change` (Linux has
//! `s_vfs_rename_mutex` and a lock per directory). A lookup takes only the lock of the directory it
//! searches, for one search. The holder of the change lock sees several directories in one state
//! and locks one at a time. Lock order: the change lock, then one directory's entries, or one
//! node's location or attributes.
//!
//! What a change removes from the tree is dropped after the lock is released: it may be the last
//! reference to a big file.

use super::directory::{Directory, DirectoryEntry};
use super::metadata::Name;
use super::node::{Location, Node, NodeKind};
use super::walk::{Follow, Last, MAX_PATH, PathWalk, Start};
use crate::errno::Errno;
use crate::memory::{Object, Quota, fallible};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use spin::Mutex;

/// A tree of names.
pub struct Tree {
    root: Arc<Node>,
    /// How many pages its files may have, and how many names there may be.
    pages: Arc<Quota>,
    names: Quota,
    pub(super) change: Mutex<()>,
}

impl Tree {
    /// A tree that has only a root.
    pub fn new() -> Tree {
        let root = Arc::new(Node::new(NodeKind::directory()));
        root.set_location(Location::Root);
        root.add_links(2);
        Tree {
            root,
            pages: Arc::new(Quota::new(u64::MAX)),
            names: Quota::new(u64::MAX),
            change: Mutex::new(()),
        }
    }

    /// How many pages the files have and may have.
    pub fn pages(&self) -> &Quota {
        &self.pages
    }

    /// How many names there are and may be. Each takes memory of the kernel until it is removed,
    /// so names count, as on Linux's tmpfs, and not nodes.
    pub fn names(&self) -> &Quota {
        &self.names
    }

    /// The contents of a new file.
    pub fn new_object(&self) -> Result<Arc<Object>, Errno> {
        Ok(Object::counted(self.pages.clone())?)
    }

    /// The root directory.
    pub fn root(&self) -> &Arc<Node> {
        &self.root
    }

    /// The node that `path` names.
    pub fn node(&self, start: Start<'_>, path: &[u8], follow: Follow) -> Result<Arc<Node>, Errno> {
        PathWalk::new(self, start, path)?.node(follow)
    }

    /// The absolute path of a directory (getcwd(2)).
    pub fn path_of(&self, directory: &Arc<Node>) -> Result<Vec<u8>, Errno> {
        let mut names: Vec<Name> = Vec::new();
        let mut length = 0;
        {
            // So that no rename on the way up mixes two paths into one.
            let _change = self.change.lock();
            let mut node = directory.clone();
            loop {
                let (parent, name) = match node.location() {
                    Location::Root => break,
                    Location::In(parent, name) => (parent.upgrade().ok_or(Errno::ENOENT)?, name),
                    Location::Within(parent, name) => (parent, name),
                    Location::Nowhere => return Err(Errno::ENOENT),
                };
                length += 1 + name.len();
                // getcwd(2); this also bounds the time under the lock.
                if length > MAX_PATH {
                    return Err(Errno::ENAMETOOLONG);
                }
                names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                names.push(name);
                node = parent;
            }
        }
        let mut path = Vec::new();
        path.try_reserve_exact(length.max(1) + 1)
            .map_err(|_| Errno::ENOMEM)?;
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }

    /// The absolute path of any file, for people: of one that has lost its name the last one, with
    /// " (deleted)" behind it.
    pub fn shown_path(&self, node: &Arc<Node>) -> Result<Vec<u8>, Errno> {
        const DELETED: &[u8] = b" (deleted)";
        if node.is_directory() {
            return match self.path_of(node) {
                Err(Errno::ENOENT) => {
                    let mut path = Vec::new();
                    fallible::reserve(&mut path, 1 + DELETED.len())?;
                    path.push(b'/');
                    path.extend_from_slice(DELETED);
                    Ok(path)
                }
                path => path,
            };
        }
        let (parent, name) = match node.location() {
            Location::In(parent, name) => (parent.upgrade(), name),
            Location::Within(parent, name) => (Some(parent), name),
            Location::Root | Location::Nowhere => return Err(Errno::ENOENT),
        };
        let is_there = parent.as_ref().is_some_and(|parent| match parent.kind() {
            NodeKind::Directory(entries) => entries
                .get(&name)
                .is_some_and(|there| Arc::ptr_eq(&there, node)),
            _ => true,
        });
        let mut path = match parent {
            Some(parent) => self.shown_path(&parent)?,
            None => Vec::new(),
        };
        fallible::reserve(&mut path, 1 + name.len() + DELETED.len())?;
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        if !is_there {
            path.extend_from_slice(DELETED);
        }
        Ok(path)
    }

    /// Finds the node, or makes it if there is none and returns `true` (open(2) with
    /// `O_CREAT`). A link that leads nowhere is followed, and the file made there.
    pub fn find_or_make(
        &self,
        start: Start<'_>,
        path: &[u8],
        follow: Follow,
        make: impl FnOnce() -> Result<Node, Errno>,
    ) -> Result<(Arc<Node>, bool), Errno> {
        let mut walk = PathWalk::new(self, start, path)?;
        let mut new = None;
        let mut make = Some(make);
        loop {
            let target = walk.target()?;
            if target.slash {
                return Err(Errno::EISDIR);
            }
            if let Some(node) = walk.last(&target)? {
                match node.kind() {
                    NodeKind::Link(text) if follow == Follow::Yes => walk.push_link(text)?,
                    NodeKind::Jump(jump) if follow == Follow::Yes => {
                        return Ok((jump.target()?, false));
                    }
                    _ => return Ok((node, false)),
                }
                continue;
            }
            let Last::Name(name) = &target.last else {
                return Err(Errno::ENOENT);
            };
            // Made before the lock is taken: it allocates.
            let node = match (new.take(), make.take()) {
                (Some(node), _) => node,
                (None, Some(make)) => fallible::arc(make()?)?,
                (None, None) => return Err(Errno::ENOENT),
            };
            match self.add(&target.directory, name, node.clone()) {
                Ok(()) => return Ok((node, true)),
                // Another thread made it first: look at what is there now.
                Err(Errno::EEXIST) => {
                    new = Some(node);
                    walk = PathWalk::new(self, start, path)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a node where there must be none (mkdir(2), symlink(2), mknod(2)).
    pub fn make(&self, start: Start<'_>, path: &[u8], node: Node) -> Result<Arc<Node>, Errno> {
        let node = fallible::arc(node)?;
        self.link(start, path, node.clone())?;
        Ok(node)
    }

    /// Gives a node one more name (link(2)).
    pub fn link(&self, start: Start<'_>, path: &[u8], node: Arc<Node>) -> Result<(), Errno> {
        let mut walk = PathWalk::new(self, start, path)?;
        let target = walk.target()?;
        let Last::Name(name) = &target.last else {
            return Err(Errno::EEXIST);
        };
        if target.slash && !node.is_directory() {
            // The slash asks for a directory, which this is not.
            return Err(if walk.last(&target)?.is_some() {
                Errno::EEXIST
            } else {
                Errno::ENOENT
            });
        }
        self.add(&target.directory, name, node)
    }

    /// Puts a node into the tree in place of the directory or file that has
    /// that name, or where there is none. For what the kernel itself adds.
    pub fn attach(&self, path: &[u8], kind: NodeKind) -> Result<Arc<Node>, Errno> {
        let start = Start {
            directory: &self.root,
            caller: 0,
        };
        match self.unlink(start, path) {
            Err(Errno::EISDIR) => self.remove_directory(start, path)?,
            Err(Errno::ENOENT) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        self.make(start, path, Node::new(kind))
    }

    fn add(&self, directory: &Arc<Node>, name: &[u8], node: Arc<Node>) -> Result<(), Errno> {
        let entries = changeable(directory)?;
        // Linux looks before it allocates, so that an existing name is not reported as a shortage.
        if entries.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let entry = DirectoryEntry::new(fallible::bytes(name)?, node)?;
        self.names.take(1).map_err(|_| Errno::ENOSPC)?;
        let added = self.add_entry(directory, entries, entry);
        if added.is_err() {
            self.names.give(1);
        }
        added
    }

    fn add_entry(
        &self,
        directory: &Arc<Node>,
        entries: &Directory,
        entry: Arc<DirectoryEntry>,
    ) -> Result<(), Errno> {
        let (name, node) = (entry.name().clone(), entry.node().clone());
        if let Some(object) = node.object() {
            let owner: Weak<Node> = Arc::downgrade(&node);
            object.set_owner(owner);
        }
        let _change = self.change.lock();
        if matches!(directory.location(), Location::Nowhere) {
            return Err(Errno::ENOENT);
        }
        if entries.get(&name).is_some() {
            return Err(Errno::EEXIST);
        }
        node.set_location(Location::In(Arc::downgrade(directory), name.clone()));
        if node.is_directory() {
            node.add_links(2);
            directory.add_links(1);
        } else {
            node.add_links(1);
        }
        entries.insert(entry);
        directory.touch();
        Ok(())
    }

    /// Takes away the name of anything but a directory (unlink(2)).
    pub fn unlink(&self, start: Start<'_>, path: &[u8]) -> Result<(), Errno> {
        let target = PathWalk::new(self, start, path)?.target()?;
        let Last::Name(name) = &target.last else {
            return Err(Errno::EISDIR);
        };
        let entries = changeable(&target.directory)?;
        let removed = {
            let _change = self.change.lock();
            let node = entries.get(name).ok_or(Errno::ENOENT)?;
            if node.is_directory() {
                return Err(Errno::EISDIR);
            }
            if target.slash {
                return Err(Errno::ENOTDIR);
            }
            node.remove_links(1);
            target.directory.touch();
            (node, entries.remove(name))
        };
        self.names.give(1);
        removed.0.change(|_| ());
        Ok(())
    }

    /// Removes an empty directory (rmdir(2)).
    pub fn remove_directory(&self, start: Start<'_>, path: &[u8]) -> Result<(), Errno> {
        let target = PathWalk::new(self, start, path)?.target()?;
        let name = match &target.last {
            Last::Name(name) => name,
            // `/` reads as `.` of the root, which is in use.
            Last::Dot if path.iter().all(|&byte| byte == b'/') => return Err(Errno::EBUSY),
            Last::Dot => return Err(Errno::EINVAL),
            Last::DotDot => return Err(Errno::ENOTEMPTY),
        };
        let entries = changeable(&target.directory)?;
        let removed = {
            let _change = self.change.lock();
            let node = entries.get(name).ok_or(Errno::ENOENT)?;
            check_empty(&node)?;
            detach(&node, &target.directory);
            target.directory.touch();
            (node, entries.remove(name))
        };
        self.names.give(1);
        drop(removed);
        Ok(())
    }

    /// Takes every name away: for the power-off, so that all frames of files go
    /// back before the audit. One directory after the other, so that the depth
    /// of the tree does not show on the stack.
    pub fn dismantle(&self) {
        let mut pending = alloc::vec![self.root.clone()];
        while let Some(node) = pending.pop() {
            let NodeKind::Directory(entries) = node.kind() else {
                continue;
            };
            if !Arc::ptr_eq(&node, &self.root) {
                let _change = self.change.lock();
                node.set_location(Location::Nowhere);
            }
            while let Some(entry) = entries.pop() {
                self.names.give(1);
                if entry.node().is_directory() {
                    pending.push(entry.node().clone());
                }
            }
        }
    }
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

/// The entries of a directory in which names can be made and removed.
pub(super) fn changeable(directory: &Node) -> Result<&Directory, Errno> {
    match directory.kind() {
        NodeKind::Directory(entries) => Ok(entries),
        // As procfs answers.
        NodeKind::Computed(_) => Err(Errno::EPERM),
        _ => Err(Errno::ENOTDIR),
    }
}

/// Whether the node is a directory that can be removed.
pub(super) fn check_empty(node: &Node) -> Result<(), Errno> {
    match node.kind() {
        NodeKind::Directory(entries) if entries.is_empty() => Ok(()),
        NodeKind::Directory(_) => Err(Errno::ENOTEMPTY),
        NodeKind::Computed(_) => Err(Errno::EBUSY),
        _ => Err(Errno::ENOTDIR),
    }
}

/// Notes that a directory has left its parent.
pub(super) fn detach(node: &Node, parent: &Node) {
    node.set_location(Location::Nowhere);
    node.remove_links(2);
    parent.remove_links(1);
}

/// Whether `node` is `directory` or below it.
pub(super) fn is_inside(node: &Arc<Node>, directory: &Arc<Node>) -> bool {
    let mut node = node.clone();
    loop {
        if Arc::ptr_eq(&node, directory) {
            return true;
        }
        let Location::In(parent, _) = node.location() else {
            return false;
        };
        match parent.upgrade() {
            Some(parent) => node = parent,
            None => return false,
        }
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
