//! Open files that are objects of the kernel without a name: event counters, timers, epoll
//! instances, sockets (Linux's anonymous inodes).
//!
//! Such an object does not wait. It makes *attempts*, says what it is ready for, and wakes its
//! [`PollQueue`] when that changes. The waiting is here, once for all of them: an attempt that was
//! blocked is made again after each wake-up. So a call that is dropped while it waits leaves nothing
//! half-done.

use super::metadata::FileType;
use super::poll_queue::PollQueue;
use crate::arch::{self, Access};
use crate::errno::{Errno, SysResult};
use crate::memory::{UserBuf, fallible};
use crate::sched;
use crate::wait::{Caller, Wait, interruptible};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

/// What came of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt<T = usize> {
    /// It is done.
    Done(T),
    /// The user's memory has to be made ready first, where the buffer stands now. Nothing else has
    /// been done, and the next attempt begins where this one began.
    NotReady,
    /// It would have to wait.
    Blocked,
}

/// An object behind an open file. See the module's head.
pub trait Special: Any + Send + Sync {
    /// Attempts to read (read(2)).
    fn read(&self, _to: &mut UserBuf<'_>, _caller: &dyn Caller) -> Result<Attempt, Errno> {
        Err(Errno::EINVAL)
    }

    /// Attempts to write (write(2)).
    fn write(&self, _from: &mut UserBuf<'_>, _caller: &dyn Caller) -> Result<Attempt, Errno> {
        Err(Errno::EINVAL)
    }

    /// What `poll` reports: a set of `POLL*` bits.
    fn ready(&self) -> u32;

    /// Where those are that wait for a change of [`ready`](Self::ready).
    fn polls(&self) -> &PollQueue;

    /// How many nanoseconds a call may wait for this access, if not for ever (`SO_RCVTIMEO`).
    fn patience(&self, _access: Access) -> Option<u64> {
        None
    }

    /// Whether a write goes on until all is written, however little each attempt writes.
    fn writes_all(&self) -> bool {
        false
    }

    /// The object whose poll queue is woken when a blocked write can go on, if that is another.
    fn writes_into(&self) -> Option<Arc<dyn Special>> {
        None
    }

    /// The last descriptor is closed. References may be left.
    fn closed(&self) {}

    /// How many bytes can be read (`FIONREAD`).
    fn readable(&self) -> Result<u64, Errno> {
        Err(Errno::ENOTTY)
    }

    /// Its number, for `stat`.
    fn number(&self) -> u64 {
        0
    }

    /// Its type, for `stat`.
    fn file_type(&self) -> FileType {
        FileType::Anonymous
    }

    /// What kind of object it is, as `/proc/PID/fd` shows it in brackets.
    fn name(&self) -> &'static str;
}

/// Reads (read(2)). Only a call that has to wait takes memory for that: every thread's future has room
/// for the largest of its calls.
pub async fn read(
    special: &dyn Special,
    to: &mut UserBuf<'_>,
    caller: &dyn Caller,
    wait: Wait<'_>,
) -> SysResult {
    let start = to.mark();
    if let Attempt::Done(count) = special.read(to, caller)? {
        return Ok(count);
    }
    to.rewind(start);
    let attempt = |to: &mut UserBuf<'_>| special.read(to, caller);
    let later = persist(special, to, Access::Write, wait, attempt);
    Box::into_pin(fallible::boxed(later)?).await
}

/// Writes (write(2)), as [`read`] reads.
pub async fn write(
    special: &dyn Special,
    from: &mut UserBuf<'_>,
    caller: &dyn Caller,
    wait: Wait<'_>,
) -> SysResult {
    let attempt = |from: &mut UserBuf<'_>| special.write(from, caller);
    let later = write_all(special, from, wait, attempt);
    Box::into_pin(fallible::boxed(later)?).await
}

/// Attempts until it is done, as long as the call may wait. `access` is what is done to the user's
/// memory, and which of the object's time-outs counts.
pub async fn persist<T>(
    special: &dyn Special,
    buffer: &mut UserBuf<'_>,
    access: Access,
    wait: Wait<'_>,
    mut attempt: impl FnMut(&mut UserBuf<'_>) -> Result<Attempt<T>, Errno>,
) -> Result<T, Errno> {
    let deadline = special
        .patience(access)
        .map(|patience| arch::clock().saturating_add(patience));
    let start = buffer.mark();
    loop {
        let step = match attempt(buffer)? {
            Attempt::Blocked => {
                let other = match access {
                    Access::Read => special.writes_into(),
                    _ => None,
                };
                let polls = other
                    .as_ref()
                    .map_or(special.polls(), |other| other.polls());
                until_unblocked(polls, deadline, wait, || attempt(buffer)).await?
            }
            step => step,
        };
        match step {
            Attempt::Done(value) => return Ok(value),
            Attempt::NotReady => {
                let result = buffer.fault_in(access).await;
                buffer.rewind(start);
                result?;
            }
            Attempt::Blocked => return Err(Errno::EAGAIN),
        }
    }
}

/// Writes as [`persist`] does, and goes on until all is written if the object is a stream.
pub async fn write_all(
    special: &dyn Special,
    from: &mut UserBuf<'_>,
    wait: Wait<'_>,
    mut attempt: impl FnMut(&mut UserBuf<'_>) -> Result<Attempt, Errno>,
) -> SysResult {
    let mut done = 0;
    loop {
        match persist(special, from, Access::Read, wait, &mut attempt).await {
            Ok(count) => done += count,
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
        if !special.writes_all() || from.remaining() == 0 {
            return Ok(done);
        }
    }
}

/// As [`persist`], for what needs no memory of the user's: waits in `polls`.
pub async fn persist_without<T>(
    special: &dyn Special,
    polls: &PollQueue,
    access: Access,
    wait: Wait<'_>,
    mut attempt: impl FnMut() -> Result<Attempt<T>, Errno>,
) -> Result<T, Errno> {
    let deadline = special
        .patience(access)
        .map(|patience| arch::clock().saturating_add(patience));
    let step = match attempt()? {
        Attempt::Blocked => until_unblocked(polls, deadline, wait, attempt).await?,
        step => step,
    };
    match step {
        Attempt::Done(value) => Ok(value),
        Attempt::NotReady | Attempt::Blocked => Err(Errno::EAGAIN),
    }
}

/// Waits until an attempt is not blocked; `EAGAIN` if it may not wait, or has waited long enough.
pub async fn until_unblocked<T>(
    polls: &PollQueue,
    deadline: Option<u64>,
    wait: Wait<'_>,
    mut attempt: impl FnMut() -> Result<Attempt<T>, Errno>,
) -> Result<Attempt<T>, Errno> {
    let Wait::For(caller) = wait else {
        return Err(Errno::EAGAIN);
    };
    let unblocked = polls.wait_until(|| match attempt() {
        Ok(Attempt::Blocked) => None,
        result => Some(result),
    });
    match deadline {
        None => interruptible(caller, unblocked).await?,
        Some(deadline) => {
            let left = deadline.saturating_sub(arch::clock());
            let timed = sched::executor().timeout(left, unblocked);
            match interruptible(caller, timed).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(Errno::EAGAIN),
                // socket(7): a call with a time-out is not begun anew.
                Err(_) => Err(Errno::EINTR),
            }
        }
    }
}
