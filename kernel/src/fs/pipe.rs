//! Pipes (pipe(7)).
//!
//! A pipe is a buffer of bytes under a spin lock; bytes go straight between the
//! pages of its buffer (`pipe_buffer.rs`) and the user's memory.
//!
//! **What is waited for.** Readers wait for bytes, or for the last writer to close. Writers wait
//! for room, each for at most [`ATOMIC`] bytes of it. One wake-up when the room grows to [`ATOMIC`]
//! or more is therefore enough for a writer of any size. A transition wakes one waiter. A call that
//! waited and leaves bytes (or room) behind wakes the next waiter. No other event wakes one.
//!
//! **No lost wake-up.** A waiter enters its queue before its last attempt, which it makes under the
//! pipe's lock. The other end changes the state under the same lock, and then reads whether the
//! queue has waiters. Either the attempt sees the change, or the other end sees the waiter. Wake-ups
//! are sent after the lock is released.

pub use super::pipe_buffer::CAPACITY;
use super::pipe_buffer::PipeBuffer;
use super::poll_queue::PollQueue;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::fallible;
use crate::memory::{Sink, Source, UserBuf};
use crate::wait::{Wait, interruptible};
use alloc::sync::Arc;
use executor::Label;
use executor::sync::WaitQueue;
use linux_raw_sys::general as abi;
use spin::{Mutex, MutexGuard};

/// Writes up to this size are not mixed with others (`PIPE_BUF`).
pub const ATOMIC: usize = abi::PIPE_BUF as usize;

/// A pipe, which both ends have.
pub struct Pipe {
    number: u64,
    state: Mutex<PipeState>,
    readers: WaitQueue,
    writers: WaitQueue,
    /// Those in `poll` and the watches, for either end.
    polls: PollQueue,
    /// Those that open a pipe with a name.
    openers: WaitQueue,
}

struct PipeState {
    buffer: PipeBuffer,
    ends: Ends,
}

/// How many open files are ends of a pipe, and how many ever were.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) readers: u32,
    pub(super) writers: u32,
    pub(super) readers_opened: u32,
    pub(super) writers_opened: u32,
}

/// The end that is read from. Dropping it closes it.
pub struct Reader {
    pipe: Arc<Pipe>,
    /// How many writers there had been when it was opened and there was none: those do not count for
    /// the hang-up that `poll` tells.
    seen: u32,
}

/// The end that is written to. Dropping it closes it.
pub struct Writer(Arc<Pipe>);

/// Makes a pipe.
pub fn pipe() -> Result<(Reader, Writer), Errno> {
    let ends = Ends {
        readers: 1,
        writers: 1,
        readers_opened: 1,
        writers_opened: 1,
    };
    let pipe = fallible::arc(Pipe::new(PipeBuffer::new()?, ends))?;
    let reader = Reader {
        pipe: pipe.clone(),
        seen: 0,
    };
    Ok((reader, Writer(pipe)))
}

impl Pipe {
    fn new(buffer: PipeBuffer, ends: Ends) -> Pipe {
        Pipe {
            number: super::metadata::next_number(),
            state: Mutex::new(PipeState { buffer, ends }),
            readers: WaitQueue::labelled(&Label("pipe: data")),
            writers: WaitQueue::labelled(&Label("pipe: space")),
            polls: PollQueue::new(&Label("poll: pipe")),
            openers: WaitQueue::labelled(&Label("fifo: other end")),
        }
    }

    /// A pipe that is not open. It has no buffer until it is.
    pub fn closed() -> Result<Arc<Pipe>, Errno> {
        Ok(fallible::arc(Pipe::new(
            PipeBuffer::closed(),
            Ends::default(),
        ))?)
    }

    /// Its ends at this moment.
    pub(super) fn ends(&self) -> Ends {
        self.state.lock().ends
    }

    /// Those that wait in open(2).
    pub(super) fn openers(&self) -> &WaitQueue {
        &self.openers
    }

    /// Counts an end that is opened.
    fn open(&self, count: impl Fn(&mut Ends)) -> Result<Ends, Errno> {
        let fresh = match self.capacity() {
            0 => Some(PipeBuffer::new()?),
            _ => None,
        };
        let mut unused = None;
        let ends = {
            let mut state = self.state.lock();
            if state.buffer.capacity() == 0 {
                unused = fresh.map(|fresh| core::mem::replace(&mut state.buffer, fresh));
            } else {
                unused = fresh.or(unused);
            }
            let before = state.ends;
            count(&mut state.ends);
            before
        };
        drop(unused);
        self.openers.wake_all();
        self.polls.wake(0);
        Ok(ends)
    }

    /// Counts an end that is closed. With the last reader go the bytes.
    fn close(&self, count: impl Fn(&mut Ends)) {
        let old = {
            let mut state = self.state.lock();
            count(&mut state.ends);
            // Bytes that no reader is left for take no memory.
            let is_over = state.ends.readers == 0;
            is_over.then(|| core::mem::replace(&mut state.buffer, PipeBuffer::closed()))
        };
        drop(old);
    }

    /// The pipe's number, for `stat`.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Those that wait for either end to become ready.
    pub(super) fn polls(&self) -> &PollQueue {
        &self.polls
    }

    /// How many bytes can be read (`FIONREAD`).
    pub fn readable(&self) -> usize {
        self.state.lock().buffer.len()
    }

    /// How many bytes it holds at most (`F_GETPIPE_SZ`).
    pub fn capacity(&self) -> usize {
        self.state.lock().buffer.capacity()
    }

    /// Changes how many bytes it holds (`F_SETPIPE_SZ`), and returns how many that are.
    pub fn resize(&self, bytes: usize) -> SysResult {
        let result = self.state.lock().buffer.resize(bytes);
        if result.is_ok() {
            self.writers.wake_all();
            self.polls.wake(0);
        }
        result
    }
}

/// What came of one attempt, which never waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attempt {
    /// It went as far as it could for now.
    Done,
    /// The user's memory has to be made ready first.
    NotReady,
    /// The pipe is empty, or has not enough room.
    Blocked,
    /// The other end is closed.
    Closed,
    /// There is no page for the bytes.
    NoMemory,
}

impl Reader {
    /// One more reader of a pipe with a name.
    pub(super) fn open(pipe: &Arc<Pipe>) -> Result<Reader, Errno> {
        let before = pipe.open(|ends| {
            ends.readers += 1;
            ends.readers_opened = ends.readers_opened.wrapping_add(1);
        })?;
        let seen = match before.writers {
            0 => before.writers_opened,
            _ => before.writers_opened.wrapping_sub(1),
        };
        Ok(Reader {
            pipe: pipe.clone(),
            seen,
        })
    }

    /// The fast path: a read that completes without waiting. It may end early where the user's
    /// memory is not ready. After `None` nothing has been moved.
    pub fn read_fast(&self, to: &mut UserBuf<'_>) -> Option<SysResult> {
        match self.attempt(to) {
            Attempt::Done | Attempt::Closed => Some(Ok(to.done())),
            // What was moved is gone from the pipe.
            Attempt::NotReady if to.done() > 0 => Some(Ok(to.done())),
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
            // The fast path has mostly found the pipe empty just now: enter the queue first.
            Wait::For(_) => Attempt::Blocked,
        };
        loop {
            if step == Attempt::Blocked && to.done() == 0 {
                let Wait::For(caller) = wait else {
                    break Err(Errno::EAGAIN);
                };
                let filled = || Some(self.attempt(to)).filter(|&step| step != Attempt::Blocked);
                let wait = self.pipe.readers.wait_until(filled).after_a_look();
                step = match interruptible(caller, wait).await {
                    Ok(step) => step,
                    Err(interrupted) => break Err(interrupted.into()),
                };
                // Bytes that are left are for the next reader. A reader whose attempt failed before
                // ours is seen here, since this call has held the lock after it; a later attempt
                // finds the bytes.
                if self.pipe.readers.has_waiters() && self.pipe().readable() > 0 {
                    self.pipe.readers.wake_one();
                }
            }
            if step != Attempt::NotReady {
                break Ok(to.done());
            }
            if let Err(error) = to.fault_in(Access::Write).await {
                break match to.done() {
                    0 => Err(error.into()),
                    done => Ok(done),
                };
            }
            step = self.attempt(to);
        }
    }

    /// Moves what can be moved without waiting. Bytes that `to` does not take stay in the pipe.
    #[inline]
    fn attempt<S: Sink + Limited>(&self, to: &mut S) -> Attempt {
        let state = self.pipe.state.lock();
        match (state.buffer.is_empty(), state.ends.writers > 0) {
            (false, _) => self.give(state, to),
            (true, true) => Attempt::Blocked,
            (true, false) => Attempt::Closed,
        }
    }

    /// Moves some of what is there. Not inlined into `attempt`, which a read that waits calls three
    /// times.
    #[inline(never)]
    fn give<S: Sink + Limited>(&self, mut state: MutexGuard<'_, PipeState>, to: &mut S) -> Attempt {
        let pipe = &*self.pipe;
        let room_before = state.buffer.room();
        let wanted = state.buffer.len().min(to.limit());
        let moved = state.buffer.give(to, wanted);
        let enough = room_before < ATOMIC && state.buffer.room() >= ATOMIC;
        let wake_writer = enough && pipe.writers.has_waiters();
        let wake_pollers = enough && pipe.polls.has_waiters();
        drop(state);
        if wake_writer {
            pipe.writers.wake_one();
        }
        if wake_pollers {
            pipe.polls.wake(abi::POLLOUT | abi::POLLWRNORM);
        }
        if moved < wanted {
            Attempt::NotReady
        } else {
            Attempt::Done
        }
    }

    /// What `poll` reports.
    pub fn ready(&self) -> u32 {
        let state = self.pipe.state.lock();
        let mut ready = 0;
        if !state.buffer.is_empty() {
            ready |= abi::POLLIN | abi::POLLRDNORM;
        }
        if state.ends.writers == 0 && state.ends.writers_opened != self.seen {
            ready |= abi::POLLHUP;
        }
        ready
    }

    /// The pipe.
    pub fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// The pipe, to be kept.
    pub(super) fn shared(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Copies bytes behind the oldest `skip` ones, which stay in the pipe; says how many.
    pub(super) fn peek(&self, skip: usize, buffer: &mut [u8]) -> usize {
        self.pipe.state.lock().buffer.peek(skip, buffer)
    }

    /// Takes the oldest bytes away.
    pub(super) fn discard(&self, count: usize) {
        // As a read, which wakes a writer that waits for room.
        self.attempt(&mut Discard(count));
    }

    /// Waits until there are bytes, or no writer.
    pub(super) async fn wait_for_bytes(&self, wait: Wait<'_>) -> Result<(), Errno> {
        let filled = || {
            let state = self.pipe.state.lock();
            (!state.buffer.is_empty() || state.ends.writers == 0).then_some(())
        };
        wait_until(&self.pipe.readers, filled, wait).await
    }
}

impl Writer {
    /// One more writer of a pipe with a name.
    pub(super) fn open(pipe: &Arc<Pipe>) -> Result<Writer, Errno> {
        pipe.open(|ends| {
            ends.writers += 1;
            ends.writers_opened = ends.writers_opened.wrapping_add(1);
        })?;
        Ok(Writer(pipe.clone()))
    }

    /// The fast path: a write that succeeds without waiting. After `None` nothing is in the pipe,
    /// though bytes of `from` may have been consumed.
    pub fn write_fast(&self, from: &mut UserBuf<'_>) -> Option<usize> {
        let total = from.remaining();
        if total == 0 || total > ATOMIC {
            return None;
        }
        match self.attempt(from, true, false) {
            Attempt::Done => Some(total),
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
        // Where to begin again if a page of an atomic write is not ready.
        let start = atomic.then(|| from.mark());
        let result = loop {
            let mut step = self.attempt(from, atomic, matches!(wait, Wait::Never));
            if step == Attempt::Blocked {
                let Wait::For(caller) = wait else {
                    break Err(Errno::EAGAIN);
                };
                let emptied = || {
                    Some(self.attempt(from, atomic, false)).filter(|&step| step != Attempt::Blocked)
                };
                let wait = self.0.writers.wait_until(emptied).after_a_look();
                step = match interruptible(caller, wait).await {
                    Ok(step) => step,
                    Err(interrupted) => break Err(interrupted.into()),
                };
                // As for readers.
                if self.0.writers.has_waiters() && self.0.state.lock().buffer.room() >= ATOMIC {
                    self.0.writers.wake_one();
                }
            }
            match step {
                Attempt::Done if from.remaining() == 0 => break Ok(()),
                Attempt::Done | Attempt::Blocked => {}
                Attempt::NotReady => {
                    let result = from.fault_in(Access::Read).await;
                    // Nothing of an atomic write is in the pipe until all of it is.
                    if let Some(start) = start {
                        from.rewind(start);
                    }
                    if let Err(error) = result {
                        break Err(error.into());
                    }
                }
                Attempt::Closed => break Err(Errno::EPIPE),
                Attempt::NoMemory => break Err(Errno::ENOMEM),
            }
        };
        match from.done() {
            0 => result.map(|()| 0),
            done => Ok(done),
        }
    }

    /// Moves what can be moved without waiting; if `atomic`, all of it or nothing.
    fn attempt<S: Source + Limited>(&self, from: &mut S, atomic: bool, any_room: bool) -> Attempt {
        let pipe = &*self.0;
        let (step, wake_reader, wake_pollers) = {
            let mut state = pipe.state.lock();
            if state.ends.readers == 0 {
                return Attempt::Closed;
            }
            let remaining = from.limit();
            let enough = match (atomic, any_room) {
                (true, _) => remaining,
                (false, true) => 1,
                (false, false) => remaining.min(ATOMIC),
            };
            let room = state.buffer.room();
            if room < enough {
                return Attempt::Blocked;
            }
            let wanted = match state.buffer.grow_for(remaining.min(room)) {
                size if size < enough => return Attempt::NoMemory,
                size => size.min(remaining),
            };
            let was_empty = state.buffer.is_empty();
            let taken = state.buffer.take(from, wanted);
            if taken == wanted || !atomic {
                state.buffer.commit(taken);
            }
            let step = if taken < wanted {
                Attempt::NotReady
            } else {
                Attempt::Done
            };
            let filled = was_empty && !state.buffer.is_empty();
            let wake_reader = filled && pipe.readers.has_waiters();
            // Watches have an edge for each write, as on Linux.
            let more = !state.buffer.is_empty() && pipe.polls.has_watches();
            (
                step,
                wake_reader,
                more || filled && pipe.polls.has_waiters(),
            )
        };
        if wake_reader {
            pipe.readers.wake_one();
        }
        if wake_pollers {
            pipe.polls.wake(abi::POLLIN | abi::POLLRDNORM);
        }
        step
    }

    /// What `poll` reports.
    pub fn ready(&self) -> u32 {
        let state = self.0.state.lock();
        let mut ready = 0;
        if state.buffer.room() >= ATOMIC {
            ready |= abi::POLLOUT | abi::POLLWRNORM;
        }
        if state.ends.readers == 0 {
            ready |= abi::POLLERR;
        }
        ready
    }

    /// The pipe.
    pub fn pipe(&self) -> &Pipe {
        &self.0
    }

    /// The pipe, to be kept.
    pub(super) fn shared(&self) -> &Arc<Pipe> {
        &self.0
    }

    /// Puts as many of the bytes into the pipe as there is room for; `EAGAIN` if there is none.
    pub(super) fn put(&self, bytes: &[u8]) -> SysResult {
        let mut source = bytes;
        match self.attempt(&mut source, false, true) {
            Attempt::Closed => Err(Errno::EPIPE),
            Attempt::NoMemory => Err(Errno::ENOMEM),
            Attempt::Blocked => Err(Errno::EAGAIN),
            Attempt::Done | Attempt::NotReady => Ok(bytes.len() - source.len()),
        }
    }

    /// Waits until there is room, or no reader.
    pub(super) async fn wait_for_room(&self, wait: Wait<'_>) -> Result<(), Errno> {
        let emptied = || {
            let state = self.0.state.lock();
            let least = ATOMIC.min(state.buffer.capacity());
            (state.buffer.room() >= least || state.ends.readers == 0).then_some(())
        };
        wait_until(&self.0.writers, emptied, wait).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.pipe.close(|ends| ends.readers -= 1);
        self.pipe.writers.wake_all();
        self.pipe.polls.wake(0);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close(|ends| ends.writers -= 1);
        self.0.readers.wake_all();
        self.0.polls.wake(0);
    }
}

/// How many bytes a sink can still take, or a source give.
trait Limited {
    fn limit(&self) -> usize;
}

impl Limited for &[u8] {
    fn limit(&self) -> usize {
        self.len()
    }
}

/// A sink that takes so many bytes and forgets them.
struct Discard(usize);

impl Sink for Discard {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        count
    }
}

impl Limited for Discard {
    fn limit(&self) -> usize {
        self.0
    }
}

/// Waits in a queue for something that may be there already.
async fn wait_until(
    queue: &WaitQueue,
    ready: impl Fn() -> Option<()>,
    wait: Wait<'_>,
) -> Result<(), Errno> {
    match wait {
        Wait::Never => ready().ok_or(Errno::EAGAIN),
        Wait::For(caller) => Ok(interruptible(caller, queue.wait_until(ready)).await?),
    }
}

impl Limited for UserBuf<'_> {
    fn limit(&self) -> usize {
        self.remaining()
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
