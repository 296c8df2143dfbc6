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
    let of_cpu_time = (clock as i32) < 0 || clock as u32 == linux::CLOCK_PROCESS_CPUTIME_ID;
    if of_cpu_time && flags as u32 & !linux::TIMER_ABSTIME == 0 {
        let is_absolute = flags as u32 == linux::TIMER_ABSTIME;
        let deadline = if is_absolute {
            time
        } else {
            now.saturating_add(time)
        };
        let remainder = if is_absolute { 0 } else { remainder };
        return sleep_on_cpu_time(thread, clock, deadline, remainder).await;
    }
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

/// Sleeps until a clock of CPU time shows `deadline`. It goes on by no more than real time on each
/// CPU, so the sleep looks again when it can be there at the earliest.
async fn sleep_on_cpu_time(
    thread: &Thread,
    clock: usize,
    deadline: u64,
    remainder: usize,
) -> SysResult {
    /// The shortest time between two looks, in nanoseconds.
    const SHORTEST: u64 = 1_000_000;
    loop {
        // A process that has ended goes on no more.
        let now = read_clock(thread, clock)?;
        if now >= deadline {
            return Ok(0);
        }
        let earliest = (deadline - now) / arch::cpu_count() as u64;
        let over = sched::executor().sleep(earliest.max(SHORTEST));
        if interruptible(thread, over).await.is_err() {
            if remainder != 0 {
                let left = deadline.saturating_sub(read_clock(thread, clock)?);
                write_words(thread, remainder, [left / SECOND, left % SECOND]).await?;
            }
            return Err(Errno::ERESTARTNOHAND);
        }
    }
}

/// clock_settime(2): the clock of the machine stays as it is.
pub async fn clock_settime(thread: &Thread, clock: usize, address: usize) -> SysResult {
    let is_cpu_clock = matches!(
        clock as u32,
        linux::CLOCK_PROCESS_CPUTIME_ID | linux::CLOCK_THREAD_CPUTIME_ID
    );
    if clock as u32 != linux::CLOCK_REALTIME && !is_cpu_clock && (clock as i32) >= 0 {
        return Err(Errno::EINVAL);
    }
    read_clock(thread, clock)?;
    read_timespec(thread, address).await?;
    Err(Errno::EPERM)
}

/// settimeofday(2), as [`clock_settime`].
pub async fn settimeofday(thread: &Thread, time: usize, zone: usize) -> SysResult {
    if time != 0 {
        let [_, micros] = read_words(thread, time).await?;
        if micros > SECOND / 1000 {
            return Err(Errno::EINVAL);
        }
    }
    if zone != 0 {
        let [_] = read_words(thread, zone).await?;
    }
    Err(Errno::EPERM)
}

/// adjtimex(2) and clock_adjtime(2), for reading: nothing disciplines the clock.
pub async fn adjtimex(thread: &Thread, clock: usize, address: usize) -> SysResult {
    /// Words of a `struct timex`, and some of them (include/uapi/linux/timex.h).
    const WORDS: usize = 26;
    const ESTIMATES: [usize; 2] = [3, 4];
    const STATUS: usize = 5;
    const CONSTANT: usize = 6;
    const PRECISION: usize = 7;
    const TOLERANCE: usize = 8;
    const TIME: usize = 9;
    const TICK: usize = 11;
    /// What Linux has while no daemon has told it better.
    const WORST: u64 = 16_000_000;
    const UNSYNCHRONIZED: u64 = 0x40;
    const ERROR: usize = 5;
    match clock as u32 {
        linux::CLOCK_REALTIME => {}
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    }
    let mut words: [u64; WORDS] = read_words(thread, address).await?;
    if words[0] as u32 != 0 {
        return Err(Errno::EPERM);
    }
    let now = arch::clock() + arch::wall_clock_offset();
    words[1..].fill(0);
    for at in ESTIMATES {
        words[at] = WORST;
    }
    words[STATUS] = UNSYNCHRONIZED;
    words[CONSTANT] = 2;
    words[PRECISION] = 1;
    words[TOLERANCE] = 32_768_000;
    words[TIME] = now / SECOND;
    words[TIME + 1] = now % SECOND / 1000;
    words[TICK] = 10_000;
    write_words(thread, address, words).await?;
    Ok(ERROR)
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
