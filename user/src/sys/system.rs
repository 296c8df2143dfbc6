//! The machine: time, randomness, names, limits, power.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __NR_clock_gettime, __NR_getrandom, __NR_mount, __NR_nanosleep, __NR_prlimit64, __NR_reboot,
    __NR_sched_getaffinity, __NR_sysinfo, __NR_uname, __kernel_timespec as Timespec,
    CLOCK_MONOTONIC, LINUX_REBOOT_CMD_POWER_OFF, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
};
use linux_raw_sys::system::{new_utsname, sysinfo as SystemInfo};

use super::raw::syscall;
use super::{Errno, Result};

pub use linux_raw_sys::general::{
    CLOCK_REALTIME, RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC,
    RLIMIT_STACK, rlimit64 as Limit,
};

const NANOSECONDS: u64 = 1_000_000_000;

/// The time of a clock in nanoseconds.
pub fn clock(id: u32) -> Result<u64> {
    let mut time = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    syscall!(__NR_clock_gettime, id, &raw mut time)?;
    Ok(time.tv_sec as u64 * NANOSECONDS + time.tv_nsec as u64)
}

/// Nanoseconds since some moment in the past; zero where there is no such clock.
pub fn now() -> u64 {
    clock(CLOCK_MONOTONIC).unwrap_or(0)
}

/// Sleeps that long, whatever interrupts it.
pub fn sleep(nanoseconds: u64) -> Result<()> {
    let mut time = Timespec {
        tv_sec: (nanoseconds / NANOSECONDS) as i64,
        tv_nsec: (nanoseconds % NANOSECONDS) as i64,
    };
    // The kernel writes what is left back to the same place.
    let place = &raw mut time;
    loop {
        match syscall!(__NR_nanosleep, place, place) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub fn sleep_ms(milliseconds: u64) {
    // A well-formed sleep can only be interrupted, and that is dealt with.
    let _ = sleep(milliseconds * 1_000_000);
}

/// Fills the buffer with random bytes; says how many there were.
pub fn random(buffer: &mut [u8]) -> Result<usize> {
    syscall!(__NR_getrandom, buffer.as_mut_ptr(), buffer.len(), 0)
}

/// What the kernel calls itself.
pub struct Names(new_utsname);

impl Names {
    pub fn system(&self) -> &[u8] {
        until_nul(&self.0.sysname)
    }

    pub fn release(&self) -> &[u8] {
        until_nul(&self.0.release)
    }

    pub fn version(&self) -> &[u8] {
        until_nul(&self.0.version)
    }

    pub fn machine(&self) -> &[u8] {
        until_nul(&self.0.machine)
    }
}

fn until_nul(field: &[i8]) -> &[u8] {
    let length = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    // SAFETY: the first `length` bytes of the field, as unsigned ones.
    unsafe { core::slice::from_raw_parts(field.as_ptr().cast(), length) }
}

pub fn uname() -> Result<Names> {
    let mut names = MaybeUninit::<new_utsname>::zeroed();
    syscall!(__NR_uname, names.as_mut_ptr())?;
    // SAFETY: filled in by the kernel; bytes of any value are valid.
    Ok(Names(unsafe { names.assume_init() }))
}

/// Whether this is cowfork, and not the kernel whose interface it speaks.
pub fn on_cowfork() -> bool {
    const MARK: &[u8] = b"cowfork";
    uname().is_ok_and(|names| names.version().windows(MARK.len()).any(|part| part == MARK))
}

/// A resource limit of this process.
pub fn limit(resource: u32) -> Result<Limit> {
    let mut limit = Limit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    syscall!(__NR_prlimit64, 0, resource, 0, &raw mut limit)?;
    Ok(limit)
}

pub fn set_limit(resource: u32, limit: Limit) -> Result<()> {
    syscall!(__NR_prlimit64, 0, resource, &raw const limit, 0).map(drop)
}

/// How many CPUs this process may run on.
pub fn cpus() -> Result<usize> {
    let mut set = [0u64; 16];
    let bytes = syscall!(
        __NR_sched_getaffinity,
        0,
        size_of_val(&set),
        set.as_mut_ptr()
    )?;
    Ok(set
        .iter()
        .take(bytes / 8)
        .map(|word| word.count_ones() as usize)
        .sum())
}

/// Bytes of memory that no program and no file uses.
pub fn free_memory() -> Result<u64> {
    let mut info = MaybeUninit::<SystemInfo>::zeroed();
    syscall!(__NR_sysinfo, info.as_mut_ptr())?;
    // SAFETY: filled in by the kernel, and all zeroes were a valid value before.
    let info = unsafe { info.assume_init() };
    Ok(info.freeram.saturating_mul(u64::from(info.mem_unit)))
}

/// Turns the machine off. Returns only to say why not.
pub fn power_off() -> Errno {
    let result = syscall!(
        __NR_reboot,
        LINUX_REBOOT_MAGIC1,
        LINUX_REBOOT_MAGIC2,
        LINUX_REBOOT_CMD_POWER_OFF,
        0
    );
    result.err().unwrap_or(Errno::EIO)
}

/// Mounts a file system that has no device.
pub fn mount(kind: &CStr, target: &CStr) -> Result<()> {
    syscall!(
        __NR_mount,
        kind.as_ptr(),
        target.as_ptr(),
        kind.as_ptr(),
        0,
        0
    )
    .map(drop)
}
