//! `/proc/PID/task`: the threads of a process, as far as they differ from each other.

use super::process::{thread_stat, thread_state};
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
use core::fmt::{self, Write};

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

/// The directory of one thread.
struct Directory(Arc<Tcb>);

type Describe = fn(&Tcb, &mut Text) -> fmt::Result;

/// A file whose text is made of a thread.
struct About(Arc<Tcb>, Describe);

impl Generate for About {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        text::text(|text| (self.1)(&self.0, text))
    }
}

const FILES: [File<Describe>; 3] = [(b"comm", comm), (b"stat", thread_stat), (b"status", status)];

impl Listing for Directory {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        let file = FILES.iter().find(|(file, _)| *file == name);
        let file = file.map(|&(_, text)| fallible::arc_from_reserve(About(self.0.clone(), text)));
        Ok(file.transpose()?.map(|file| NodeKind::Generated(file)))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = FILES.iter().map(|(name, _)| (*name, FileType::Regular));
        fixed_entry(names, position, show)
    }
}

fn comm(thread: &Tcb, text: &mut Text) -> fmt::Result {
    text.put(&thread.name())?;
    text.put(b"\n")
}

fn status(thread: &Tcb, text: &mut Text) -> fmt::Result {
    let process = thread.process();
    let (letter, word) = thread_state(thread);
    text.put(b"Name:\t")?;
    text.put(&thread.name())?;
    write!(
        text,
        "\nState:\t{letter} ({word})\nTgid:\t{}\nPid:\t{}\nPPid:\t{}\nThreads:\t{}\nCpus_allowed:\t{:x}\n",
        process.pid,
        thread.tid(),
        process.parent().map_or(0, |parent| parent.pid.0),
        process.thread_count(),
        thread.affinity(),
    )
}
