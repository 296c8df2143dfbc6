//! The rest of an interrupted wait, which the thread goes on with if no handler was called: a stop,
//! for instance, does not make a sleep longer (restart_syscall(2)).

use crate::errno::Errno;
use crate::process::futex::FutexAddress;
use crate::process::thread::Thread;

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

impl Thread {
    /// Remembers the rest of a call. The call fails with the error that is returned.
    pub fn interrupted_in(&self, rest: Continuation) -> Errno {
        *self.signals().continuation.lock() = Some(rest);
        Errno::ERESTART_RESTARTBLOCK
    }

    /// Takes it.
    pub fn take_continuation(&self) -> Option<Continuation> {
        self.signals().continuation.lock().take()
    }
}
