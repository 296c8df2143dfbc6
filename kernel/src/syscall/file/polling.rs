//! poll(2) and ppoll(2).
//!
//! `poll` goes on after an interruption without a handler as if there had been none. The others
//! begin anew, with the time that is left, which they write over what the caller had given (as
//! Linux does, for `select` too).

use super::plain::{bytes_mut, zeroed};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::fs::poll::{ALWAYS, Interest, any_ready};
use crate::fs::table::Fd;
use crate::process::{Continuation, Thread};
use crate::sched;
use crate::wait::interruptible;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;

/// `struct pollfd`: the descriptor, what is asked, what is answered.
const POLLFD: usize = 8;
/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

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
pub(super) async fn wait(
    thread: &Thread,
    interests: &[Interest],
    patience: Patience,
) -> Result<bool, Errno> {
    if interests.iter().any(|interest| interest.ready() != 0) {
        return Ok(true);
    }
    let ready = async {
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
    };
    let ready = interruptible(thread, ready).await;
    ready.map_err(|_| Errno::ERESTARTNOHAND)?
}

/// Holds other signals back for the time of a call, if a set is given.
pub(super) async fn begin_mask(thread: &Thread, set: usize, size: usize) -> Result<(), Errno> {
    if set == 0 {
        return Ok(());
    }
    if size != size_of::<u64>() {
        return Err(Errno::EINVAL);
    }
    let set = thread.space().read_word(set).await? as u64;
    thread.set_blocked_for_call(set);
    Ok(())
}

/// The end of a call that has waited: the mask is the old one again, and the time that is left
/// is written where the caller had written the time. A call that cannot write it cannot begin anew.
pub(super) async fn end_wait(
    thread: &Thread,
    result: SysResult,
    time: usize,
    patience: Patience,
    unit: u64,
) -> SysResult {
    let mut result = result;
    if let (Patience::Until(deadline), true) = (patience, time != 0) {
        let left = deadline.saturating_sub(arch::clock());
        let words = [left / SECOND, left % SECOND / unit].map(u64::to_ne_bytes);
        let written = thread.space().write_bytes(time, words.as_flattened()).await;
        if written.is_err() && result == Err(Errno::ERESTARTNOHAND) {
            result = Err(Errno::EINTR);
        }
    }
    thread.end_blocked_for_call(result.err());
    result
}

/// poll(2)
pub async fn poll(thread: &Thread, address: usize, count: usize, timeout: usize) -> SysResult {
    let patience = match timeout as i32 {
        milliseconds @ 0.. => Patience::of(milliseconds as u64 * 1_000_000),
        _ => Patience::Endless,
    };
    poll_patiently(thread, address, count, patience).await
}

/// poll(2) after an interruption: until then.
pub async fn go_on_polling(
    thread: &Thread,
    address: usize,
    count: usize,
    deadline: Option<u64>,
) -> SysResult {
    let patience = deadline.map_or(Patience::Endless, Patience::Until);
    poll_patiently(thread, address, count, patience).await
}

async fn poll_patiently(
    thread: &Thread,
    address: usize,
    count: usize,
    patience: Patience,
) -> SysResult {
    let deadline = match patience {
        Patience::Until(deadline) => Some(deadline),
        _ => None,
    };
    match poll_until(thread, address, count, patience).await {
        Err(Errno::ERESTARTNOHAND) => Err(thread.interrupted_in(Continuation::Poll {
            address,
            count,
            deadline,
        })),
        result => result,
    }
}

/// ppoll(2).
pub async fn ppoll(
    thread: &Thread,
    address: usize,
    count: usize,
    timeout: usize,
    mask: usize,
    mask_size: usize,
) -> SysResult {
    let patience = Patience::read(thread, timeout).await?;
    begin_mask(thread, mask, mask_size).await?;
    let result = poll_until(thread, address, count, patience).await;
    end_wait(thread, result, timeout, patience, 1).await
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
    crate::memory::ensure_free().map_err(|_| Errno::ENOMEM)?;
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
        wait(thread, &interests, patience).await?;
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
