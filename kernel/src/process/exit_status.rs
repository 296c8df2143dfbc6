//! How threads and processes end.

use super::signal::number::Signal;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// By `exit`, with the low byte of its argument.
    Code(u8),
    /// By a signal.
    Signal(Signal),
}

impl ExitStatus {
    /// The status as `wait4` reports it (wait(2)).
    pub fn to_wait_status(self) -> u32 {
        match self {
            ExitStatus::Code(code) => u32::from(code) << 8,
            ExitStatus::Signal(signal) => signal.number(),
        }
    }

    /// The status as a shell reports it.
    pub fn to_shell_status(self) -> u8 {
        match self {
            ExitStatus::Code(code) => code,
            ExitStatus::Signal(signal) => 128 + signal.number() as u8,
        }
    }
}

/// How a thread ended, and what that means for the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Alone: they go on (exit(2)).
    Thread(ExitStatus),
    /// With all others (exit_group(2), a signal).
    Process(ExitStatus),
    /// Because its exit was pending.
    ExitPending,
}
