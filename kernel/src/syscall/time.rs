//! Clocks and sleep.

use super::words::{read_words, write_words};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::process::{self, Continuation, Pid, Thread};
use crate::sched;
use crate::wait::interruptible;
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

const SECOND: u64 = 1_000_000_000;
/// Ticks per second in `times`, as AT_CLKTCK says.
const TICKS: u64 = 100;

/// A `struct timespec` in nanoseconds.
pub(super) async fn read_timespec(thread: &Thread, address: usize) -> Result<u64, Errno> {
    let [seconds, nanoseconds] = read_words(thread, address).await?;
    if seconds > i64::MAX as u64 || nanoseconds >= SECOND {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
}

/// The time on a clock, in nanoseconds.
fn read_clock(thread: &Thread, clock: usize) -> Result<u64, Errno> {
    match clock as u32 {
        linux::CLOCK_REALTIME | linux::CLOCK_REALTIME_COARSE => {
            Ok(arch::clock() + arch::wall_clock_offset())
        }
        linux::CLOCK_MONOTONIC
        | linux::CLOCK_MONOTONIC_RAW
        | linux::CLOCK_MONOTONIC_COARSE
        | linux::CLOCK_BOOTTIME => Ok(arch::clock()),
        // Clocks of others: the number of a process or a thread, and which one (clock_getcpuclockid(3)).
        _ if (clock as i32) < 0 => cpu_clock(thread, clock as i32),
        linux::CLOCK_PROCESS_CPUTIME_ID => Ok(thread.process().cpu_time()),
        linux::CLOCK_THREAD_CPUTIME_ID => Ok(thread.tcb().usage().time()),
        _ => Err(Errno::EINVAL),
    }
}

/// The CPU time that a clock of another process or thread counts.
fn cpu_clock(thread: &Thread, clock: i32) -> Result<u64, Errno> {
    const OF_THREAD: i32 = 4;
    /// Which of the three clocks: the time in user mode with that in the kernel, or the first alone.
    const WHICH: i32 = 3;
    let pid = Pid(!(clock >> 3) as u32);
    let (process, other) = match pid {
        Pid(0) => (thread.process().clone(), Some(thread.tcb().clone())),
        pid => process::find_thread(pid).ok_or(Errno::EINVAL)?,
    };
    let usage = match clock & OF_THREAD != 0 {
        true => other
            .filter(|other| Arc::ptr_eq(other.process(), thread.process()))
            .ok_or(Errno::EINVAL)?
            .usage(),
        false => process.usage(),
    };
    match clock & WHICH {
        0 | 2 => Ok(usage.time()),
        1 => Ok(usage.user),
        _ => Err(Errno::EINVAL),
    }
}

/// clock_gettime(2).
pub async fn clock_gettime(thread: &Thread, clock: usize, address: usize) -> SysResult {
    let now = read_clock(thread, clock)?;
    write_words(thread, address, [now / SECOND, now % SECOND]).await
}

/// clock_getres(2): a nanosecond.
pub async fn clock_getres(thread: &Thread, clock: usize, address: usize) -> SysResult {
    read_clock(thread, clock)?;
    if address == 0 {
        Ok(0)
    } else {
        write_words(thread, address, [0, 1]).await
    }
}

/// gettimeofday(2). The obsolete time zone is none.
pub async fn gettimeofday(thread: &Thread, address: usize, zone: usize) -> SysResult {
    let now = arch::clock() + arch::wall_clock_offset();
    if address != 0 {
        write_words(thread, address, [now / SECOND, now % SECOND / 1000]).await?;
    }
    if zone != 0 {
        write_words(thread, zone, [0]).await?;
    }
    Ok(0)
}

/// time(2).
pub async fn time(thread: &Thread, address: usize) -> SysResult {
    let seconds = (arch::clock() + arch::wall_clock_offset()) / SECOND;
    if address != 0 {
        write_words(thread, address, [seconds]).await?;
    }
    Ok(seconds as usize)
}

/// times(2).
pub async fn times(thread: &Thread, address: usize) -> SysResult {
    let ticks = |nanoseconds: u64| nanoseconds / (SECOND / TICKS);
    let process = thread.process();
    if address != 0 {
        let (own, children) = (process.usage(), process.children_usage());
        let times = [own.user, own.system, children.user, children.system];
        write_words(thread, address, times.map(ticks)).await?;
    }
    Ok(ticks(arch::clock()) as usize)
}

/// nanosleep(2).
pub async fn nanosleep(thread: &Thread, request: usize, remainder: usize) -> SysResult {
    let duration = read_timespec(thread, request).await?;
    sleep(thread, arch::clock().saturating_add(duration), remainder).await
}

/// clock_nanosleep(2).
pub async fn clock_nanosleep(
    thread: &Thread,
    clock: usize,
    flags: usize,
    request: usize,
    remainder: usize,
) -> SysResult {
    if clock as u32 == linux::CLOCK_THREAD_CPUTIME_ID {
        return Err(Errno::EINVAL);
    }
    let now = read_clock(thread, clock)?;
    let time = read_timespec(thread, request).await?;
    match flags as u32 {
        0 => sleep(thread, arch::clock().saturating_add(time), remainder).await,
        linux::TIMER_ABSTIME => {
            let duration = time.saturating_sub(now);
            let over = sched::executor().sleep_until(arch::clock().saturating_add(duration));
            let result = interruptible(thread, over).await;
            result.map(|()| 0).map_err(|_| Errno::ERESTARTNOHAND)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Sleeps until a point in time. If it is interrupted, what is left is written to `remainder`,
/// unless that is 0.
pub(super) async fn sleep(thread: &Thread, deadline: u64, remainder: usize) -> SysResult {
    let over = sched::executor().sleep_until(deadline);
    if interruptible(thread, over).await.is_ok() {
        return Ok(0);
    }
    if remainder != 0 {
        let left = deadline.saturating_sub(arch::clock());
        write_words(thread, remainder, [left / SECOND, left % SECOND]).await?;
    }
    Err(thread.interrupted_in(Continuation::Sleep {
        deadline,
        remainder,
    }))
}
