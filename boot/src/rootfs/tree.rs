//! The files of a root file system, by their paths.
//!
//! A tree is laid over, layer by layer, as a person would copy folders over one another. The
//! last one wins, and paths follow symbolic links: where `bin` is a link to `usr/bin`, a file
//! `bin/x` is put into `usr/bin`. Trees of distributions rely on that ("merged /usr"), and
//! the kernel's loader does not have to: no path in a finished tree leads through a link.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};

/// How many links a path may lead through (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The files of a root file system, by their path without the leading slash.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(super) entries: BTreeMap<String, Entry>,
}

/// A file, folder or link.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Folder,
    /// Entries with the same contents, in the sense of [`Arc::ptr_eq`], are names of one file.
    File(Arc<Contents>),
    /// A symbolic link, with its target.
    Link(String),
}

/// What is in a file.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    Bytes(Vec<u8>),
    /// A part of a file of the host, which is read when the tree is packed.
    Part {
        file: Arc<PathBuf>,
        offset: u64,
        length: u64,
    },
}

/// Rights, owner and time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The lower twelve bits of the mode.
    pub(super) permissions: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// In seconds since 1970.
    pub(super) modified: u32,
}

impl Attributes {
    /// Of a file that is root's. Without times the same input gives the same archive.
    pub(super) fn of_root(permissions: u32) -> Self {
        Self {
            permissions,
            uid: 0,
            gid: 0,
            modified: 0,
        }
    }
}

impl Contents {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part { length, .. } => *length,
        }
    }
}

impl Entry {
    pub(super) fn file(contents: Contents, attributes: Attributes) -> Self {
        Self {
            kind: Kind::File(Arc::new(contents)),
            attributes,
        }
    }

    pub(super) fn folder(attributes: Attributes) -> Self {
        Self {
            kind: Kind::Folder,
            attributes,
        }
    }

    pub(super) fn link(target: String, attributes: Attributes) -> Self {
        Self {
            kind: Kind::Link(target),
            attributes,
        }
    }
}

impl Tree {
    /// Puts a folder at `path`.
    pub fn dir(&mut self, path: &str) -> Result<()> {
        self.put(path, Entry::folder(Attributes::of_root(0o755)))
    }

    /// Puts a file that is not a program at `path`.
    pub fn file(&mut self, path: &str, data: impl Into<Vec<u8>>) -> Result<()> {
        let contents = Contents::Bytes(data.into());
        self.put(path, Entry::file(contents, Attributes::of_root(0o644)))
    }

    /// Puts a program at `path`.
    pub fn program(&mut self, path: &str, data: impl Into<Vec<u8>>) -> Result<()> {
        let contents = Contents::Bytes(data.into());
        self.put(path, Entry::file(contents, Attributes::of_root(0o755)))
    }

    /// Puts a symbolic link at `path`.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.put(path, Entry::link(target.into(), Attributes::of_root(0o777)))
    }

    /// Puts what is at `from` at `to` as well, as a file of its own. Nothing where there is
    /// nothing.
    pub fn copy(&mut self, from: &str, to: &str) -> Result<()> {
        let place = self.resolve(from, Last::Follow)?;
        match self.entries.get(&place).cloned() {
            Some(Entry {
                kind: Kind::File(contents),
                attributes,
            }) => self.put(to, Entry::file(Contents::clone(&contents), attributes)),
            Some(entry) => self.put(to, entry),
            None => Ok(()),
        }
    }

    /// Makes `path` an empty folder.
    pub fn clear(&mut self, path: &str) -> Result<()> {
        let place = self.resolve(path, Last::Keep)?;
        self.take_inside(&place);
        self.entries.remove(&place);
        self.dir(&place)
    }

    /// Whether `path` leads to a file or folder, through links or not.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let place = self.resolve(path, Last::Follow);
        place.is_ok_and(|place| place.is_empty() || self.entries.contains_key(&place))
    }

    /// The bytes of all files; of those with several names, once.
    #[must_use]
    pub fn length(&self) -> u64 {
        let mut seen = HashSet::new();
        let files = self.entries.values().filter_map(|entry| match &entry.kind {
            Kind::File(contents) if seen.insert(Arc::as_ptr(contents)) => Some(contents.length()),
            _ => None,
        });
        files.sum()
    }

    /// How many files, folders and links there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Puts `entry` at `path`, over what is there.
    pub(super) fn put(&mut self, path: &str, entry: Entry) -> Result<()> {
        let place = self.resolve(path, Last::Keep)?;
        if place.is_empty() {
            // The root itself is a folder, whatever is said.
            return Ok(());
        }
        self.make_parents(&place);
        let there = self.entries.get(&place).map(|old| &old.kind);
        match (&entry.kind, there) {
            // A folder over a link: it is the link's folder that is meant.
            (Kind::Folder, Some(Kind::Link(_))) => {
                let target = self.resolve(&place, Last::Follow)?;
                if self.entries.contains_key(&target) {
                    return Ok(());
                }
                self.make_parents(&target);
                self.entries.insert(target, entry);
            }
            (Kind::Folder, _) | (_, None | Some(Kind::File(_) | Kind::Link(_))) => {
                self.entries.insert(place, entry);
            }
            // A link over a folder: what is in the folder goes where the link leads.
            (Kind::Link(_), Some(Kind::Folder)) => {
                let inside = self.take_inside(&place);
                self.entries.insert(place, entry);
                for (path, entry) in inside {
                    let target = self.resolve(&path, Last::Keep)?;
                    if !self.entries.contains_key(&target) {
                        self.put(&path, entry)?;
                    }
                }
            }
            (Kind::File(_), Some(Kind::Folder)) => {
                self.take_inside(&place);
                self.entries.insert(place, entry);
            }
        }
        Ok(())
    }

    /// Gives the file at `path` another name; `false` where there is none.
    pub(super) fn put_name(&mut self, path: &str, of: &str) -> Result<bool> {
        let place = self.resolve(of, Last::Keep)?;
        let Some(entry) = self.entries.get(&place).cloned() else {
            return Ok(false);
        };
        self.put(path, entry)?;
        Ok(true)
    }

    /// The folders on the way are there even if none was put.
    fn make_parents(&mut self, place: &str) {
        for (end, _) in place.match_indices('/') {
            let parent = place.get(..end).unwrap_or_default();
            if !self.entries.contains_key(parent) {
                let folder = Entry::folder(Attributes::of_root(0o755));
                self.entries.insert(parent.to_owned(), folder);
            }
        }
    }

    /// Takes out what is in the folder `place`, at any depth.
    fn take_inside(&mut self, place: &str) -> Vec<(String, Entry)> {
        let prefix = format!("{place}/");
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let inside = self.entries.range(from).map(|(path, _)| path.clone());
        let inside: Vec<String> = inside
            .take_while(|path| path.starts_with(&prefix))
            .collect();
        inside
            .into_iter()
            .filter_map(|path| self.entries.remove_entry(&path))
            .collect()
    }

    /// The place that `path` leads to, which need not be there: a path without links before
    /// its last part, and with [`Last::Follow`] without any.
    fn resolve(&self, path: &str, last: Last) -> Result<String> {
        let mut place: Vec<String> = Vec::new();
        let mut ahead: VecDeque<String> = parts(path).collect();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                place.pop();
                continue;
            }
            place.push(name);
            if ahead.is_empty() && last == Last::Keep {
                break;
            }
            if let Some(Kind::Link(target)) = self.entries.get(&place.join("/")).map(|it| &it.kind)
            {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Error::Malformed(format!("/{path}: a circle of links")));
                }
                place.pop();
                if target.starts_with('/') {
                    place.clear();
                }
                for part in parts(target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(part);
                }
            }
        }
        Ok(place.join("/"))
    }
}

/// What happens to a link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

fn parts(path: &str) -> impl Iterator<Item = String> {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.map(String::from)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
