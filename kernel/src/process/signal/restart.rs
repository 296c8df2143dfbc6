//! The rest of an interrupted wait, which the thread goes on with if no handler was called: a stop,
//! for instance, does not make a sleep longer (restart_syscall(2)).

use crate::process::futex::key::FutexAddress;

/// The rest of a system call. Times are of `arch::clock`.
#[derive(Clone, Copy, Debug)]
pub enum Continuation {
    /// nanosleep(2): until then; the time that is left is written there if it is interrupted.
    Sleep {
        /// The end.
        deadline: u64,
        /// An address, or 0.
        remainder: usize,
    },
    /// poll(2).
    Poll {
        /// The array.
        address: usize,
        /// Its length.
        count: usize,
        /// The end, if any.
        deadline: Option<u64>,
    },
    /// futex(2), waiting.
    Futex {
        /// The word.
        place: FutexAddress,
        /// Its value.
        expected: u32,
        /// Which wake-ups count.
        bits: u32,
        /// The end.
        deadline: u64,
    },
}
