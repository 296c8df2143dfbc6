//! `/proc/PID/fd` and `/proc/PID/fdinfo` (proc(5)): what the descriptors of a process stand for. A
//! link of `fd` leads to the file itself, so a pipe or a file that was unlinked can be opened again.

use super::text;
use crate::errno::Errno;
use crate::fs::file::OpenFile;
use crate::fs::generated::{Generate, Jump, Listing};
use crate::fs::metadata::FileType;
use crate::fs::node::{Node, NodeKind};
use crate::fs::table::{Fd, OnExec};
use crate::memory::fallible;
use crate::process::ids::Pid;
use crate::process::state::Process;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use linux_raw_sys::general as abi;

/// What is shown of each descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A link to the file.
    Link,
    /// Its position and flags.
    Info,
}

/// A directory with an entry for each descriptor.
pub(super) struct Descriptors(pub(super) Arc<Process>, pub(super) Shown);

impl Listing for Descriptors {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        let number = core::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok());
        let Some(fd) = number.map(Fd) else {
            return Ok(None);
        };
        let Ok(file) = self.0.files().get(fd) else {
            return Ok(None);
        };
        Ok(Some(match self.1 {
            Shown::Link => NodeKind::Jump(fallible::arc_from_reserve(Link(file))?),
            Shown::Info => {
                let closes = self.0.files().on_exec(fd) == Ok(OnExec::Close);
                NodeKind::Generated(fallible::arc_from_reserve(Info { file, closes })?)
            }
        }))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let fd = self
            .0
            .files()
            .next_from(Fd(u32::try_from(position).ok()?))?;
        let file_type = match self.1 {
            Shown::Link => FileType::Link,
            Shown::Info => FileType::Regular,
        };
        show(super::number_text(Pid(fd.0)).as_bytes(), file_type);
        Some(u64::from(fd.0) + 1)
    }
}

/// The link of one descriptor.
struct Link(Arc<OpenFile>);

impl Jump for Link {
    fn text(&self) -> Result<Vec<u8>, Errno> {
        self.0.shown_path()
    }

    fn target(&self) -> Result<Arc<Node>, Errno> {
        self.0.shown_node()
    }

    fn permissions(&self) -> u32 {
        let reads = if self.0.is_readable() { 0o500 } else { 0 };
        reads | if self.0.is_writable() { 0o300 } else { 0 }
    }
}

/// The text about one descriptor.
struct Info {
    file: Arc<OpenFile>,
    closes: bool,
}

impl Generate for Info {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        let flag = if self.closes { abi::O_CLOEXEC } else { 0 };
        let status = self.file.status();
        text::text(|text| {
            writeln!(
                text,
                "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{}",
                self.file.position_now(),
                self.file.flags() | flag,
                super::mounts::ROOT,
                status.number
            )
        })
    }
}
