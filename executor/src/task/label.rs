//! Names: of a task, and of what a task waits for.

use core::fmt;

/// A task's number. No other task of the same executor has it, or had it.
///
/// In an executor without task statistics (feature `lean`) it is the address of the task: no
/// other task has it at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The name of what a task may wait for, as snapshots show it.
///
/// ```
/// use executor::{Label, sync::WaitQueue};
/// static PIPE: Label = Label("pipe");
/// static READERS: WaitQueue = WaitQueue::labelled(&PIPE);
/// ```
///
/// A task that waits for several things at once shows the label that was polled last. A label
/// with an empty name is not shown: it is for a wait that only accompanies another one, such as
/// the wait for a signal during a read.
#[derive(Debug, PartialEq, Eq)]
pub struct Label(pub &'static str);
