//! `/proc/PID/task`: the threads of a process, as far as they differ from each other.

use super::process::{Comm, stat, status};
use super::text::{self, Text};
use super::{File, number_text};
use crate::errno::Errno;
use crate::fs::generated::{Generate, Listing, fixed_entry};
use crate::fs::metadata::FileType;
use crate::fs::node::NodeKind;
use crate::memory::fallible;
use crate::process::ids::{self, Pid};
use crate::process::state::Process;
use crate::process::thread::Tcb;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The directory of all threads.
pub(super) struct Tasks(pub(super) Arc<Process>);

impl Listing for Tasks {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        let tid = core::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok())
            .map(Pid);
        let thread = tid
            .and_then(ids::find_thread)
            .filter(|(process, _)| Arc::ptr_eq(process, &self.0))
            .and_then(|(_, thread)| thread);
        let directory = thread.map(|thread| fallible::arc_from_reserve(Directory(thread)));
        Ok(directory
            .transpose()?
            .map(|directory| NodeKind::Computed(directory)))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        // A thread's position is its number less one; no number is 0.
        let tid = ids::next_thread_of(&self.0, Pid(u32::try_from(position).ok()?))?;
        show(number_text(tid).as_bytes(), FileType::Directory);
        Some(u64::from(tid.0))
    }
}

/// The directory of one thread: what is its own, and all that its process has.
struct Directory(Arc<Tcb>);

type Describe = fn(&Tcb, &mut Text) -> fmt::Result;

/// A file whose text is made of a thread.
struct About(Arc<Tcb>, Describe);

impl Generate for About {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        text::text(|text| (self.1)(&self.0, text))
    }
}

/// What is a thread's own; all of it has a process too.
const FILES: [File<Describe>; 2] = [
    (b"stat", |thread, text| {
        stat(thread.process(), Some(thread), text)
    }),
    (b"status", |thread, text| {
        status(thread.process(), Some(thread), text)
    }),
];

/// What only processes have.
const NOT_OF_THREADS: &[u8] = b"task";

impl Listing for Directory {
    fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<NodeKind>, Errno> {
        if name == NOT_OF_THREADS {
            return Ok(None);
        }
        let process = self.0.process();
        if name == b"comm" {
            let file = Comm(process.clone(), Some(self.0.clone()));
            return Ok(Some(NodeKind::Window(fallible::arc_from_reserve(file)?)));
        }
        if let Some(&(_, text)) = FILES.iter().find(|(file, _)| *file == name) {
            let file = fallible::arc_from_reserve(About(self.0.clone(), text))?;
            return Ok(Some(NodeKind::Generated(file)));
        }
        super::Directory(process.clone()).lookup(name, caller)
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = super::Directory::names().filter(|(name, _)| *name != NOT_OF_THREADS);
        fixed_entry(names, position, show)
    }
}
