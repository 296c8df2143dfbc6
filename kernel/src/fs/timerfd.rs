//! Timers that are files (timerfd_create(2)).
//!
//! A timer that is set has a task that sleeps, as the interval timer of a process has. The task holds
//! the timer weakly, and a number says whether it is still the current one.

use super::metadata::next_number;
use super::poll_queue::PollQueue;
use super::special::{Attempt, Special};
use crate::arch;
use crate::errno::Errno;
use crate::memory::{Sink, UserBuf};
use crate::sched;
use crate::wait::Caller;
use alloc::sync::{Arc, Weak};
use core::mem;
use executor::{AbortHandle, Label};
use linux_raw_sys::general as abi;
use spin::Mutex;

/// The bytes of a count.
const SIZE: usize = 8;
/// Reading.
const IN: u32 = abi::POLLIN | abi::POLLRDNORM;

/// A timer. Times are of `arch::clock`.
pub struct Timer {
    number: u64,
    /// What its clock shows more than `arch::clock`.
    offset: u64,
    state: Mutex<State>,
    polls: PollQueue,
}

#[derive(Default)]
struct State {
    /// When it goes off next, and the task that waits for that.
    next: Option<(u64, AbortHandle)>,
    /// Nanoseconds to the one after that; 0: there is none.
    interval: u64,
    /// How often it has gone off since the last read.
    expired: u64,
    /// Which setting this is.
    setting: u64,
}

/// What a timer is set to, in nanoseconds (`struct itimerspec`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Setting {
    /// Until it goes off, or when it does; 0: never.
    pub value: u64,
    /// From then to the next time; 0: there is none.
    pub interval: u64,
}

impl State {
    fn setting(&self) -> Setting {
        let left = self.next.as_ref();
        Setting {
            // One that is due has something left until it has gone off.
            value: left.map_or(0, |(at, _)| at.saturating_sub(arch::clock()).max(1)),
            interval: self.interval,
        }
    }
}

impl Timer {
    /// A timer that is not set, on a clock that shows `offset` more than `arch::clock`.
    pub fn new(offset: u64) -> Timer {
        Timer {
            number: next_number(),
            offset,
            state: Mutex::new(State::default()),
            polls: PollQueue::new(&Label("timerfd")),
        }
    }

    /// What it has before it (timerfd_gettime(2)).
    pub fn setting(&self) -> Setting {
        self.state.lock().setting()
    }

    /// Sets it, or stops it, and says what it had before it (timerfd_settime(2)). The value is a time
    /// of its clock if `absolute`.
    ///
    /// # Errors
    /// `ENOMEM`: there is no memory for its task. Then it is as it was.
    pub fn set(self: &Arc<Timer>, new: Setting, absolute: bool) -> Result<Setting, Errno> {
        let old = {
            // Held over the start of the task, which may go off at once and then looks.
            let mut state = self.state.lock();
            let mut next = None;
            if new.value != 0 {
                let at = match absolute {
                    true => new.value.saturating_sub(self.offset),
                    false => arch::clock().saturating_add(new.value),
                };
                let task = sched::executor().task("timerfd");
                let goes_off = goes_off(Arc::downgrade(self), at, state.setting + 1);
                let task = task.try_spawn(goes_off).map_err(|_| Errno::ENOMEM)?;
                next = Some((at, task.abort_handle()));
            }
            let setting = state.setting + 1;
            let interval = match new.value {
                0 => 0,
                _ => new.interval,
            };
            mem::replace(
                &mut *state,
                State {
                    next,
                    interval,
                    expired: 0,
                    setting,
                },
            )
        };
        let before = old.setting();
        if let Some((_, task)) = old.next {
            task.abort();
        }
        Ok(before)
    }

    /// It has gone off at that time: says when it does again.
    fn expire(&self, at: u64, setting: u64) -> Option<u64> {
        let next = {
            let mut state = self.state.lock();
            if state.setting != setting {
                return None;
            }
            let interval = state.interval;
            match arch::clock().saturating_sub(at).checked_div(interval) {
                // There is no interval. The handle is that of a task that is about to end.
                None => {
                    state.expired += 1;
                    state.next = None;
                    None
                }
                Some(missed) => {
                    let times = missed + 1;
                    state.expired = state.expired.saturating_add(times);
                    let next = at.saturating_add(interval.saturating_mul(times));
                    if let Some((at, _)) = &mut state.next {
                        *at = next;
                    }
                    Some(next)
                }
            }
        };
        self.polls.wake(IN);
        next
    }
}

async fn goes_off(timer: Weak<Timer>, mut at: u64, setting: u64) {
    loop {
        sched::executor().sleep_until(at).await;
        let next = timer.upgrade().and_then(|timer| timer.expire(at, setting));
        match next {
            Some(next) => at = next,
            None => return,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((_, task)) = self.state.get_mut().next.take() {
            task.abort();
        }
    }
}

impl Special for Timer {
    fn read(&self, to: &mut UserBuf<'_>, _caller: &dyn Caller) -> Result<Attempt, Errno> {
        if to.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        if state.expired == 0 {
            return Ok(Attempt::Blocked);
        }
        if to.put(&state.expired.to_ne_bytes()) < SIZE {
            return Ok(Attempt::NotReady);
        }
        state.expired = 0;
        Ok(Attempt::Done(SIZE))
    }

    fn ready(&self) -> u32 {
        match self.state.lock().expired {
            0 => 0,
            _ => IN,
        }
    }

    fn polls(&self) -> &PollQueue {
        &self.polls
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn name(&self) -> &'static str {
        "timerfd"
    }
}
