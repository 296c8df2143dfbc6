//! What the system is, has, and allows.

use super::words::{read_words, write_words};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::memory::{self, FRAME_SIZE, Sink, UserBuf};
use crate::process::{self, Limit, Pid, Thread, Usage};
use linux_raw_sys::general as linux;

/// uname(2). The name and release are those of the ABI; the version names this kernel.
pub async fn uname(thread: &Thread, address: usize) -> SysResult {
    const FIELD: usize = 65;
    let fields: [&[u8]; 6] = [
        b"Linux",
        b"cowfork",
        b"6.1.0-cowfork",
        concat!("cowfork ", env!("CARGO_PKG_VERSION"), " SMP").as_bytes(),
        b"x86_64",
        b"(none)",
    ];
    let mut bytes = [0; FIELD * 6];
    for (place, text) in bytes.chunks_exact_mut(FIELD).zip(fields) {
        place[..text.len()].copy_from_slice(text);
    }
    thread.space().write_bytes(address, &bytes).await?;
    Ok(0)
}

/// sysinfo(2). There is no load average, swap or buffer cache.
pub async fn sysinfo(thread: &Thread, address: usize) -> SysResult {
    let total = (memory::managed_frames() * FRAME_SIZE) as u64;
    let free = (memory::free_frames() * FRAME_SIZE) as u64;
    // struct sysinfo: uptime, loads[3], totalram, freeram, sharedram, bufferram, totalswap,
    // freeswap, procs (u16), pad, totalhigh, freehigh, mem_unit (u32), padding to 112
    // bytes.
    let mut bytes = [0; 112];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &(arch::clock() / 1_000_000_000).to_le_bytes());
    put(32, &total.to_le_bytes());
    put(40, &free.to_le_bytes());
    put(80, &(process::process_count() as u16).to_le_bytes());
    put(104, &1u32.to_le_bytes());
    thread.space().write_bytes(address, &bytes).await?;
    Ok(0)
}

/// getrandom(2). The source never blocks.
pub async fn getrandom(thread: &Thread, address: usize, length: usize, flags: usize) -> SysResult {
    let known = linux::GRND_NONBLOCK | linux::GRND_RANDOM | linux::GRND_INSECURE;
    if flags as u32 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let space = thread.space();
    let mut buffer = UserBuf::new(space, address, length.min(isize::MAX as usize))?;
    while buffer.remaining() != 0 {
        let bytes = arch::random().to_le_bytes();
        let wanted = bytes.len().min(buffer.remaining());
        if buffer.put(&bytes[..wanted]) < wanted
            && let Err(errno) = buffer.fault_in(arch::Access::Write).await
        {
            return if buffer.done() == 0 {
                Err(errno.into())
            } else {
                Ok(buffer.done())
            };
        }
        executor::spend_budget().await;
    }
    Ok(buffer.done())
}

/// prlimit64(2).
pub async fn prlimit64(
    thread: &Thread,
    pid: usize,
    resource: usize,
    new: usize,
    old: usize,
) -> SysResult {
    let process = match pid as i32 {
        0 => thread.process().clone(),
        pid => process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?,
    };
    let resource = resource as u32 as usize;
    let before = process.limit(resource)?;
    if new != 0 {
        let [soft, hard] = read_words(thread, new).await?;
        process.set_limit(resource, Limit { soft, hard }).await?;
    }
    if old != 0 {
        write_words(thread, old, [before.soft, before.hard]).await?;
    }
    Ok(0)
}

/// getrusage(2).
pub async fn getrusage(thread: &Thread, who: usize, address: usize) -> SysResult {
    let process = thread.process();
    let usage = match who as i32 {
        0 => process.usage(),
        1 => Usage {
            peak: process.usage().peak,
            ..thread.tcb().usage()
        },
        -1 => process.children_usage(),
        _ => return Err(Errno::EINVAL),
    };
    write_usage(thread, address, usage).await
}

/// Writes a `struct rusage`.
pub(super) async fn write_usage(thread: &Thread, address: usize, usage: Usage) -> SysResult {
    // ru_utime and ru_stime, each in seconds and microseconds, then 14 numbers.
    let mut words = [0; 18];
    for (place, time) in [(0, usage.user), (2, usage.system)] {
        words[place] = time / 1_000_000_000;
        words[place + 1] = time % 1_000_000_000 / 1000;
    }
    words[4] = usage.peak * (FRAME_SIZE as u64 / 1024);
    words[8] = usage.faults;
    words[16] = usage.voluntary;
    words[17] = usage.involuntary;
    write_words(thread, address, words).await
}
