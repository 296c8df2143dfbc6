//! Event counters (eventfd(2)).

use super::metadata::next_number;
use super::poll_queue::PollQueue;
use super::special::{Attempt, Special};
use crate::errno::Errno;
use crate::memory::{Sink, Source, UserBuf};
use crate::wait::Caller;
use executor::Label;
use linux_raw_sys::general as abi;
use spin::Mutex;

/// A counter, and how reads take from it.
pub struct EventCounter {
    number: u64,
    /// Reads take one (`EFD_SEMAPHORE`), or else all.
    semaphore: bool,
    count: Mutex<u64>,
    polls: PollQueue,
}

/// The bytes of a number.
const SIZE: usize = 8;
/// The largest count.
const MOST: u64 = u64::MAX - 1;
/// Reading.
const IN: u32 = abi::POLLIN | abi::POLLRDNORM;
/// Writing.
const OUT: u32 = abi::POLLOUT | abi::POLLWRNORM;

impl EventCounter {
    /// A counter that begins with `count`.
    pub fn new(count: u64, semaphore: bool) -> EventCounter {
        EventCounter {
            number: next_number(),
            semaphore,
            count: Mutex::new(count),
            polls: PollQueue::new(&Label("eventfd")),
        }
    }
}

impl Special for EventCounter {
    fn read(&self, to: &mut UserBuf<'_>, _caller: &dyn Caller) -> Result<Attempt, Errno> {
        if to.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        {
            let mut count = self.count.lock();
            let taken = match (*count, self.semaphore) {
                (0, _) => return Ok(Attempt::Blocked),
                (_, true) => 1,
                (count, false) => count,
            };
            if to.put(&taken.to_ne_bytes()) < SIZE {
                return Ok(Attempt::NotReady);
            }
            *count -= taken;
        }
        self.polls.wake(OUT);
        Ok(Attempt::Done(SIZE))
    }

    fn write(&self, from: &mut UserBuf<'_>, _caller: &dyn Caller) -> Result<Attempt, Errno> {
        if from.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let mark = from.mark();
        let mut bytes = [0; SIZE];
        if from.take(&mut bytes) < SIZE {
            return Ok(Attempt::NotReady);
        }
        let added = u64::from_ne_bytes(bytes);
        if added > MOST {
            return Err(Errno::EINVAL);
        }
        {
            let mut count = self.count.lock();
            if MOST - *count < added {
                from.rewind(mark);
                return Ok(Attempt::Blocked);
            }
            *count += added;
        }
        self.polls.wake(IN);
        Ok(Attempt::Done(SIZE))
    }

    fn ready(&self) -> u32 {
        let count = *self.count.lock();
        let readable = if count > 0 { IN } else { 0 };
        let writable = if count < MOST { OUT } else { 0 };
        readable | writable
    }

    fn polls(&self) -> &PollQueue {
        &self.polls
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn name(&self) -> &'static str {
        "eventfd"
    }
}
