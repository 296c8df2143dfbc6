//! Locks and barriers for threads, and for processes that have them in shared memory.
//!
//! Each is a few words that start as zeroes, so fresh shared memory holds them ready for use. A
//! wait spins for a moment, since on a machine with several CPUs the other is mostly about to
//! come, and then sleeps by a futex. While no thread has to wait, no system call is made.

mod barrier;
mod mutex;

pub use barrier::Barrier;
pub use mutex::{Guard, Mutex};

use core::hint;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sys::{Errno, futex, process};

/// How often a waiter looks before it sleeps.
const SPINS: u32 = 200;

/// Waits until the word has not that value any more. A thread that changes it wakes its waiters.
pub fn wait_while(word: &AtomicU32, value: u32) {
    for _ in 0..SPINS {
        // Acquire: pairs with the Release store of the thread that changed it; so below.
        if word.load(Ordering::Acquire) != value {
            return;
        }
        hint::spin_loop();
    }
    while word.load(Ordering::Acquire) == value {
        if futex::wait(word, value) == Err(Errno::ENOSYS) {
            process::sched_yield();
        }
    }
}

/// Wakes all waiters of the word. Without futexes they look again by themselves.
pub fn wake_all(word: &AtomicU32) {
    let _ = futex::wake_all(word);
}

/// Waits actively until `done`: for what comes at once, if the others run. They are let run now
/// and then.
pub fn spin_until(mut done: impl FnMut() -> bool) {
    let mut looks = 0u32;
    while !done() {
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(SPINS) {
            process::sched_yield();
        }
        hint::spin_loop();
    }
}
