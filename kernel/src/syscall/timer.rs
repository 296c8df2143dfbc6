//! The interval timers of a process.

use super::words::{read_words, write_words};
use crate::errno::{Errno, SysResult};
use crate::process::{IntervalTimer, Thread, TimerState};
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

/// Which timer of setitimer(2).
#[derive(Clone, Copy)]
enum Which {
    Real,
    Cpu(IntervalTimer),
}

impl Which {
    fn new(number: usize) -> Result<Which, Errno> {
        match number as u32 {
            linux::ITIMER_REAL => Ok(Which::Real),
            linux::ITIMER_VIRTUAL => Ok(Which::Cpu(IntervalTimer::Virtual)),
            linux::ITIMER_PROF => Ok(Which::Cpu(IntervalTimer::Profiling)),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// getitimer(2).
pub async fn getitimer(thread: &Thread, which: usize, address: usize) -> SysResult {
    let process = thread.process();
    let state = match Which::new(which)? {
        Which::Real => process.timer(),
        Which::Cpu(which) => process.interval_timer(which),
    };
    write(thread, address, state).await
}

/// setitimer(2).
pub async fn setitimer(thread: &Thread, which: usize, new: usize, old: usize) -> SysResult {
    let which = Which::new(which)?;
    let mut state = TimerState::default();
    if new != 0 {
        // struct itimerval: the interval and the time left, each in seconds and microseconds.
        let [seconds, micros, left_seconds, left_micros] = read_words(thread, new).await?;
        state.interval = duration(seconds, micros)?;
        state.left = duration(left_seconds, left_micros)?;
    }
    let process = thread.process();
    let before = match which {
        Which::Real => process.set_timer(state).map_err(|_| Errno::ENOMEM)?,
        Which::Cpu(which) => process.set_interval_timer(which, state),
    };
    match old {
        0 => Ok(0),
        address => write(thread, address, before).await,
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
