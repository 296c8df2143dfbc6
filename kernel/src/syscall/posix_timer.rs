//! POSIX timers: timer_create(2) and its kin.

use super::time::read_timespec;
use super::words::{read_words, write_words};
use crate::errno::{Errno, SysResult};
use crate::process::{
    NoTimer, Notify, Pid, Signal, Start, Thread, TimerClock, TimerState, find_thread,
};
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

const SECOND: u64 = 1_000_000_000;

impl From<NoTimer> for Errno {
    fn from(error: NoTimer) -> Errno {
        match error {
            NoTimer::NoRoom => Errno::EAGAIN,
            NoTimer::NoSuch => Errno::EINVAL,
        }
    }
}

/// The clock of a timer. Clocks of CPU time are those of the caller's own process.
fn clock(thread: &Thread, number: usize) -> Result<TimerClock, Errno> {
    let own = || TimerClock::Thread(Arc::downgrade(thread.tcb()));
    match number as u32 {
        linux::CLOCK_REALTIME => Ok(TimerClock::Real),
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => Ok(TimerClock::Monotonic),
        linux::CLOCK_PROCESS_CPUTIME_ID => Ok(TimerClock::Process { user: false }),
        linux::CLOCK_THREAD_CPUTIME_ID => Ok(own()),
        linux::CLOCK_MONOTONIC_RAW
        | linux::CLOCK_REALTIME_COARSE
        | linux::CLOCK_MONOTONIC_COARSE
        | linux::CLOCK_REALTIME_ALARM
        | linux::CLOCK_BOOTTIME_ALARM => Err(Errno::EOPNOTSUPP),
        number if (number as i32) < 0 => of_number(thread, number as i32),
        _ => Err(Errno::EINVAL),
    }
}

/// A clock that is made of the number of a process or a thread (clock_getcpuclockid(3)).
fn of_number(thread: &Thread, clock: i32) -> Result<TimerClock, Errno> {
    const OF_THREAD: i32 = 4;
    const WHICH: i32 = 3;
    let user = match clock & WHICH {
        0 | 2 => false,
        1 => true,
        _ => return Err(Errno::EINVAL),
    };
    let (process, other) = match Pid(!(clock >> 3) as u32) {
        Pid(0) => (thread.process().clone(), Some(thread.tcb().clone())),
        pid => find_thread(pid).ok_or(Errno::EINVAL)?,
    };
    if !Arc::ptr_eq(&process, thread.process()) {
        return Err(Errno::EINVAL);
    }
    match (clock & OF_THREAD != 0, user) {
        (false, user) => Ok(TimerClock::Process { user }),
        (true, false) => {
            let other = other.ok_or(Errno::EINVAL)?;
            Ok(TimerClock::Thread(Arc::downgrade(&other)))
        }
        (true, true) => Err(Errno::EINVAL),
    }
}

/// Reads a `struct sigevent`.
async fn read_notify(thread: &Thread, address: usize) -> Result<Notify, Errno> {
    let [value, numbers, tid]: [u64; 3] = read_words(thread, address).await?;
    let (signal, how) = (numbers as u32, (numbers >> 32) as u32);
    let signal = || {
        let signal = Signal::new(signal as usize);
        signal.ok_or(Errno::EINVAL)
    };
    match how {
        linux::SIGEV_NONE => Ok(Notify::Nothing),
        // The library's own threads do what is asked for.
        linux::SIGEV_SIGNAL | linux::SIGEV_THREAD => Ok(Notify::Process(signal()?, value)),
        linux::SIGEV_THREAD_ID => {
            let (process, other) = find_thread(Pid(tid as u32)).ok_or(Errno::EINVAL)?;
            let other = other.filter(|_| Arc::ptr_eq(&process, thread.process()));
            let other = other.ok_or(Errno::EINVAL)?;
            Ok(Notify::Thread(signal()?, value, Arc::downgrade(&other)))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// timer_create(2).
pub async fn timer_create(
    thread: &Thread,
    clock_number: usize,
    event: usize,
    address: usize,
) -> SysResult {
    let notify = match event {
        0 => None,
        event => Some(read_notify(thread, event).await?),
    };
    let clock = clock(thread, clock_number)?;
    let process = thread.process();
    let id = process.create_timer(clock, notify)?;
    let bytes = id.to_ne_bytes();
    if let Err(error) = thread.space().write_bytes(address, &bytes).await {
        let _ = process.delete_timer(id);
        return Err(error.into());
    }
    Ok(0)
}

fn words(state: TimerState) -> [u64; 4] {
    let [a, b] = [state.interval, state.left].map(|time| [time / SECOND, time % SECOND]);
    [a[0], a[1], b[0], b[1]]
}

/// timer_settime(2).
pub async fn timer_settime(
    thread: &Thread,
    id: usize,
    flags: usize,
    new: usize,
    old: usize,
) -> SysResult {
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let interval = read_timespec(thread, new).await?;
    let first = read_timespec(thread, new.wrapping_add(16)).await?;
    let start = match (first, flags as u32 & linux::TIMER_ABSTIME) {
        (0, _) => Start::Never,
        (first, 0) => Start::After(first),
        (first, _) => Start::At(first),
    };
    let before = thread
        .process()
        .set_posix_timer(id as i32, start, interval)?;
    match old {
        0 => Ok(0),
        address => write_words(thread, address, words(before)).await,
    }
}

/// timer_gettime(2).
pub async fn timer_gettime(thread: &Thread, id: usize, address: usize) -> SysResult {
    let state = thread.process().posix_timer(id as i32)?;
    write_words(thread, address, words(state)).await
}

/// timer_getoverrun(2).
pub fn timer_getoverrun(thread: &Thread, id: usize) -> SysResult {
    Ok(thread.process().timer_overrun(id as i32)? as usize)
}

/// timer_delete(2).
pub fn timer_delete(thread: &Thread, id: usize) -> SysResult {
    thread.process().delete_timer(id as i32)?;
    Ok(0)
}
