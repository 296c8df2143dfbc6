//! poll(2) and ppoll(2).

use super::plain::{bytes_mut, zeroed};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::fs::poll::{ALWAYS, Interest, any_ready};
use crate::fs::table::Fd;
use crate::process::Thread;
use crate::sched;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;

/// `struct pollfd`: the descriptor, what is asked, what is answered.
const POLLFD: usize = 8;

/// How long to wait.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// Only look.
    None,
    /// Until this time of the clock.
    Until(u64),
    /// For ever.
    Endless,
}

impl Patience {
    /// So many nanoseconds from now.
    pub(super) fn of(nanoseconds: u64) -> Patience {
        match nanoseconds {
            0 => Patience::None,
            _ => Patience::Until(arch::clock().saturating_add(nanoseconds)),
        }
    }

    /// What a `struct timespec` in the caller's memory says; a null pointer means for ever.
    pub(super) async fn read(thread: &Thread, address: usize) -> Result<Patience, Errno> {
        if address == 0 {
            return Ok(Patience::Endless);
        }
        let mut time: abi::__kernel_timespec = zeroed();
        thread
            .space()
            .read_bytes(address, bytes_mut(&mut time))
            .await?;
        match (u64::try_from(time.tv_sec), time.tv_nsec) {
            (Ok(seconds), nanoseconds @ 0..1_000_000_000) => Ok(Patience::of(
                seconds
                    .saturating_mul(1_000_000_000)
                    .saturating_add(nanoseconds as u64),
            )),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Waits until one of the files is ready or patience ends; says whether it was the former.
pub(super) async fn wait(interests: &[Interest], patience: Patience) -> Result<bool, Errno> {
    if interests.iter().any(|interest| interest.ready() != 0) {
        return Ok(true);
    }
    match patience {
        Patience::None => Ok(false),
        Patience::Endless => any_ready(interests).await.map(|()| true),
        Patience::Until(deadline) => {
            let left = deadline.saturating_sub(arch::clock());
            match sched::executor().timeout(left, any_ready(interests)).await {
                Ok(result) => result.map(|()| true),
                Err(_) => Ok(false),
            }
        }
    }
}

/// poll(2)
pub async fn poll(thread: &Thread, address: usize, count: usize, timeout: usize) -> SysResult {
    let patience = match timeout as i32 {
        milliseconds @ 0.. => Patience::of(milliseconds as u64 * 1_000_000),
        _ => Patience::Endless,
    };
    poll_until(thread, address, count, patience).await
}

/// ppoll(2). The mask of signals makes no difference while no signal has a handler: one
/// that ends the process does so in any case.
pub async fn ppoll(
    thread: &Thread,
    address: usize,
    count: usize,
    timeout: usize,
    _mask: usize,
) -> SysResult {
    let patience = Patience::read(thread, timeout).await?;
    poll_until(thread, address, count, patience).await
}

async fn poll_until(
    thread: &Thread,
    address: usize,
    count: usize,
    patience: Patience,
) -> SysResult {
    if count > thread.process().files().limit() {
        return Err(Errno::EINVAL);
    }
    crate::memory::admit().map_err(|_| Errno::ENOMEM)?;
    let mut array = Vec::new();
    array
        .try_reserve_exact(count * POLLFD)
        .map_err(|_| Errno::ENOMEM)?;
    array.resize(count * POLLFD, 0);
    thread.space().read_bytes(address, &mut array).await?;

    let mut interests = Vec::new();
    interests
        .try_reserve_exact(count)
        .map_err(|_| Errno::ENOMEM)?;
    let mut bad = 0;
    for entry in array.chunks_exact_mut(POLLFD) {
        let [a, b, c, d, e, f, ..] = *entry else {
            continue;
        };
        let fd = i32::from_ne_bytes([a, b, c, d]);
        let events = u32::from(u16::from_ne_bytes([e, f]));
        set_answer(entry, 0);
        // A negative number asks for nothing.
        if fd < 0 {
            continue;
        }
        match thread.process().files().get(Fd(fd as u32)) {
            Ok(file) => interests.push(Interest {
                file,
                events: events | ALWAYS,
            }),
            Err(_) => {
                set_answer(entry, abi::POLLNVAL);
                bad += 1;
            }
        }
    }
    if bad == 0 {
        wait(&interests, patience).await?;
    }

    let mut ready = bad;
    let mut interests = interests.iter();
    for entry in array.chunks_exact_mut(POLLFD) {
        let [a, b, c, d, _, _, answer, _] = *entry else {
            continue;
        };
        let asked = i32::from_ne_bytes([a, b, c, d]) >= 0 && answer == 0;
        if let Some(interest) = asked.then(|| interests.next()).flatten() {
            let events = interest.ready();
            set_answer(entry, events);
            ready += usize::from(events != 0);
        }
    }
    // Descriptors and questions are written back as they were read.
    thread.space().write_bytes(address, &array).await?;
    Ok(ready)
}

fn set_answer(entry: &mut [u8], events: u32) {
    entry[6..8].copy_from_slice(&(events as u16).to_ne_bytes());
}
