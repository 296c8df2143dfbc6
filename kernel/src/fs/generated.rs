//! Files and directories whose contents are computed when they are opened or read.
//!
//! The layer above implements these traits and hangs its objects into the tree
//! with [`Tree::attach`](super::Tree::attach). They are called with no lock held, and they
//! do not wait.
//!
//! ```no_run
//! use kernel::errno::Errno;
//! use kernel::fs;
//! use kernel::fs::generated::{Generate, Listing, fixed_entry};
//! use kernel::fs::metadata::FileType;
//! use kernel::fs::node::NodeKind;
//! use std::sync::Arc;
//!
//! struct Uptime;
//!
//! impl Generate for Uptime {
//!     fn generate(&self) -> Result<Vec<u8>, Errno> {
//!         let seconds = kernel::arch::clock() / 1_000_000_000;
//!         Ok(format!("{seconds}\n").into_bytes())
//!     }
//! }
//!
//! struct Processes;
//!
//! impl Listing for Processes {
//!     fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<NodeKind>, Errno> {
//!         Ok(match name {
//!             b"self" => Some(NodeKind::link(caller.to_string().as_bytes())?),
//!             b"uptime" => Some(NodeKind::Generated(Arc::new(Uptime))),
//!             _ => None,
//!         })
//!     }
//!
//!     fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
//!         let names: [(&[u8], _); 2] =
//!             [(b"self", FileType::Link), (b"uptime", FileType::Regular)];
//!         fixed_entry(names.into_iter(), position, show)
//!     }
//! }
//!
//! fs::tree().attach(b"/proc", NodeKind::Computed(Arc::new(Processes)))?;
//! # Ok::<(), Errno>(())
//! ```

use super::metadata::FileType;
use super::node::{Node, NodeKind};
use crate::errno::Errno;
use crate::memory::Sink;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A file whose text is made as a whole. It is made at `open`, so a reader that takes it in pieces
/// sees the state of one moment.
pub trait Generate: Send + Sync {
    /// The text as it is now.
    fn generate(&self) -> Result<Vec<u8>, Errno>;
}

/// A file that is read by offset and has no size (`/proc/self/pagemap`).
pub trait Window: Send + Sync {
    /// Whether it may be opened for writing.
    fn is_writable(&self) -> bool {
        false
    }

    /// Takes what is written by one call, up to [`MOST_WRITTEN`] bytes.
    fn write(&self, _text: &[u8]) -> Result<(), Errno> {
        Err(Errno::EACCES)
    }

    /// Gives `sink` the bytes at `offset`, `max` at most, and says how many it
    /// took. At the end it gives it none.
    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno>;
}

/// A link that leads to an object and not to a path (proc(5), "magic links"): what it leads to may
/// have no name any more.
pub trait Jump: Send + Sync {
    /// What readlink(2) tells.
    fn text(&self) -> Result<Vec<u8>, Errno>;

    /// What it leads to.
    fn target(&self) -> Result<Arc<Node>, Errno>;

    /// Its permission bits, which say nothing but what the target was opened for.
    fn permissions(&self) -> u32 {
        0o777
    }
}

/// How much a window takes by one write.
pub const MOST_WRITTEN: usize = 32;

/// A directory whose entries are computed.
pub trait Listing: Send + Sync {
    /// What `name` is for the thread with the number `caller`.
    fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<NodeKind>, Errno>;

    /// Shows the first entry whose position is not below `position`, and returns the position
    /// behind it; `None` if there is none. Positions begin at 0, without `.` and `..`. An entry that
    /// stays keeps its position. Nothing is allocated: a directory can be listed when memory is
    /// short.
    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64>;
}

/// An entry of a directory that always has these names, for [`Listing::entry`].
pub fn fixed_entry<'a>(
    mut names: impl Iterator<Item = (&'a [u8], FileType)>,
    position: u64,
    show: &mut dyn FnMut(&[u8], FileType),
) -> Option<u64> {
    let (name, file_type) = names.nth(usize::try_from(position).ok()?)?;
    show(name, file_type);
    Some(position + 1)
}
