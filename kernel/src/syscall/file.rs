//! The system calls on files and names.
//!
//! Each is an `async fn` that takes its arguments as the registers had them. Here arguments
//! become types, and the file layer does the work; no state lives here. A call may be dropped
//! at any `.await` (a fatal signal): what it holds is released by its drop.
//!
//! `arguments` turns descriptors, flags and paths into types; the other modules use it, each for
//! one family of calls.

mod arguments;
mod attributes;
mod copying;
mod descriptors;
mod ioctl;
mod locking;
mod names;
mod opening;
mod plain;
mod polling;
mod select;
mod statfs;
mod status;
mod sync;
mod terminal;
mod transfer;

pub use attributes::*;
pub use copying::*;
pub use descriptors::*;
pub use ioctl::ioctl;
pub use locking::flock;
pub use names::*;
pub use opening::*;
pub use polling::{go_on_polling, poll, ppoll};
pub use select::{pselect6, select};
pub use statfs::*;
pub use status::*;
pub use sync::*;
pub use transfer::*;
