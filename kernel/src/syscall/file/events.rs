//! eventfd2(2), timerfd_create(2) and their kin.

use super::arguments::{check_flags, file, flags};
use super::plain::{bytes, bytes_mut, zeroed};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::fs::eventfd::EventCounter;
use crate::fs::file::OpenFile;
use crate::fs::special::Special;
use crate::fs::table::OnExec;
use crate::fs::timerfd::{Setting, Timer};
use crate::memory::fallible;
use crate::process::Thread;
use alloc::sync::Arc;
use linux_raw_sys::general as abi;

const SECOND: u64 = 1_000_000_000;

/// Gives an object a descriptor, as the flags `O_NONBLOCK` and `O_CLOEXEC` say.
pub(in crate::syscall) fn open_special(
    thread: &Thread,
    special: Arc<dyn Special>,
    how: u32,
) -> SysResult {
    let file = OpenFile::special(special, abi::O_RDWR | how & abi::O_NONBLOCK)?;
    let on_exec = match how & abi::O_CLOEXEC {
        0 => OnExec::Keep,
        _ => OnExec::Close,
    };
    let fd = thread.process().files().add(file, on_exec)?;
    Ok(fd.0 as usize)
}

/// eventfd(2), eventfd2(2)
pub fn eventfd(thread: &Thread, count: usize, how: usize) -> SysResult {
    let how = flags(how);
    check_flags(
        how,
        abi::EFD_SEMAPHORE | abi::EFD_CLOEXEC | abi::EFD_NONBLOCK,
    )?;
    let semaphore = how & abi::EFD_SEMAPHORE != 0;
    let counter = EventCounter::new(u64::from(count as u32), semaphore);
    open_special(thread, fallible::arc(counter)?, how)
}

/// timerfd_create(2)
pub fn timerfd_create(thread: &Thread, clock: usize, how: usize) -> SysResult {
    let how = flags(how);
    check_flags(how, abi::TFD_CLOEXEC | abi::TFD_NONBLOCK)?;
    let offset = match clock as u32 {
        abi::CLOCK_REALTIME | abi::CLOCK_REALTIME_ALARM => arch::wall_clock_offset(),
        abi::CLOCK_MONOTONIC | abi::CLOCK_BOOTTIME | abi::CLOCK_BOOTTIME_ALARM => 0,
        _ => return Err(Errno::EINVAL),
    };
    open_special(thread, fallible::arc(Timer::new(offset))?, how)
}

/// The timer of a descriptor.
fn timer(thread: &Thread, fd: usize) -> Result<Arc<Timer>, Errno> {
    let file = file(thread, fd)?;
    file.downcast_arc().ok_or(Errno::EINVAL)
}

/// timerfd_settime(2). The clock is not set by programs, so `TFD_TIMER_CANCEL_ON_SET` changes
/// nothing.
pub async fn timerfd_settime(
    thread: &Thread,
    fd: usize,
    how: usize,
    new: usize,
    old: usize,
) -> SysResult {
    let how = flags(how);
    let mut times: [abi::__kernel_timespec; 2] = [zeroed(), zeroed()];
    let mut at = new;
    for time in &mut times {
        thread.space().read_bytes(at, bytes_mut(time)).await?;
        at = at.checked_add(SIZE).ok_or(Errno::EFAULT)?;
    }
    check_flags(how, abi::TFD_TIMER_ABSTIME | abi::TFD_TIMER_CANCEL_ON_SET)?;
    let [interval, value] = times;
    let new = Setting {
        interval: nanoseconds(interval)?,
        value: nanoseconds(value)?,
    };
    let before = timer(thread, fd)?.set(new, how & abi::TFD_TIMER_ABSTIME != 0)?;
    match old {
        0 => Ok(0),
        address => write(thread, address, before).await,
    }
}

/// timerfd_gettime(2)
pub async fn timerfd_gettime(thread: &Thread, fd: usize, address: usize) -> SysResult {
    let setting = timer(thread, fd)?.setting();
    write(thread, address, setting).await
}

/// The bytes of a `struct timespec`.
const SIZE: usize = size_of::<abi::__kernel_timespec>();

fn nanoseconds(time: abi::__kernel_timespec) -> Result<u64, Errno> {
    match (u64::try_from(time.tv_sec), time.tv_nsec) {
        (Ok(seconds), nanoseconds @ 0..1_000_000_000) => Ok(seconds
            .saturating_mul(SECOND)
            .saturating_add(nanoseconds as u64)),
        _ => Err(Errno::EINVAL),
    }
}

async fn write(thread: &Thread, address: usize, setting: Setting) -> SysResult {
    let mut at = address;
    for time in [setting.interval, setting.value] {
        let time = abi::__kernel_timespec {
            tv_sec: (time / SECOND) as i64,
            tv_nsec: (time % SECOND) as i64,
        };
        thread.space().write_bytes(at, bytes(&time)).await?;
        at = at.checked_add(SIZE).ok_or(Errno::EFAULT)?;
    }
    Ok(0)
}
