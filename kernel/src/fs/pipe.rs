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
//! Who is about to wait counts itself under the pipe's lock before it looks for the last time,
//! so the other side sees under the same lock whether there is anyone to wake, and mostly has
//! no more to do with the queues. Wake-ups are sent after the lock is gone.

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
use spin::Mutex;

/// Writes up to this size are not mixed with others (`PIPE_BUF`).
pub const ATOMIC: usize = abi::PIPE_BUF as usize;

struct Pipe {
    number: u64,
    state: Mutex<State>,
    readers: WaitQueue,
    writers: WaitQueue,
    pollers: WaitQueue,
}

struct State {
    ring: Ring,
    reader_open: bool,
    writer_open: bool,
    /// How many there are in each queue, or on their way in or out.
    waiting: [u32; 3],
}

/// The queues of a pipe, by their index in `State::waiting`.
#[derive(Clone, Copy)]
enum Queue {
    Readers = 0,
    Writers = 1,
    /// Those in `poll`, for either end.
    Pollers = 2,
}

/// The end that is read from. Dropping it closes it.
pub struct Reader(Arc<Pipe>);

/// The end that is written to. Dropping it closes it.
pub struct Writer(Arc<Pipe>);

/// Makes a pipe.
pub fn pipe() -> Result<(Reader, Writer), Errno> {
    super::admit()?;
    let pipe = Arc::new(Pipe {
        number: super::node::next_number(),
        state: Mutex::new(State {
            ring: Ring::new(),
            reader_open: true,
            writer_open: true,
            waiting: [0; 3],
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

/// Someone in a queue. It is counted as long as this lives.
struct Waiting<'a> {
    pipe: &'a Pipe,
    queue: Queue,
}

impl Pipe {
    /// To be called before waiting in the queue.
    fn count_in(&self, queue: Queue) -> Waiting<'_> {
        self.state.lock().waiting[queue as usize] += 1;
        Waiting { pipe: self, queue }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pipe.state.lock().waiting[self.queue as usize] -= 1;
    }
}

impl State {
    fn is_waited_for(&self, queue: Queue) -> bool {
        self.waiting[queue as usize] > 0
    }
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

    /// Reads what is there, and waits only if that is nothing (read(2)). How much `to` has got
    /// already counts.
    pub async fn read(&self, to: &mut UserBuf<'_>, wait: Wait<'_>) -> SysResult {
        if to.remaining() == 0 {
            return Ok(to.done());
        }
        loop {
            let mut step = self.attempt(to);
            if step == Step::Blocked && to.done() == 0 {
                let Wait::For(caller) = wait else {
                    break Err(Errno::EAGAIN);
                };
                let _waiting = self.0.count_in(Queue::Readers);
                let filled = || Some(self.attempt(to)).filter(|&step| step != Step::Blocked);
                step = match interruptible(caller, self.0.readers.wait_until(filled)).await {
                    Ok(step) => step,
                    Err(interrupted) => break Err(interrupted.into()),
                };
                // What is left is for the next one.
                if self.readable() > 0 {
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
        }
    }

    /// Moves what can be moved at once. Bytes that `to` does not take stay in the pipe.
    fn attempt<S: Sink + Limited>(&self, to: &mut S) -> Step {
        let pipe = &*self.0;
        let (step, wake_writer, wake_pollers) = {
            let mut state = pipe.state.lock();
            if state.ring.is_empty() {
                return if state.writer_open {
                    Step::Blocked
                } else {
                    Step::Closed
                };
            }
            let room_before = state.ring.room();
            let wanted = state.ring.len().min(to.limit());
            let moved = state.ring.give(to, wanted);
            let step = if moved < wanted {
                Step::NotReady
            } else {
                Step::Done
            };
            let enough = room_before < ATOMIC && state.ring.room() >= ATOMIC;
            let wake_writer = enough && state.is_waited_for(Queue::Writers);
            (
                step,
                wake_writer,
                enough && state.is_waited_for(Queue::Pollers),
            )
        };
        if wake_writer {
            pipe.writers.wake_one();
        }
        if wake_pollers {
            pipe.pollers.wake_all();
        }
        step
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
        let _waiting = self.0.count_in(Queue::Pollers);
        let ready = || (self.ready() & events != 0).then_some(());
        self.0.pollers.wait_until(ready).await;
    }

    /// The pipe's number, for `stat`.
    pub fn number(&self) -> u64 {
        self.0.number
    }
}

impl Writer {
    /// A write that has to wait for nothing and succeeds, if this is one. After `None`, go on
    /// with [`write`](Self::write).
    pub fn write_at_once(&self, from: &mut UserBuf<'_>) -> Option<usize> {
        let total = from.remaining();
        if total == 0 || total > ATOMIC {
            return None;
        }
        let start = from.clone();
        match self.attempt(from, true, false) {
            Step::Done => Some(total),
            _ => {
                // Nothing is in the pipe before all of it is.
                *from = start;
                None
            }
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
                let _waiting = self.0.count_in(Queue::Writers);
                let emptied = || {
                    Some(self.attempt(from, atomic, false)).filter(|&step| step != Step::Blocked)
                };
                step = match interruptible(caller, self.0.writers.wait_until(emptied)).await {
                    Ok(step) => step,
                    Err(interrupted) => break Err(interrupted.into()),
                };
                if self.0.state.lock().ring.room() >= ATOMIC {
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
            let wake_reader = filled && state.is_waited_for(Queue::Readers);
            (
                step,
                wake_reader,
                filled && state.is_waited_for(Queue::Pollers),
            )
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
        let _waiting = self.0.count_in(Queue::Pollers);
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
