//! `cargo bootimage bench`: measures cowfork, and Linux in the same machine.
//!
//! The benchmark is the user program `forkbench`, the same file for every kernel.
//! In reading order:
//!
//! - [`options`]: the command line. [`guest`]: the kernels; [`linux`] gets Debian's.
//! - [`round`]: one boot, from QEMU's options to the results; [`report`] reads what
//!   `forkbench` wrote.
//! - [`compare`]: pairs of results, ratios; [`bars`]: what is wanted of them.
//! - [`counts`]: guest instructions, and the file in the tree that they must not
//!   outgrow.
//! - [`times`]: several rounds of several kernels. Their [`results`] are written by
//!   [`table`] for terminals and Markdown, [`json`] for programs, [`html`] with [`plots`]
//!   for people, [`document`] into `docs/performance.md`.

pub mod bars;
pub mod compare;
pub mod counts;
pub mod document;
pub mod guest;
pub mod html;
pub mod json;
pub mod linux;
pub mod options;
pub mod plots;
pub mod report;
pub mod results;
pub mod round;
pub mod table;
pub mod times;

use crate::error::Result;
use crate::workspace::Workspace;

pub use options::Bench;

/// Does what `bench` says; the value is the exit status.
pub fn run(workspace: &Workspace, bench: &Bench) -> Result<u8> {
    if bench.count {
        counts::run(workspace, bench)
    } else {
        times::run(workspace, bench)
    }
}
