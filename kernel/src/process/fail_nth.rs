//! Allocations that fail on purpose, so that rule M10 can be tried from outside: each
//! allocation of a system call, or of a fault, in turn.
//!
//! As on a Linux that is built for it (Documentation/fault-injection/fault-injection.rst),
//! `/proc/PID/fail-nth` is written a number N, and then the N-th frame that the process's
//! first thread asks for in its system calls is refused. Here all others are too until the end of that
//! call: else the kernel, which gives back what it can and tries once more, would mostly have its way.
//! Read, the file tells how many are still to be asked for; zero says that it has happened. Frames
//! for the kernel's heap are not counted. What a call needs of that it looks at before it begins
//! (`memory::admit`), and that look counts as one.
//!
//! `/proc/PID/fail-fault` is the same for the page faults of the program itself, which are not
//! counted otherwise.
//!
//! The files are there only if the kernel was started with the parameter `fail_nth`.

use super::fail_counts::Cause;
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

/// From now on there are the files.
pub fn allow_failing() {
    ALLOWED.store(true, Ordering::Relaxed);
}

pub(super) fn is_allowed() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// Whether some fault of the thread's process is to fail.
#[inline]
pub(super) fn awaits_fault(thread: &Thread) -> bool {
    // Mostly there is no file that could say so.
    is_allowed() && thread.process().fail_nth.faults.load(Ordering::Relaxed) != 0
}

/// Polls a system call or a fault of the thread, with one of its allocations failing if that was
/// asked for, and all after it. A poll stays on its CPU, and nothing else runs there meanwhile.
pub(super) fn polled<T>(thread: &Thread, cause: Cause, poll: impl FnOnce() -> T) -> T {
    let process = thread.process();
    let left_of = process.fail_nth.of(cause);
    let number = left_of.load(Ordering::Relaxed);
    if number == 0 || thread.tid() != process.pid {
        return poll();
    }
    memory::fail_allocation_here(number);
    let result = poll();
    let left = memory::fail_allocation_here(0);
    // The call may have been one that writes another number.
    let order = Ordering::Relaxed;
    let _ = left_of.compare_exchange(number, left, order, order);
    result
}

/// The system call or the fault is over, tried again or not: what has failed fails no more. Returns
/// whether it was made to fail.
pub(super) fn ended(thread: &Thread, cause: Cause) -> bool {
    let left_of = thread.process().fail_nth.of(cause);
    let has_failed = left_of.load(Ordering::Relaxed) == memory::ALL_FAIL;
    if has_failed {
        left_of.store(0, Ordering::Relaxed);
    }
    has_failed
}

/// One of the files.
pub(super) struct File(pub Arc<Process>, pub Cause);

impl Window for File {
    fn is_writable(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        let left = self.0.fail_nth.of(self.1).load(Ordering::Relaxed);
        let text = format!("{left}\n");
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(text.len());
        let end = start.saturating_add(max).min(text.len());
        Ok(sink.put(&text.as_bytes()[start..end]))
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let number: u32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        let left = self.0.fail_nth.of(self.1);
        left.store(number as usize, Ordering::Relaxed);
        Ok(())
    }
}
