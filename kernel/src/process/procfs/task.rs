//! `/proc/PID/task`: the threads of a process, as far as they differ from each other.

use super::{File, number_text, state_of};
use crate::errno::Errno;
use crate::fs::generated::{Generate, Listing, fixed_entry};
use crate::fs::metadata::FileType;
use crate::fs::node::NodeKind;
use crate::process::ids::{self, Pid};
use crate::process::state::Process;
use crate::process::thread::Tcb;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

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
        Ok(thread.map(|thread| NodeKind::Computed(Arc::new(Directory(thread)))))
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

type Describe = fn(&Tcb) -> String;

/// A file whose text is made of a thread.
struct About(Arc<Tcb>, Describe);

impl Generate for About {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        Ok((self.1)(&self.0).into_bytes())
    }
}

const FILES: [File<Describe>; 3] = [(b"comm", comm), (b"stat", stat), (b"status", status)];

impl Listing for Directory {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        let file = FILES.iter().find(|(file, _)| *file == name);
        Ok(file.map(|&(_, text)| NodeKind::Generated(Arc::new(About(self.0.clone(), text)))))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = FILES.iter().map(|(name, _)| (*name, FileType::Regular));
        fixed_entry(names, position, show)
    }
}

fn name(thread: &Tcb) -> String {
    String::from_utf8_lossy(&thread.name()).into_owned()
}

fn comm(thread: &Tcb) -> String {
    name(thread) + "\n"
}

/// The fields that are the thread's own and those that name its process; the others are 0.
fn stat(thread: &Tcb) -> String {
    let process = thread.process();
    let (letter, _) = state_of(process, thread.is_running());
    format!(
        "{} ({}) {letter} {} {} {} 0 -1 0 0 0 0 0 {} {}\n",
        thread.tid(),
        name(thread),
        process.parent().map_or(0, |parent| parent.pid.0),
        process.group.load(core::sync::atomic::Ordering::Relaxed),
        process.session.load(core::sync::atomic::Ordering::Relaxed),
        thread.cpu_time() / 10_000_000,
        ["0"; 38].join(" "),
    )
}

fn status(thread: &Tcb) -> String {
    let process = thread.process();
    let (letter, word) = state_of(process, thread.is_running());
    format!(
        "Name:\t{}\nState:\t{letter} ({word})\nTgid:\t{}\nPid:\t{}\nPPid:\t{}\nThreads:\t{}\nCpus_allowed:\t{:x}\n",
        name(thread),
        process.pid,
        thread.tid(),
        process.parent().map_or(0, |parent| parent.pid.0),
        process.thread_count(),
        thread.affinity(),
    )
}
