//! Allocations that fail on purpose, so that rule M10 can be tried from outside: each
//! allocation of a system call in turn.
//!
//! As on a Linux that is built for it (Documentation/fault-injection/fault-injection.rst),
//! `/proc/PID/fail-nth` is written a number N, and then the N-th frame that the process's
//! first thread asks for in its system calls is refused. Read, the file tells how many are
//! still to be asked for; zero says that it has happened. Frames for the kernel's heap are not
//! counted: what a call needs of that was looked at before it began (`memory::admit`).
//!
//! The file is there only if the kernel was started with the parameter `fail_nth`.

use super::state::Process;
use super::thread::Thread;
use crate::errno::Errno;
use crate::fs::generated::Window;
use crate::memory::{self, Sink};
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// Written once, before the first program starts.
static ALLOWED: AtomicBool = AtomicBool::new(false);

/// From now on there is the file.
pub fn allow_failing() {
    ALLOWED.store(true, Ordering::Relaxed);
}

pub(super) fn is_allowed() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// Polls a system call of the thread, with one of its allocations failing if that was asked
/// for. A poll stays on its CPU, and nothing else runs there meanwhile.
pub(super) fn polled<T>(thread: &Thread, poll: impl FnOnce() -> T) -> T {
    let process = thread.process();
    // Relaxed, like all here: the thread that the number is for is mostly the one that writes it.
    let number = process.fail_nth.load(Ordering::Relaxed);
    if number == 0 || thread.tid() != process.pid {
        return poll();
    }
    memory::fail_allocation_here(number);
    let result = poll();
    let left = memory::fail_allocation_here(0);
    // The call may have been one that writes another number.
    let order = Ordering::Relaxed;
    let _ = process
        .fail_nth
        .compare_exchange(number, left, order, order);
    result
}

/// The file.
pub(super) struct File(pub Arc<Process>);

impl Window for File {
    fn is_writable(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        let text = format!("{}\n", self.0.fail_nth.load(Ordering::Relaxed));
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(text.len());
        let end = start.saturating_add(max).min(text.len());
        Ok(sink.put(&text.as_bytes()[start..end]))
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let number = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        self.0.fail_nth.store(number, Ordering::Relaxed);
        Ok(())
    }
}
