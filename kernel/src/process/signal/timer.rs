//! The state of the interval timer of a process; `alarm` sets it.

use crate::arch;
use executor::AbortHandle;

/// The timer of a process. Times are of `arch::clock`.
#[derive(Default)]
pub(super) struct Timer {
    /// When it goes off next, and the task that waits for that.
    pub(super) next: Option<(u64, AbortHandle)>,
    /// Nanoseconds to the one after that; 0: there is none.
    pub(super) interval: u64,
}

/// The state of a timer, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimerState {
    /// The time left until it goes off; 0: it does not.
    pub left: u64,
    /// The time between that and the next.
    pub interval: u64,
}

impl Timer {
    pub(super) fn state(&self) -> TimerState {
        let left = self.next.as_ref();
        TimerState {
            // One that is due has something left until it has gone off.
            left: left.map_or(0, |(at, _)| at.saturating_sub(arch::clock()).max(1)),
            interval: self.interval,
        }
    }
}
