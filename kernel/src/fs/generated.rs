//! Files and directories whose contents are made when they are asked for.
//!
//! The layer above implements these traits and hangs its objects into the tree
//! with [`Tree::attach`](super::Tree::attach). They are called with no lock held, and they
//! do not wait.
//!
//! ```no_run
//! use kernel::errno::Errno;
//! use kernel::fs;
//! use kernel::fs::generated::{Generate, Listed, Listing};
//! use kernel::fs::node::{Kind, Type};
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
//!     fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<Kind>, Errno> {
//!         Ok(match name {
//!             b"self" => Some(Kind::link(caller.to_string().as_bytes())),
//!             b"uptime" => Some(Kind::Generated(Arc::new(Uptime))),
//!             _ => None,
//!         })
//!     }
//!
//!     fn list(&self) -> Result<Vec<Listed>, Errno> {
//!         Ok(vec![
//!             Listed::new(b"self", Type::Link),
//!             Listed::new(b"uptime", Type::Regular),
//!         ])
//!     }
//! }
//!
//! fs::tree().attach(b"/proc", Kind::Computed(Arc::new(Processes)))?;
//! # Ok::<(), Errno>(())
//! ```

use super::node::{Kind, Name, Type};
use crate::errno::Errno;
use crate::memory::Sink;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A file whose whole text is made at once. It is made at `open`, so one who reads it
/// piece by piece sees one moment.
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

/// How much a window takes by one write.
pub const MOST_WRITTEN: usize = 32;

/// A directory whose entries are computed.
pub trait Listing: Send + Sync {
    /// What `name` is for the thread with the number `caller`.
    fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<Kind>, Errno>;

    /// All names, without `.` and `..`.
    fn list(&self) -> Result<Vec<Listed>, Errno>;
}

/// One name in a list of a directory's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The entry's name.
    pub name: Name,
    /// The number of its node, as far as it is known before the entry is looked up.
    pub number: u64,
    /// What it is.
    pub node_type: Type,
}

impl Listed {
    /// An entry of a computed directory.
    pub fn new(name: &[u8], node_type: Type) -> Listed {
        // Zero would mean "deleted" to some programs.
        Listed {
            name: Arc::from(name),
            number: 1,
            node_type,
        }
    }
}
