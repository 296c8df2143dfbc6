//! The interval timers of a process.

use super::not_yet;
use super::words::{read_words, write_words};
use crate::errno::{Errno, SysResult};
use crate::process::{Thread, TimerState};
use core::sync::atomic::AtomicU64;
use linux_raw_sys::general as linux;

const SECOND: u64 = 1_000_000_000;
const MICROSECOND: u64 = 1000;

/// alarm(2).
pub fn alarm(thread: &Thread, seconds: usize) -> SysResult {
    let new = TimerState {
        left: (seconds as u32 as u64).saturating_mul(SECOND),
        interval: 0,
    };
    let old = thread.process().set_timer(new).map_err(|_| Errno::ENOMEM)?;
    // Rounded, but what is not over is not 0.
    let seconds = (old.left + SECOND / 2) / SECOND;
    Ok(seconds.max(u64::from(old.left != 0)) as usize)
}

/// getitimer(2).
pub async fn getitimer(thread: &Thread, which: usize, address: usize) -> SysResult {
    check(which)?;
    write(thread, address, thread.process().timer()).await
}

/// setitimer(2).
pub async fn setitimer(thread: &Thread, which: usize, new: usize, old: usize) -> SysResult {
    check(which)?;
    let mut state = TimerState::default();
    if new != 0 {
        // struct itimerval: the interval and the time left, each in seconds and microseconds.
        let [seconds, micros, left_seconds, left_micros] = read_words(thread, new).await?;
        state.interval = duration(seconds, micros)?;
        state.left = duration(left_seconds, left_micros)?;
    }
    let before = thread.process().set_timer(state);
    let before = before.map_err(|_| Errno::ENOMEM)?;
    match old {
        0 => Ok(0),
        address => write(thread, address, before).await,
    }
}

/// Those that count CPU time are not there.
fn check(which: usize) -> Result<(), Errno> {
    static ONCE: AtomicU64 = AtomicU64::new(0);
    match which as u32 {
        linux::ITIMER_REAL => Ok(()),
        linux::ITIMER_VIRTUAL | linux::ITIMER_PROF => Err(not_yet(&ONCE, "timers of CPU time")),
        _ => Err(Errno::EINVAL),
    }
}

fn duration(seconds: u64, micros: u64) -> Result<u64, Errno> {
    match (i64::try_from(seconds), micros) {
        (Ok(_), 0..1_000_000) => Ok(seconds
            .saturating_mul(SECOND)
            .saturating_add(micros * MICROSECOND)),
        _ => Err(Errno::EINVAL),
    }
}

async fn write(thread: &Thread, address: usize, state: TimerState) -> SysResult {
    let pair = |time: u64| [time / SECOND, (time % SECOND).div_ceil(MICROSECOND)];
    let [a, b] = pair(state.interval);
    let [c, d] = pair(state.left);
    write_words(thread, address, [a, b, c, d]).await
}
