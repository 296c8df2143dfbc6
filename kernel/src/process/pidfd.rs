//! Descriptors of processes (pidfd_open(2)): a name for one process that no other gets later.

use super::ids;
use super::state::Process;
use super::thread::Thread;
use crate::errno::Errno;
use crate::fs::file::OpenFile;
use crate::fs::process_handle::ProcessHandle;
use crate::fs::table::{Fd, OnExec};
use crate::memory::fallible;
use alloc::sync::Arc;
use core::any::Any;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Once;

/// What the file of a pidfd holds. `clone` makes the file before the process, so that nothing can go
/// wrong after it.
pub struct PidFd {
    process: Once<Arc<Process>>,
    /// For those that look before there is a process.
    nothing: WaitQueue,
}

impl PidFd {
    /// One without a process yet.
    pub(super) fn empty() -> Result<Arc<PidFd>, Errno> {
        Ok(fallible::arc(PidFd {
            process: Once::new(),
            nothing: WaitQueue::labelled(&Label("pidfd")),
        })?)
    }

    /// Says whose it is.
    pub(super) fn set(&self, process: &Arc<Process>) {
        self.process.call_once(|| process.clone());
        self.nothing.wake_all();
    }

    /// A file for a process, with these status flags.
    pub fn open(process: &Arc<Process>, flags: u32) -> Result<Arc<OpenFile>, Errno> {
        let handle = PidFd::empty()?;
        handle.set(process);
        OpenFile::of_process(handle, flags)
    }

    /// The process of a file. One that has been waited for counts as gone.
    ///
    /// # Errors
    /// `EBADF` for another file, `ESRCH` when it is gone.
    pub fn process_of(file: &OpenFile) -> Result<Arc<Process>, Errno> {
        let handle = file.process().ok_or(Errno::EBADF)?.clone();
        let handle = (handle as Arc<dyn Any + Send + Sync>).downcast::<PidFd>();
        let handle = handle.map_err(|_| Errno::EBADF)?;
        let process = handle.process.get().ok_or(Errno::ESRCH)?;
        let known = ids::find(process.pid).ok_or(Errno::ESRCH)?;
        match Arc::ptr_eq(&known, process) {
            true => Ok(known),
            false => Err(Errno::ESRCH),
        }
    }
}

/// A descriptor for a process that is not there yet (clone(2), `CLONE_PIDFD`). If it does not come, the
/// descriptor goes again.
pub(super) struct PidFdFor<'a> {
    maker: &'a Thread,
    fd: Fd,
    handle: Arc<PidFd>,
    kept: bool,
}

impl<'a> PidFdFor<'a> {
    /// Makes the descriptor and writes its number to `address`.
    pub(super) async fn new(maker: &'a Thread, address: usize) -> Result<PidFdFor<'a>, Errno> {
        let handle = PidFd::empty()?;
        let file = OpenFile::of_process(handle.clone(), 0)?;
        let fd = maker.process().files().add(file, OnExec::Close)?;
        let made = PidFdFor {
            maker,
            fd,
            handle,
            kept: false,
        };
        let number = fd.0.to_le_bytes();
        maker.space().write_bytes(address, &number).await?;
        Ok(made)
    }

    /// The process is there.
    pub(super) fn keep(mut self, process: &Arc<Process>) {
        self.handle.set(process);
        self.kept = true;
    }
}

impl Drop for PidFdFor<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // Another thread may have closed it.
            drop(self.maker.process().files().remove(self.fd));
        }
    }
}

impl ProcessHandle for PidFd {
    fn has_ended(&self) -> bool {
        let process = self.process.get();
        process.is_some_and(|process| process.exit_status().is_some())
    }

    fn ended(&self) -> &WaitQueue {
        match self.process.get() {
            Some(process) => &process.family.ended,
            None => &self.nothing,
        }
    }
}
