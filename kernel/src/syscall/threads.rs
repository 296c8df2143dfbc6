//! Threads by the numbers that system calls name them with.

use crate::errno::Errno;
use crate::process::{self, Pid, Tcb, Thread};
use alloc::sync::Arc;

/// The thread with this number; 0 is the caller.
pub(super) fn named(thread: &Thread, tid: usize) -> Result<Arc<Tcb>, Errno> {
    match tid as u32 {
        0 => Ok(thread.tcb().clone()),
        tid => {
            let (_, found) = process::find_thread(Pid(tid)).ok_or(Errno::ESRCH)?;
            found.ok_or(Errno::ESRCH)
        }
    }
}
