//! Nodes: what the names of the tree stand for.
//!
//! A [`Node`] is a file of any kind with its attributes (an inode). It lives as long as a name or an
//! open file holds it; a file that is unlinked while it is open lives until the last close.
//!
//! Each lock here is held for a few instructions, and no other lock is taken meanwhile.

use super::device::Device;
use super::directory::Directory;
use super::generated::{Generate, Jump, Listing, Window};
use super::locks::{FileLocks, LockOwner};
use super::metadata::{Attributes, FileType, Name, Status, next_number, now};
use super::pipe::Pipe;
use super::special::Special;
use super::xattr::ExtendedAttributes;
use crate::errno::Errno;
use crate::memory::fallible;
use crate::memory::{FRAME_SIZE, Object};
use alloc::sync::{Arc, Weak};
use arrayvec::ArrayString;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use executor::sync::Mutex as TaskMutex;
use spin::Mutex;

/// What a node is, with its contents.
pub enum NodeKind {
    /// Names of other nodes.
    Directory(Directory),
    /// Bytes in memory that `mmap` and `execve` can share.
    Regular(Regular),
    /// A symbolic link, with the path that it stands for.
    Link(Arc<[u8]>),
    /// A device.
    Device(Device),
    /// A text that is made at `open`.
    Generated(Arc<dyn Generate>),
    /// Contents that are read by offset.
    Window(Arc<dyn Window>),
    /// A directory whose entries are computed.
    Computed(Arc<dyn Listing>),
    /// A link that leads to an object.
    Jump(Arc<dyn Jump>),
    /// A pipe with a name (fifo(7)).
    Fifo(Arc<Pipe>),
    /// The name of a socket, which may be closed; `None` where there never was one (mknod(2)).
    Socket(Option<Weak<dyn Special>>),
    /// A device that there is not: opening it fails.
    Absent(FileType, u64),
}

/// The contents of a regular file.
pub struct Regular {
    /// The bytes.
    pub object: Arc<Object>,
    /// Held by a writer, so that writes are not mixed and appends do not overlap (Linux's inode
    /// lock).
    pub writing: TaskMutex<()>,
}

impl NodeKind {
    /// An empty directory.
    pub fn directory() -> NodeKind {
        NodeKind::Directory(Directory::new())
    }

    /// A regular file with the bytes of `object`.
    pub fn regular(object: Arc<Object>) -> NodeKind {
        NodeKind::Regular(Regular {
            object,
            writing: TaskMutex::new(()),
        })
    }

    /// A symbolic link to `target`.
    pub fn link(target: &[u8]) -> Result<NodeKind, Errno> {
        Ok(NodeKind::Link(fallible::bytes(target)?))
    }

    /// The kind without its contents.
    pub fn file_type(&self) -> FileType {
        match self {
            NodeKind::Directory(_) | NodeKind::Computed(_) => FileType::Directory,
            NodeKind::Regular(_) | NodeKind::Generated(_) | NodeKind::Window(_) => {
                FileType::Regular
            }
            NodeKind::Link(_) | NodeKind::Jump(_) => FileType::Link,
            NodeKind::Device(_) => FileType::Character,
            NodeKind::Fifo(_) => FileType::Pipe,
            NodeKind::Socket(_) => FileType::Socket,
            NodeKind::Absent(file_type, _) => *file_type,
        }
    }

    /// The permission bits of a node for which the caller gave none.
    fn usual_permissions(&self) -> u32 {
        match self {
            NodeKind::Directory(_) => 0o755,
            NodeKind::Regular(_) => 0o644,
            NodeKind::Link(_) => 0o777,
            NodeKind::Jump(jump) => jump.permissions(),
            NodeKind::Device(_) | NodeKind::Absent(..) => 0o666,
            NodeKind::Fifo(_) => 0o600,
            NodeKind::Socket(_) => 0o777,
            NodeKind::Window(window) if window.is_writable() => 0o644,
            NodeKind::Generated(_) | NodeKind::Window(_) => 0o444,
            NodeKind::Computed(_) => 0o555,
        }
    }
}

/// Where a directory is in the tree: what `..` and `getcwd` need (the parent link of Linux's
/// dentry). It changes only under the tree's change lock.
#[derive(Clone)]
pub enum Location {
    /// It is the root.
    Root,
    /// It has this name in this directory, which holds it.
    In(Weak<Node>, Name),
    /// It was computed as this name of this directory, which does not hold it.
    Within(Arc<Node>, Name),
    /// It has no name yet, or none any more. Nothing can be made in it.
    Nowhere,
}

/// A file of any kind. See the module's head.
pub struct Node {
    number: u64,
    kind: NodeKind,
    attributes: Mutex<Attributes>,
    /// Names in the tree; for a directory 2 and one for each directory in it.
    links: AtomicU64,
    /// The last place that it got, for what is no directory: it stays when the name goes.
    location: Mutex<Location>,
    /// Made by the first lock.
    locks: Mutex<Option<Arc<FileLocks>>>,
    can_be_linked: AtomicBool,
    /// See [`write_access`](super::write_access).
    access: AtomicI32,
    extended: ExtendedAttributes,
}

impl Node {
    /// A node that has no name yet, with the usual permissions of its kind.
    pub fn new(kind: NodeKind) -> Node {
        let permissions = kind.usual_permissions();
        Node::with_permissions(kind, permissions)
    }

    /// A node that has no name yet.
    pub fn with_permissions(kind: NodeKind, permissions: u32) -> Node {
        let now = now();
        Node {
            number: next_number(),
            kind,
            attributes: Mutex::new(Attributes {
                permissions: permissions & 0o7777,
                user: 0,
                group: 0,
                accessed: now,
                modified: now,
                changed: now,
            }),
            links: AtomicU64::new(0),
            location: Mutex::new(Location::Nowhere),
            locks: Mutex::new(None),
            can_be_linked: AtomicBool::new(false),
            access: AtomicI32::new(0),
            extended: ExtendedAttributes::new(),
        }
    }

    /// The node of a pipe without a name, for the time of a look at it.
    pub(super) fn of_pipe(pipe: &Arc<Pipe>) -> Node {
        let mut node = Node::new(NodeKind::Fifo(pipe.clone()));
        node.number = pipe.number();
        node.links = AtomicU64::new(1);
        node
    }

    /// A regular file without a name, which is called `name` where it is shown.
    pub(super) fn unnamed(
        object: Arc<Object>,
        name: &[u8],
        permissions: u32,
    ) -> Result<Node, Errno> {
        let mut node = Node::with_permissions(NodeKind::regular(object), permissions);
        *node.location.get_mut() = Location::In(Weak::new(), fallible::bytes(name)?);
        Ok(node)
    }

    /// A regular file without a name in a directory (`O_TMPFILE`).
    pub(super) fn temporary(
        object: Arc<Object>,
        directory: &Arc<Node>,
        permissions: u32,
        can_be_linked: bool,
    ) -> Result<Node, Errno> {
        let mut node = Node::with_permissions(NodeKind::regular(object), permissions);
        let mut name = ArrayString::<24>::new();
        // 64 bits fit.
        let _ = write!(name, "#{}", node.number);
        let name = fallible::bytes(name.as_bytes())?;
        *node.location.get_mut() = Location::In(Arc::downgrade(directory), name);
        *node.can_be_linked.get_mut() = can_be_linked;
        Ok(node)
    }

    /// Whether it may get a name though it has none: only a file of `O_TMPFILE` may, and only one
    /// that has never lost a name.
    pub fn can_be_linked(&self) -> bool {
        let has_name = self.links.load(Ordering::Relaxed) > 0;
        has_name || self.can_be_linked.load(Ordering::Relaxed)
    }

    /// Its count of writers and programs that exclude each other.
    pub(super) fn access(&self) -> &AtomicI32 {
        &self.access
    }

    /// Its extended attributes.
    pub fn extended(&self) -> &ExtendedAttributes {
        &self.extended
    }

    /// The node that a computed directory has just computed.
    pub(super) fn computed(
        kind: NodeKind,
        directory: &Arc<Node>,
        name: &[u8],
    ) -> Result<Node, Errno> {
        let mut node = Node::new(kind);
        *node.location.get_mut() = Location::Within(directory.clone(), fallible::bytes(name)?);
        node.links = AtomicU64::new(1);
        Ok(node)
    }

    /// What it is.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }

    /// The bytes of a regular file, for `mmap` and `execve`.
    pub fn object(&self) -> Option<&Arc<Object>> {
        match &self.kind {
            NodeKind::Regular(file) => Some(&file.object),
            _ => None,
        }
    }

    /// The node's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The node's type.
    pub fn file_type(&self) -> FileType {
        self.kind.file_type()
    }

    /// Whether it is a directory of either kind.
    pub fn is_directory(&self) -> bool {
        self.file_type() == FileType::Directory
    }

    /// Everything that `stat` tells.
    pub fn status(&self) -> Status {
        let blocks = match self.object() {
            Some(object) => object.frames_held() as u64 * (FRAME_SIZE / 512) as u64,
            None => 0,
        };
        let (size, device) = match &self.kind {
            NodeKind::Regular(file) => (file.object.len(), 0),
            NodeKind::Link(target) => (target.len() as u64, 0),
            NodeKind::Device(device) => (0, device.number()),
            NodeKind::Absent(_, number) => (0, *number),
            _ => (0, 0),
        };
        Status {
            number: self.number,
            file_type: self.file_type(),
            attributes: *self.attributes.lock(),
            links: self.links.load(Ordering::Relaxed),
            size,
            blocks,
            device,
        }
    }

    /// Changes the attributes; the time of the change is kept too.
    pub fn change(&self, change: impl FnOnce(&mut Attributes)) {
        let now = now();
        let mut attributes = self.attributes.lock();
        change(&mut attributes);
        attributes.permissions &= 0o7777;
        attributes.changed = now;
    }

    /// Notes that the contents changed now.
    pub fn touch(&self) {
        let now = now();
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
    }

    /// Whether it may be executed. One execute bit of three is enough, as it is for a superuser
    /// (path_resolution(7)): files do not check users.
    pub fn is_executable(&self) -> bool {
        self.attributes.lock().permissions & 0o111 != 0
    }

    /// The locks on it.
    pub fn locks(&self) -> Result<Arc<FileLocks>, Errno> {
        if let Some(locks) = &*self.locks.lock() {
            return Ok(locks.clone());
        }
        let fresh = fallible::arc(FileLocks::new())?;
        Ok(self.locks.lock().get_or_insert(fresh).clone())
    }

    /// Releases what the owner has of them.
    pub(super) fn release_locks(&self, owner: LockOwner) {
        let locks = self.locks.lock().clone();
        if let Some(locks) = locks {
            locks.release(owner);
        }
    }

    /// Counts names up.
    pub(super) fn add_links(&self, count: u64) {
        // Relaxed: the count is only told by `stat`; nothing is freed by it.
        self.links.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts names down.
    pub(super) fn remove_links(&self, count: u64) {
        self.links.fetch_sub(count, Ordering::Relaxed);
    }

    /// Where this directory is, or where another file got its last name.
    pub fn location(&self) -> Location {
        self.location.lock().clone()
    }

    /// Says where it is now.
    pub(super) fn set_location(&self, location: Location) {
        // What the old location holds is dropped after the lock is gone.
        let old = core::mem::replace(&mut *self.location.lock(), location);
        drop(old);
    }
}
