//! Waiting for a word of memory to change (man 2 futex).
//!
//! The futexes are shared ones: the same calls serve threads, and processes that have the word in
//! shared memory.

use core::ptr;
use core::sync::atomic::AtomicU32;

use linux_raw_sys::general::{__NR_futex, __kernel_timespec as Timespec, FUTEX_WAIT, FUTEX_WAKE};

use super::Result;
use super::raw::syscall;

/// Sleeps while the word has that value, until it is woken: `EAGAIN` when it has another one,
/// `EINTR` when a signal came. May return for no reason: the caller looks again.
pub fn wait(word: &AtomicU32, value: u32) -> Result<()> {
    let forever: *const Timespec = ptr::null();
    syscall!(__NR_futex, word.as_ptr(), FUTEX_WAIT, value, forever).map(drop)
}

/// As [`wait`], for that many nanoseconds at the most: then `ETIMEDOUT`.
pub fn wait_for(word: &AtomicU32, value: u32, nanoseconds: u64) -> Result<()> {
    let time = Timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as i64,
    };
    let time = &raw const time;
    syscall!(__NR_futex, word.as_ptr(), FUTEX_WAIT, value, time).map(drop)
}

/// Wakes up to `count` of those that wait for the word; says how many there were.
pub fn wake(word: &AtomicU32, count: u32) -> Result<usize> {
    syscall!(__NR_futex, word.as_ptr(), FUTEX_WAKE, count)
}

/// Wakes all of them.
pub fn wake_all(word: &AtomicU32) -> Result<usize> {
    wake(word, i32::MAX as u32)
}
