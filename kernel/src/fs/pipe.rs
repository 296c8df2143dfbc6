//! Pipes (pipe(7)).
//!
//! A pipe is a ring of bytes under a spin lock; bytes go straight between the
//! ring (`ring.rs`) and the user's memory.
//!
//! **Who waits for what.** Readers wait for bytes, or for the last writer to
//! close. Writers wait for room, and all of them for less than [`ATOMIC`] bytes of it: so the
//! wake-up at the moment the room grows to [`ATOMIC`] or more is enough for each of them,
//! whatever its size. A transition wakes one waiter; who had to wait and leaves something
//! behind wakes the next. Otherwise nobody is woken.
//!
//! Who waits is in a queue before it looks for the last time, with the pipe's lock. So the
//! other side sees under the same lock whether there is anyone to wake, and mostly has no more to
//! do with the queues. Wake-ups are sent after the lock is gone.

pub use super::ring::CAPACITY;
use super::ring::Ring;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, Source, UserBuf};
use crate::wait::{Wait, interruptible};
use alloc::sync::Arc;
use executor::Label;
use executor::sync::WaitQueue;
use linux_raw_sys::general as abi;
use spin::{Mutex, MutexGuard};

/// Writes up to this size are not mixed with others (`PIPE_BUF`).
pub const ATOMIC: usize = abi::PIPE_BUF as usize;

struct Pipe {
    number: u64,
    state: Mutex<State>,
    readers: WaitQueue,
    writers: WaitQueue,
    /// Those in `poll`, for either end.
    pollers: WaitQueue,
}

struct State {
    ring: Ring,
    reader_open: bool,
    writer_open: bool,
}

/// The end that is read from. Dropping it closes it.
pub struct Reader(Arc<Pipe>);

/// The end that is written to. Dropping it closes it.
pub struct Writer(Arc<Pipe>);

/// Makes a pipe.
pub fn pipe() -> Result<(Reader, Writer), Errno> {
    super::ensure_free()?;
    let pipe = Arc::new(Pipe {
        number: super::node::next_number(),
        state: Mutex::new(State {
            ring: Ring::new(),
            reader_open: true,
            writer_open: true,
        }),
        readers: WaitQueue::labelled(&Label("pipe: data")),
        writers: WaitQueue::labelled(&Label("pipe: space")),
        pollers: WaitQueue::labelled(&Label("poll: pipe")),
    });
    Ok((Reader(pipe.clone()), Writer(pipe)))
}

/// What came of one attempt, which never waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// It went as far as it could for now.
    Done,
    /// The user's memory has to be made ready first.
    NotReady,
    /// The pipe is empty, or has not enough room.
    Blocked,
    /// The other end is closed.
    Closed,
    /// The ring could not grow.
    NoMemory,
}

impl Reader {
    /// A read that has to wait for nothing, if this is one. It may end early where the
    /// user's memory is not ready. After `None` nothing has been moved.
    pub fn read_at_once(&self, to: &mut UserBuf<'_>) -> Option<SysResult> {
        match self.attempt(to) {
            Step::Done | Step::Closed => Some(Ok(to.done())),
            // What was moved is gone from the pipe.
            Step::NotReady if to.done() > 0 => Some(Ok(to.done())),
            _ => None,
        }
    }

    /// Reads what is there, and waits only if that is nothing (read(2)).
    pub async fn read(&self, to: &mut UserBuf<'_>, wait: Wait<'_>) -> SysResult {
        if to.remaining() == 0 {
            return Ok(to.done());
        }
        let mut step = match wait {
            Wait::Never => self.attempt(to),
            // Mostly there is nothing, since `read_at_once` has been here: first into the queue.
            Wait::For(_) => Step::Blocked,
        };
        loop {
            if step == Step::Blocked && to.done() == 0 {
                let Wait::For(caller) = wait else {
                    break Err(Errno::EAGAIN);
                };
                let filled = || Some(self.attempt(to)).filter(|&step| step != Step::Blocked);
                let wait = self.0.readers.wait_until(filled).after_a_look();
                step = match interruptible(caller, wait).await {
                    Ok(step) => step,
                    Err(interrupted) => break Err(interrupted.into()),
                };
                // What is left is for the next one. Who has looked in vain before us is seen here, as
                // the lock was ours since, and who looks later finds what is left.
                if self.0.readers.has_waiters() && self.readable() > 0 {
                    self.0.readers.wake_one();
                }
            }
            if step != Step::NotReady {
                break Ok(to.done());
            }
            if let Err(error) = to.fault_in(Access::Write).await {
                break match to.done() {
                    0 => Err(error),
                    done => Ok(done),
                };
            }
            step = self.attempt(to);
        }
    }

    /// Moves what can be moved at once. Bytes that `to` does not take stay in the pipe.
    #[inline]
    fn attempt<S: Sink + Limited>(&self, to: &mut S) -> Step {
        let state = self.0.state.lock();
        match (state.ring.is_empty(), state.writer_open) {
            (false, _) => self.give(state, to),
            (true, true) => Step::Blocked,
            (true, false) => Step::Closed,
        }
    }

    /// Moves some of what is there. Apart from the look whether there is anything, which a read that
    /// waits takes three times.
    #[inline(never)]
    fn give<S: Sink + Limited>(&self, mut state: MutexGuard<'_, State>, to: &mut S) -> Step {
        let pipe = &*self.0;
        let room_before = state.ring.room();
        let wanted = state.ring.len().min(to.limit());
        let moved = state.ring.give(to, wanted);
        let enough = room_before < ATOMIC && state.ring.room() >= ATOMIC;
        let wake_writer = enough && pipe.writers.has_waiters();
        let wake_pollers = enough && pipe.pollers.has_waiters();
        drop(state);
        if wake_writer {
            pipe.writers.wake_one();
        }
        if wake_pollers {
            pipe.pollers.wake_all();
        }
        if moved < wanted {
            Step::NotReady
        } else {
            Step::Done
        }
    }

    /// How many bytes can be read (`FIONREAD`).
    pub fn readable(&self) -> usize {
        self.0.state.lock().ring.len()
    }

    /// What `poll` reports.
    pub fn ready(&self) -> u32 {
        let state = self.0.state.lock();
        let mut ready = 0;
        if !state.ring.is_empty() {
            ready |= abi::POLLIN | abi::POLLRDNORM;
        }
        if !state.writer_open {
            ready |= abi::POLLHUP;
        }
        ready
    }

    /// Waits until one of these `POLL*` bits is reported.
    pub async fn wait_ready(&self, events: u32) {
        let ready = || (self.ready() & events != 0).then_some(());
        self.0.pollers.wait_until(ready).await;
    }

    /// The pipe's number, for `stat`.
    pub fn number(&self) -> u64 {
        self.0.number
    }
}

impl Writer {
    /// A write that has to wait for nothing and succeeds, if this is one. After `None` nothing is
    /// in the pipe, though `from` may have given some.
    pub fn write_at_once(&self, from: &mut UserBuf<'_>) -> Option<usize> {
        let total = from.remaining();
        if total == 0 || total > ATOMIC {
            return None;
        }
        match self.attempt(from, true, false) {
            Step::Done => Some(total),
            _ => None,
        }
    }

    /// Writes everything, waiting for room (write(2)). `EPIPE` when the other end is
    /// closed: the caller has to send `SIGPIPE`.
    ///
    /// How much `from` has given already counts.
    pub async fn write(&self, from: &mut UserBuf<'_>, wait: Wait<'_>) -> SysResult {
        if from.remaining() == 0 {
            return Ok(from.done());
        }
        let atomic = from.done() + from.remaining() <= ATOMIC;
        // Where to begin again if not all of an atomic write could be had at once.
        let start = atomic.then(|| from.clone());
        let result = loop {
            let mut step = self.attempt(from, atomic, matches!(wait, Wait::Never));
            if step == Step::Blocked {
                let Wait::For(caller) = wait else {
                    break Err(Errno::EAGAIN);
                };
                let emptied = || {
                    Some(self.attempt(from, atomic, false)).filter(|&step| step != Step::Blocked)
                };
                let wait = self.0.writers.wait_until(emptied).after_a_look();
                step = match interruptible(caller, wait).await {
                    Ok(step) => step,
                    Err(interrupted) => break Err(interrupted.into()),
                };
                // As for readers.
                if self.0.writers.has_waiters() && self.0.state.lock().ring.room() >= ATOMIC {
                    self.0.writers.wake_one();
                }
            }
            match step {
                Step::Done if from.remaining() == 0 => break Ok(()),
                Step::Done | Step::Blocked => {}
                Step::NotReady => {
                    let result = from.fault_in(Access::Read).await;
                    // Nothing of an atomic write is in the pipe until all of it is.
                    if let Some(start) = &start {
                        *from = start.clone();
                    }
                    if let Err(error) = result {
                        break Err(error);
                    }
                }
                Step::Closed => break Err(Errno::EPIPE),
                Step::NoMemory => break Err(Errno::ENOMEM),
            }
        };
        match from.done() {
            0 => result.map(|()| 0),
            done => Ok(done),
        }
    }

    /// Moves what can be moved at once; if `atomic`, all of it or nothing.
    fn attempt<S: Source + Limited>(&self, from: &mut S, atomic: bool, any_room: bool) -> Step {
        let pipe = &*self.0;
        let (step, wake_reader, wake_pollers) = {
            let mut state = pipe.state.lock();
            if !state.reader_open {
                return Step::Closed;
            }
            let remaining = from.limit();
            let enough = match (atomic, any_room) {
                (true, _) => remaining,
                (false, true) => 1,
                (false, false) => remaining.min(ATOMIC),
            };
            let room = state.ring.room();
            if room < enough {
                return Step::Blocked;
            }
            let wanted = match state.ring.grow_for(remaining.min(room)) {
                size if size < enough => return Step::NoMemory,
                size => size.min(remaining),
            };
            let was_empty = state.ring.is_empty();
            let taken = state.ring.take(from, wanted);
            if taken == wanted || !atomic {
                state.ring.commit(taken);
            }
            let step = if taken < wanted {
                Step::NotReady
            } else {
                Step::Done
            };
            let filled = was_empty && !state.ring.is_empty();
            let wake_reader = filled && pipe.readers.has_waiters();
            (step, wake_reader, filled && pipe.pollers.has_waiters())
        };
        if wake_reader {
            pipe.readers.wake_one();
        }
        if wake_pollers {
            pipe.pollers.wake_all();
        }
        step
    }

    /// What `poll` reports.
    pub fn ready(&self) -> u32 {
        let state = self.0.state.lock();
        let mut ready = 0;
        if state.ring.room() >= ATOMIC {
            ready |= abi::POLLOUT | abi::POLLWRNORM;
        }
        if !state.reader_open {
            ready |= abi::POLLERR;
        }
        ready
    }

    /// How many bytes can be read at the other end (`FIONREAD`).
    pub fn readable(&self) -> usize {
        self.0.state.lock().ring.len()
    }

    /// Waits until one of these `POLL*` bits is reported.
    pub async fn wait_ready(&self, events: u32) {
        let ready = || (self.ready() & events != 0).then_some(());
        self.0.pollers.wait_until(ready).await;
    }

    /// The pipe's number, for `stat`.
    pub fn number(&self) -> u64 {
        self.0.number
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Nobody will read what is left: its memory goes back now.
        let bytes = {
            let mut state = self.0.state.lock();
            state.reader_open = false;
            core::mem::replace(&mut state.ring, Ring::new())
        };
        drop(bytes);
        self.0.writers.wake_all();
        self.0.pollers.wake_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.state.lock().writer_open = false;
        self.0.readers.wake_all();
        self.0.pollers.wake_all();
    }
}

/// How many bytes a place can still take or give.
trait Limited {
    fn limit(&self) -> usize;
}

impl Limited for UserBuf<'_> {
    fn limit(&self) -> usize {
        self.remaining()
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
