//! rename(2) and renameat2(2).
//!
//! What a rename needs is allocated before the tree is locked. Then the names are looked up again:
//! if they refer to other nodes by then, it begins anew.

use super::directory::DirectoryEntry;
use super::metadata::Name;
use super::node::{Location, Node, NodeKind};
use super::tree::{Tree, changeable, check_empty, detach, is_inside};
use super::walk::{Last, PathTarget, PathWalk, Start};
use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::Arc;

/// What `rename` does when the new name is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replace {
    /// It takes the name.
    Yes,
    /// It fails.
    No,
    /// The two names change places; there have to be both.
    Exchange,
}

impl Tree {
    /// Gives a node another name, in one atomic step for lookups (rename(2)).
    pub fn rename(
        &self,
        (from_start, from_path): (Start<'_>, &[u8]),
        (to_start, to_path): (Start<'_>, &[u8]),
        replace: Replace,
    ) -> Result<(), Errno> {
        let from = PathWalk::new(self, from_start, from_path)?.target()?;
        let to = PathWalk::new(self, to_start, to_path)?.target()?;
        check_one_file_system(&from.directory, &to.directory)?;
        let Last::Name(from_name) = &from.last else {
            return Err(Errno::EBUSY);
        };
        let to_name = match (&to.last, replace) {
            (Last::Name(name), _) => name,
            (_, Replace::No) => return Err(Errno::EEXIST),
            (_, _) => return Err(Errno::EBUSY),
        };
        let (from_entries, to_entries) = (changeable(&from.directory)?, changeable(&to.directory)?);
        loop {
            // The new entries are made before the lock is taken: that allocates.
            let node = from_entries.get(from_name).ok_or(Errno::ENOENT)?;
            let old = to_entries.get(to_name);
            check_rename(&from, &to, &node, old.as_ref(), replace)?;
            let moved = DirectoryEntry::new(fallible::bytes(to_name)?, node.clone())?;
            let returned = match (&old, replace) {
                (Some(old), Replace::Exchange) => Some(DirectoryEntry::new(
                    fallible::bytes(from_name)?,
                    old.clone(),
                )?),
                _ => None,
            };
            let change = self.change.lock();
            let same = |now: Option<Arc<Node>>, then: Option<&Arc<Node>>| match (&now, then) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                (None, None) => true,
                _ => false,
            };
            if !same(from_entries.get(from_name), Some(&node))
                || !same(to_entries.get(to_name), old.as_ref())
            {
                // Another thread changed a name meanwhile.
                drop(change);
                continue;
            }
            let removed = rename_locked((&from, moved), (&to, old, returned))?;
            drop(change);
            if removed[0].is_some() && removed[1].is_some() && replace == Replace::Yes {
                // A name took the place of another.
                self.names().give(1);
            }
            drop(removed);
            return Ok(());
        }
    }
}

/// What can be said of a rename before the tree is locked, and stays true as long as the names
/// refer to the same nodes.
fn check_rename(
    from: &PathTarget<'_>,
    to: &PathTarget<'_>,
    node: &Arc<Node>,
    old: Option<&Arc<Node>>,
    replace: Replace,
) -> Result<(), Errno> {
    match (replace, old) {
        (Replace::No, Some(_)) => return Err(Errno::EEXIST),
        (Replace::Exchange, None) => return Err(Errno::ENOENT),
        _ => {}
    }
    if (from.slash || (to.slash && replace != Replace::Exchange)) && !node.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if to.slash && old.is_some_and(|old| !old.is_directory()) {
        return Err(Errno::ENOTDIR);
    }
    // The root of another file system is in use as such.
    let is_mounted = |node: &Arc<Node>| matches!(node.kind(), NodeKind::Computed(_));
    if is_mounted(node) || old.is_some_and(is_mounted) {
        return Err(Errno::EBUSY);
    }
    match old {
        Some(old) if replace == Replace::Yes && !Arc::ptr_eq(old, node) => {
            match (node.is_directory(), old.is_directory()) {
                (true, false) => Err(Errno::ENOTDIR),
                (false, true) => Err(Errno::EISDIR),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Moves the entry `moved` from one directory to another, in place of `old`, which `returned` puts
/// in its place if they are exchanged. Under the change lock. Returns what has to be dropped after
/// it.
fn rename_locked(
    (from, moved): (&PathTarget<'_>, Arc<DirectoryEntry>),
    (to, old, returned): (
        &PathTarget<'_>,
        Option<Arc<Node>>,
        Option<Arc<DirectoryEntry>>,
    ),
) -> Result<[Option<Arc<DirectoryEntry>>; 2], Errno> {
    let (from_entries, to_entries) = (changeable(&from.directory)?, changeable(&to.directory)?);
    let Last::Name(from_name) = &from.last else {
        return Err(Errno::EBUSY);
    };
    let node = moved.node().clone();
    if matches!(to.directory.location(), Location::Nowhere) {
        return Err(Errno::ENOENT);
    }
    if node.is_directory() && is_inside(&to.directory, &node) {
        return Err(Errno::EINVAL);
    }
    if let Some(old) = &old {
        if Arc::ptr_eq(old, &node) {
            return Ok([None, None]);
        }
        match &returned {
            Some(_) if old.is_directory() && is_inside(&from.directory, old) => {
                return Err(Errno::EINVAL);
            }
            None if old.is_directory() => check_empty(old)?,
            _ => {}
        }
    }
    // Nothing fails from here on.
    let to_name = moved.name().clone();
    // The new name first: a lookup in between finds the node by both names, never by none.
    let mut removed = [to_entries.insert(moved), None];
    match (&old, returned) {
        (Some(old), Some(returned)) => {
            let name = returned.name().clone();
            removed[1] = from_entries.insert(returned);
            if old.is_directory() {
                move_directory(old, &to.directory, &from.directory, name);
            } else {
                old.set_location(Location::In(Arc::downgrade(&from.directory), name));
            }
            old.change(|_| ());
        }
        (old, _) => {
            removed[1] = from_entries.remove(from_name);
            match old {
                Some(old) if old.is_directory() => detach(old, &to.directory),
                Some(old) => {
                    old.remove_links(1);
                    old.change(|_| ());
                }
                None => {}
            }
        }
    }
    if node.is_directory() {
        move_directory(&node, &from.directory, &to.directory, to_name);
    } else {
        node.set_location(Location::In(Arc::downgrade(&to.directory), to_name));
    }
    node.change(|_| ());
    from.directory.touch();
    to.directory.touch();
    Ok(removed)
}

/// Notes that a directory has this name in another parent now.
fn move_directory(node: &Node, from: &Node, to: &Arc<Node>, name: Name) {
    node.set_location(Location::In(Arc::downgrade(to), name));
    from.remove_links(1);
    to.add_links(1);
}

/// Fails unless both directories are in the same file system.
fn check_one_file_system(one: &Node, other: &Node) -> Result<(), Errno> {
    let is_computed = |node: &Node| matches!(node.kind(), NodeKind::Computed(_));
    if is_computed(one) == is_computed(other) {
        Ok(())
    } else {
        Err(Errno::EXDEV)
    }
}
