//! Hogs that have the kernel keep something for them.

use alloc::vec::Vec;
use core::ptr;

use user::sys::file::{self, O_NONBLOCK, O_RDONLY};
use user::sys::process::{self, Pid, StringList};
use user::sys::signal::{self, Signal, SignalSet};
use user::sys::system::{self, Limit, RLIMIT_STACK};
use user::sys::{Errno, Result};
use user::{sys, thread};

use super::memory::touch;
use super::{Hog, ended, unless_short, wait_for_the_end};

/// Starts children until there are so many or no more can be had.
fn children(count: usize, mut start: impl FnMut() -> sys::Result<Pid>) -> Result<usize> {
    for made in 0..count {
        if let Err(errno) = start() {
            unless_short(Err(errno))?;
            return Ok(made);
        }
    }
    Ok(count)
}

/// Processes that all wait in a `readv` of 1,024 segments.
pub fn segments(hog: &mut Hog) -> Result<()> {
    let (data, go) = (file::pipe()?, file::pipe()?);
    children(200, || {
        process::spawn(|| {
            let _ = file::close(go.write);
            // Nothing is written: the end comes when the hog says go.
            let _ = file::read(go.read, &mut [0]);
            let mut byte = 0;
            ended(file::read_segments(data.read, &mut byte, 1024).map(drop))
        })
    })?;
    hog.take_memory_first()?;
    file::close(go.write)
}

/// Signals that wait in queues: real-time ones, each of which counts.
pub fn signals(hog: &mut Hog) -> Result<()> {
    const RECEIVERS: usize = 50;
    const EACH: usize = 2000;
    const REAL_TIME: i32 = 34;
    signal::set_mask(SignalSet(u64::MAX))?;
    let mut pids = [Pid(0); RECEIVERS];
    let mut made = 0;
    children(RECEIVERS, || {
        let pid = process::spawn(|| wait_for_the_end())?;
        if let Some(slot) = pids.get_mut(made) {
            *slot = pid;
        }
        made += 1;
        Ok(pid)
    })?;
    hog.take_memory_first()?;
    for pid in pids.into_iter().take(made) {
        for number in 0..EACH {
            let signal = Signal(REAL_TIME + (number % 30) as i32);
            match process::kill(pid, signal) {
                Ok(()) => {}
                // It was killed for want of memory.
                Err(Errno::ESRCH) => break,
                Err(errno) => {
                    unless_short(Err(errno))?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Full pipes, here and in some children.
pub fn pipes(hog: &mut Hog) -> Result<()> {
    let each = hog.limit / 4;
    children(3, || process::spawn(|| ended(fill_pipes(each))))?;
    fill_pipes(each)
}

fn fill_pipes(limit: usize) -> Result<()> {
    let block = [1; 4096];
    let mut written = 0;
    while written < limit {
        let pipe = file::pipe2(O_NONBLOCK)?;
        loop {
            match file::write(pipe.write, &block) {
                Ok(count) => written += count,
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// A long list of arguments, for a program that is not there, again and again.
pub fn arguments(hog: &mut Hog) -> Result<()> {
    let stack = Limit {
        rlim_cur: 64 << 20,
        rlim_max: u64::MAX,
    };
    // Without it the list may only be shorter.
    let _ = system::set_limit(RLIMIT_STACK, stack);
    let mut pointers = Vec::new();
    let count = (hog.limit / 64).min(300_000);
    if pointers.try_reserve_exact(count + 1).is_err() {
        return Err(Errno::ENOMEM);
    }
    pointers.resize(count, c"a".as_ptr());
    pointers.push(ptr::null());
    // SAFETY: pointers to one C string that is static, and a null.
    let list = unsafe { StringList::new(&pointers) };
    // SAFETY: an empty list.
    let environment = unsafe { StringList::new(&[ptr::null()]) };
    for _ in 0..20 {
        match process::execve(c"/nonexistent", list, environment) {
            Errno::ENOENT => {}
            errno => unless_short(Err(errno))?,
        }
    }
    Ok(())
}

/// Open files, here and in some children.
pub fn descriptors(hog: &mut Hog) -> Result<()> {
    fn open_many() -> Result<()> {
        loop {
            file::open(c"/dev/null", O_RDONLY, 0)?;
        }
    }
    let count = 1 + hog.random.below(4) as usize;
    children(count, || process::spawn(|| ended(open_many())))?;
    open_many()
}

/// Processes, each with some memory of its own.
pub fn processes(hog: &mut Hog) -> Result<()> {
    const EACH: usize = 1 << 20;
    let count = (2 * hog.limit / EACH).min(400);
    children(count, || {
        process::spawn(|| ended(touch(EACH, sys::memory::Sharing::Private)))
    })?;
    Ok(())
}

/// Threads that sleep.
pub fn threads(hog: &mut Hog) -> Result<()> {
    let count = (hog.limit / (16 << 10)).min(500);
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| wait_for_the_end())?;
        }
        Ok::<(), Errno>(())
    })
}
