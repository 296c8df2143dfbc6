//! Following a path through the tree (path_resolution(7)).
//!
//! Nothing here allocates but the stack of links and computed nodes, so that a name can be removed
//! when memory is short.
//!
//! A [`PathWalk`] stops before the last component, because what is done with that
//! one depends on the system call. Symbolic links are kept on a stack of texts still to
//! be read, so the depth of a path never shows on the kernel's own stack.

use super::metadata::Name;
use super::node::{Location, Node, NodeKind};
use super::tree::Tree;
use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, Range};

/// The longest path, without its final null (limits.h: `PATH_MAX` counts it).
pub const MAX_PATH: usize = 4095;
/// The longest name of an entry.
pub const MAX_NAME: usize = 255;
/// How many symbolic links a path may lead through.
const MAX_LINKS: usize = 40;

/// Where a path starts, and for which thread it is followed.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// Where relative paths start.
    pub directory: &'a Arc<Node>,
    /// The number of the thread that asks; `/proc/self` depends on it.
    pub caller: i32,
}

/// Whether the last component is followed when it is a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    /// Take what the link leads to.
    Yes,
    /// Take the link itself.
    No,
}

/// A name within a path, or within the text of a symbolic link.
pub struct Component<'a> {
    text: ComponentText<'a>,
    range: Range<usize>,
}

enum ComponentText<'a> {
    Path(&'a [u8]),
    Link(Name),
}

impl Deref for Component<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let text = match &self.text {
            ComponentText::Path(text) => text,
            ComponentText::Link(text) => &text[..],
        };
        &text[self.range.clone()]
    }
}

/// The last component of a path.
pub enum Last<'a> {
    /// An ordinary name.
    Name(Component<'a>),
    /// `.`, or no component at all: the path was `/`.
    Dot,
    /// `..`
    DotDot,
}

/// A path up to its last component.
pub struct PathTarget<'a> {
    /// The directory in which the last component is to be looked up.
    pub directory: Arc<Node>,
    /// The last component.
    pub last: Last<'a>,
    /// A slash followed it: it has to be a directory, and a link is followed.
    pub slash: bool,
}

/// A text that is being read.
struct LinkText {
    bytes: Name,
    position: usize,
}

/// A path that is being followed.
pub struct PathWalk<'a> {
    tree: &'a Tree,
    caller: i32,
    directory: Arc<Node>,
    path: &'a [u8],
    links: Vec<LinkText>,
    followed: usize,
}

impl<'a> PathWalk<'a> {
    /// Starts to follow `path`.
    pub fn new(tree: &'a Tree, start: Start<'_>, path: &'a [u8]) -> Result<PathWalk<'a>, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() > MAX_PATH {
            return Err(Errno::ENAMETOOLONG);
        }
        let directory = match path.first() {
            Some(b'/') => tree.root().clone(),
            _ => start.directory.clone(),
        };
        if !directory.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(PathWalk {
            tree,
            caller: start.caller,
            directory,
            path,
            links: Vec::new(),
            followed: 0,
        })
    }

    /// Goes to the last component.
    pub fn target(&mut self) -> Result<PathTarget<'a>, Errno> {
        loop {
            self.skip_slashes();
            let length = self.component_length()?;
            if let Some(slash) = self.ends_after(length) {
                let last = self.last_component(length);
                self.advance(length);
                return Ok(PathTarget {
                    directory: self.directory.clone(),
                    last,
                    slash,
                });
            }
            let node = match &self.rest()[..length] {
                b"." => self.directory.clone(),
                b".." => parent(&self.directory)?,
                name => self.look_up(&self.directory, name)?.ok_or(Errno::ENOENT)?,
            };
            self.advance(length);
            match node.kind() {
                NodeKind::Directory(_) | NodeKind::Computed(_) => self.directory = node,
                NodeKind::Link(text) => self.push_link(text)?,
                NodeKind::Jump(jump) => {
                    self.count_link()?;
                    self.directory = jump.target()?;
                    if !self.directory.is_directory() {
                        return Err(Errno::ENOTDIR);
                    }
                }
                _ => return Err(Errno::ENOTDIR),
            }
        }
    }

    /// Goes to the node that the whole path names.
    pub fn node(&mut self, follow: Follow) -> Result<Arc<Node>, Errno> {
        Ok(self.entry(follow)?.1)
    }

    /// The same, with the directory and the name under which the node was found.
    pub fn entry(&mut self, follow: Follow) -> Result<(PathTarget<'a>, Arc<Node>), Errno> {
        loop {
            let target = self.target()?;
            let node = self.last(&target)?.ok_or(Errno::ENOENT)?;
            match node.kind() {
                NodeKind::Link(text) if follow == Follow::Yes || target.slash => {
                    self.push_link(text)?
                }
                NodeKind::Jump(jump) if follow == Follow::Yes || target.slash => {
                    let node = jump.target()?;
                    if target.slash && !node.is_directory() {
                        return Err(Errno::ENOTDIR);
                    }
                    return Ok((target, node));
                }
                _ if target.slash && !node.is_directory() => return Err(Errno::ENOTDIR),
                _ => return Ok((target, node)),
            }
        }
    }

    /// The node of a target's last component, if there is one.
    pub fn last(&self, target: &PathTarget<'_>) -> Result<Option<Arc<Node>>, Errno> {
        match &target.last {
            Last::Dot => Ok(Some(target.directory.clone())),
            Last::DotDot => parent(&target.directory).map(Some),
            Last::Name(name) => self.look_up(&target.directory, name),
        }
    }

    /// Goes on with the text of a link that the last component turned out to be.
    pub fn push_link(&mut self, text: &Name) -> Result<(), Errno> {
        self.count_link()?;
        if text.first() == Some(&b'/') {
            self.directory = self.tree.root().clone();
        }
        self.links.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.links.push(LinkText {
            bytes: text.clone(),
            position: 0,
        });
        Ok(())
    }

    fn count_link(&mut self) -> Result<(), Errno> {
        self.followed += 1;
        if self.followed > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        Ok(())
    }

    fn look_up(&self, directory: &Arc<Node>, name: &[u8]) -> Result<Option<Arc<Node>>, Errno> {
        match directory.kind() {
            NodeKind::Directory(entries) => Ok(entries.get(name)),
            NodeKind::Computed(listing) => {
                let Some(kind) = listing.lookup(name, self.caller)? else {
                    return Ok(None);
                };
                Ok(Some(fallible::arc(Node::computed(kind, directory, name)?)?))
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn component_length(&self) -> Result<usize, Errno> {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|&byte| byte == b'/')
            .unwrap_or(rest.len());
        if length > MAX_NAME {
            Err(Errno::ENAMETOOLONG)
        } else {
            Ok(length)
        }
    }

    /// The next component, as the last one of its path.
    fn last_component(&self, length: usize) -> Last<'a> {
        match &self.rest()[..length] {
            b"" | b"." => Last::Dot,
            b".." => Last::DotDot,
            _ => Last::Name(match self.links.last() {
                Some(link) => Component {
                    text: ComponentText::Link(link.bytes.clone()),
                    range: link.position..link.position + length,
                },
                None => Component {
                    text: ComponentText::Path(self.path),
                    range: 0..length,
                },
            }),
        }
    }

    /// If the path is at its end `length` bytes further on: whether slashes follow.
    fn ends_after(&self, length: usize) -> Option<bool> {
        let outer = self
            .links
            .iter()
            .rev()
            .skip(1)
            .map(|text| &text.bytes[text.position..]);
        let path = (!self.links.is_empty()).then_some(self.path);
        let mut slash = false;
        for text in core::iter::once(&self.rest()[length..])
            .chain(outer)
            .chain(path)
        {
            if text.iter().any(|&byte| byte != b'/') {
                return None;
            }
            slash |= !text.is_empty();
        }
        Some(slash)
    }

    /// Skips slashes, and links that have been read to their end.
    fn skip_slashes(&mut self) {
        loop {
            let rest = self.rest();
            let count = rest.iter().take_while(|&&byte| byte == b'/').count();
            let empty = rest.len() == count;
            self.advance(count);
            if !empty || self.links.pop().is_none() {
                return;
            }
        }
    }

    /// What is still to be read of the innermost text.
    fn rest(&self) -> &[u8] {
        match self.links.last() {
            Some(text) => &text.bytes[text.position..],
            None => self.path,
        }
    }

    fn advance(&mut self, count: usize) {
        match self.links.last_mut() {
            Some(text) => text.position += count,
            None => self.path = &self.path[count..],
        }
    }
}

/// What `..` leads to. The root is its own parent.
fn parent(directory: &Arc<Node>) -> Result<Arc<Node>, Errno> {
    match directory.location() {
        Location::Root => Ok(directory.clone()),
        Location::In(parent, _) => parent.upgrade().ok_or(Errno::ENOENT),
        Location::Within(parent, _) => Ok(parent),
        Location::Nowhere => Err(Errno::ENOENT),
    }
}
