//! The root file system of a boot, put together in memory and packed as Linux's initramfs.
//!
//! In reading order:
//!
//! - `tree`: the files by their paths. What is laid over a tree goes where its paths lead,
//!   through the symbolic links that are there.
//! - `folder`: lays a folder of the host over a tree.
//! - `tarball`: lays a tar archive over a tree.
//! - [`system`]: a whole distribution instead of the built-in programs.
//! - `archive`: packs a tree.

mod archive;
mod folder;
mod left_out;
pub mod system;
mod tarball;
mod tree;

pub use folder::Owners;
pub use tree::Tree;
