//! Nodes: what the names of the tree stand for.
//!
//! A [`Node`] is a file of any kind with its attributes. It lives as long as a
//! name or an open file holds it; a file that was unlinked while it is open goes
//! on until the last close.
//!
//! Each lock here is held for a few instructions, and none of them while
//! another one is taken.

use super::device::Device;
use super::directory::Directory;
use super::generated::{Generate, Listing, Window};
use crate::memory::Object;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};
use executor::sync::Mutex as TaskMutex;
use linux_raw_sys::general as abi;
use spin::Mutex;

/// A name in a directory, shared by the entry and the lists made of it.
pub type Name = Arc<[u8]>;

/// What a node is, with its contents.
pub enum Kind {
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
}

/// The contents of a regular file.
pub struct Regular {
    /// The bytes.
    pub object: Arc<Object>,
    /// Who writes has it, so that writes are not mixed and appended ones do
    /// not overlap.
    pub writing: TaskMutex<()>,
}

/// The type of a node, as `st_mode` and `d_type` tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A pipe.
    Pipe,
}

impl Type {
    /// The type's bits in `st_mode` (inode(7)).
    pub fn mode(self) -> u32 {
        match self {
            Type::Directory => abi::S_IFDIR,
            Type::Regular => abi::S_IFREG,
            Type::Link => abi::S_IFLNK,
            Type::Character => abi::S_IFCHR,
            Type::Pipe => abi::S_IFIFO,
        }
    }

    /// The type in a directory entry: by definition the same bits, moved down.
    pub fn entry(self) -> u8 {
        (self.mode() >> 12) as u8
    }
}

impl Kind {
    /// An empty directory.
    pub fn directory() -> Kind {
        Kind::Directory(Directory::new())
    }

    /// A regular file with the bytes of `object`.
    pub fn regular(object: Arc<Object>) -> Kind {
        Kind::Regular(Regular {
            object,
            writing: TaskMutex::new(()),
        })
    }

    /// A symbolic link to `target`.
    pub fn link(target: &[u8]) -> Kind {
        Kind::Link(Arc::from(target))
    }

    /// The kind without its contents.
    pub fn node_type(&self) -> Type {
        match self {
            Kind::Directory(_) | Kind::Computed(_) => Type::Directory,
            Kind::Regular(_) | Kind::Generated(_) | Kind::Window(_) => Type::Regular,
            Kind::Link(_) => Type::Link,
            Kind::Device(_) => Type::Character,
        }
    }

    /// The permission bits of a node that nobody gave any.
    fn usual_permissions(&self) -> u32 {
        match self {
            Kind::Directory(_) => 0o755,
            Kind::Regular(_) => 0o644,
            Kind::Link(_) => 0o777,
            Kind::Device(_) => 0o666,
            Kind::Window(window) if window.is_writable() => 0o644,
            Kind::Generated(_) | Kind::Window(_) => 0o444,
            Kind::Computed(_) => 0o555,
        }
    }
}

/// What `chmod`, `chown` and `utimensat` change.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// The permission bits, `0o7777` at most.
    pub permissions: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The last use, in nanoseconds since 1970. Reading does not change it, as on Linux with
    /// `noatime`.
    pub accessed: u64,
    /// The last change of the contents.
    pub modified: u64,
    /// The last change of these attributes.
    pub changed: u64,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The node's number.
    pub number: u64,
    /// The node's type.
    pub node_type: Type,
    /// Times, owner and permissions.
    pub attributes: Attributes,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The number of the device that it is, or 0.
    pub device: u64,
}

/// Where a directory is in the tree: what `..` and `getcwd` need. It changes only under the
/// tree's change lock.
#[derive(Clone)]
pub enum Place {
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
    kind: Kind,
    attributes: Mutex<Attributes>,
    /// Names in the tree; for a directory 2 and one for each directory in it.
    links: AtomicU64,
    /// Directories only.
    place: Mutex<Place>,
}

/// Numbers of nodes and pipes, never used twice. 1 is the first node, the root.
pub(super) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that the numbers differ matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Node {
    /// A node that has no name yet, with the usual permissions of its kind.
    pub fn new(kind: Kind) -> Node {
        let permissions = kind.usual_permissions();
        Node::with_permissions(kind, permissions)
    }

    /// A node that has no name yet.
    pub fn with_permissions(kind: Kind, permissions: u32) -> Node {
        let now = super::now();
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
            place: Mutex::new(Place::Nowhere),
        }
    }

    /// The node that a computed directory has just computed.
    pub(super) fn computed(kind: Kind, directory: &Arc<Node>, name: &[u8]) -> Node {
        let mut node = Node::new(kind);
        *node.place.get_mut() = Place::Within(directory.clone(), Arc::from(name));
        node.links = AtomicU64::new(1);
        node
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The bytes of a regular file, for `mmap` and `execve`.
    pub fn object(&self) -> Option<&Arc<Object>> {
        match &self.kind {
            Kind::Regular(file) => Some(&file.object),
            _ => None,
        }
    }

    /// The node's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The node's type.
    pub fn node_type(&self) -> Type {
        self.kind.node_type()
    }

    /// Whether it is a directory of either kind.
    pub fn is_directory(&self) -> bool {
        self.node_type() == Type::Directory
    }

    /// Everything that `stat` tells.
    pub fn status(&self) -> Status {
        let (size, device) = match &self.kind {
            Kind::Regular(file) => (file.object.len(), 0),
            Kind::Link(target) => (target.len() as u64, 0),
            Kind::Device(device) => (0, device.number()),
            _ => (0, 0),
        };
        Status {
            number: self.number,
            node_type: self.node_type(),
            attributes: *self.attributes.lock(),
            links: self.links.load(Ordering::Relaxed),
            size,
            device,
        }
    }

    /// Changes the attributes; the time of the change is kept too.
    pub fn change(&self, change: impl FnOnce(&mut Attributes)) {
        let now = super::now();
        let mut attributes = self.attributes.lock();
        change(&mut attributes);
        attributes.permissions &= 0o7777;
        attributes.changed = now;
    }

    /// Notes that the contents changed now.
    pub fn touch(&self) {
        let now = super::now();
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
    }

    /// Whether somebody may execute it. For the superuser, who everybody is,
    /// one execute bit of three is enough (path_resolution(7)).
    pub fn is_executable(&self) -> bool {
        self.attributes.lock().permissions & 0o111 != 0
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

    /// Where this directory is.
    pub fn place(&self) -> Place {
        self.place.lock().clone()
    }

    /// Says where this directory is now.
    pub(super) fn set_place(&self, place: Place) {
        // What the old place holds is dropped after the lock is gone.
        let old = core::mem::replace(&mut *self.place.lock(), place);
        drop(old);
    }
}
