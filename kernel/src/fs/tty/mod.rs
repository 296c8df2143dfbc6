//! The console as a terminal.
//!
//! Bytes typed come in by [`Tty::input`] on the interrupt path: the
//! [line discipline](mod@line) takes them under a spin lock, then, with no lock held, the echo
//! is sent, the foreground process group gets its signal, and readers are woken.
//! A writer holds an async mutex, so that writes of up to [`WHOLE`] bytes are not mixed with
//! each other, and yields between small chunks, because the port is slow.

pub mod line;
pub mod settings;

use super::poll_queue::PollQueue;
use crate::arch::{self, Access, Wanted};
use crate::errno::{Errno, SysResult};
use crate::memory::{Source, UserBuf};
use crate::sched;
use crate::wait::{Caller, Wait, interruptible};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use executor::Label;
use executor::sync::{Mutex as TaskMutex, WaitQueue};
use line::{Line, LineRead, TerminalSignal};
use linux_raw_sys::general::{self as abi, winsize};
use settings::{Mode, Settings};
use spin::{Mutex, Once};

/// Writes up to this size come out in one piece.
pub const WHOLE: usize = 4096;
/// How many bytes are sent before others on this CPU have their chance.
const CHUNK: usize = 256;

/// Sends a signal to a process group. Called on the interrupt path: it must
/// not allocate or wait. No lock of the terminal is held.
pub type SendSignal = fn(group: i32, signal: u32);

/// A terminal.
pub struct Tty {
    line: Mutex<Line>,
    /// See [`make_stream`](Tty::make_stream).
    stream: AtomicBool,
    /// The device has been told to wait.
    paused: AtomicBool,
    readers: WaitQueue,
    polls: PollQueue,
    /// Held by the call that prints.
    output: TaskMutex<()>,
    window: Mutex<winsize>,
    /// The process group that is in the foreground, or 0.
    foreground: AtomicI32,
    /// The session that has this terminal, or 0.
    session: AtomicI32,
    send_signal: Once<SendSignal>,
}

/// The terminal on the console.
pub fn console() -> &'static Tty {
    static CONSOLE: Tty = Tty::new(Mode::Interactive);
    &CONSOLE
}

/// Starts the console: from now on it listens. `send_signal` is what the
/// process layer does for ^C.
pub fn start(send_signal: SendSignal) {
    console().send_signal.call_once(|| send_signal);
    arch::set_console_input(|byte| console().input(byte));
}

/// Whether unread input is discarded when the settings change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    /// It is (`TCSETSF`).
    Yes,
    /// It is kept.
    No,
}

impl Tty {
    const fn new(mode: Mode) -> Tty {
        Tty {
            line: Mutex::new(Line::new(Settings::new(mode))),
            stream: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            readers: WaitQueue::labelled(&Label("terminal")),
            polls: PollQueue::new(&Label("poll: terminal")),
            output: TaskMutex::new(()),
            window: Mutex::new(winsize {
                ws_row: 25,
                ws_col: 80,
                ws_xpixel: 0,
                ws_ypixel: 0,
            }),
            foreground: AtomicI32::new(0),
            session: AtomicI32::new(0),
            send_signal: Once::new(),
        }
    }

    /// From now on output goes out as it is, input is not echoed, and programs are told that
    /// this is no terminal: for a console that is read by a program. Input is still taken by
    /// lines, so that ^D can end it.
    pub fn make_stream(&self) {
        self.set_settings(Settings::new(Mode::Unchanged), Flush::No);
        // Relaxed: a flag that stands for itself.
        self.stream.store(true, Ordering::Relaxed);
    }

    /// Whether a program is at the other end, and no person.
    pub fn is_stream(&self) -> bool {
        self.stream.load(Ordering::Relaxed)
    }

    /// Takes a byte that was typed. On the interrupt path. When the buffer is full of unread lines,
    /// the device keeps what follows until [`read`](Self::read) has made room.
    pub fn input(&self, byte: u8) -> Wanted {
        let (effect, wanted) = {
            let mut line = self.line.lock();
            let effect = line.input(byte);
            // Relaxed, as in `attempt`: under the line's lock.
            self.paused.store(line.is_full(), Ordering::Relaxed);
            (
                effect,
                if line.is_full() {
                    Wanted::Pause
                } else {
                    Wanted::More
                },
            )
        };
        if !effect.echo().is_empty() {
            arch::console_write(effect.echo());
        }
        if let Some(signal) = effect.signal {
            self.signal(signal);
        }
        if effect.readable {
            self.readers.wake_one();
            self.polls.wake(0);
        }
        wanted
    }

    fn signal(&self, signal: TerminalSignal) {
        let group = self.foreground();
        if let Some(send) = self.send_signal.get()
            && group > 0
        {
            send(group, signal.number());
        }
    }

    /// Reads what was typed: a line, or under raw rules what `VMIN` and `VTIME` say
    /// (termios(3)). Of `VTIME` only the meaning that it has with a `VMIN` of 0 is known: how
    /// long to wait for the first byte.
    pub async fn read(&self, to: &mut UserBuf<'_>, how: Wait<'_>) -> SysResult {
        let before = to.done();
        loop {
            let mut step = self.attempt(to, before);
            if step == LineRead::Empty {
                let Wait::For(caller) = how else {
                    return Err(Errno::EAGAIN);
                };
                let patience = self.line.lock().settings().patience();
                let wait = self.readers.wait_until(|| {
                    Some(self.attempt(to, before)).filter(|&step| step != LineRead::Empty)
                });
                let waited = match patience {
                    None => interruptible(caller, wait).await.map(Ok),
                    Some(time) => {
                        let wait = sched::executor().timeout(time, wait);
                        interruptible(caller, wait).await
                    }
                };
                step = match waited {
                    Ok(Ok(step)) => step,
                    Ok(Err(_)) => return Ok(0),
                    Err(interrupted) => {
                        let done = to.done() - before;
                        return if done > 0 {
                            Ok(done)
                        } else {
                            Err(interrupted.into())
                        };
                    }
                };
                // This was the one that was woken: pass it on if something is left.
                if self.line.lock().is_ready() {
                    self.readers.wake_one();
                }
            }
            if let LineRead::Done(_) = step {
                return Ok(to.done() - before);
            }
            if let Err(error) = to.fault_in(Access::Write).await {
                let done = to.done() - before;
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(error.into())
                };
            }
        }
    }

    fn attempt(&self, to: &mut UserBuf<'_>, before: usize) -> LineRead {
        let (max, done) = (to.remaining(), to.done() - before);
        let (step, resumes) = {
            let mut line = self.line.lock();
            let step = line.read(to, max, done);
            (
                step,
                !line.is_full() && self.paused.swap(false, Ordering::Relaxed),
            )
        };
        if resumes {
            arch::resume_console_input();
        }
        step
    }

    /// Prints.
    pub async fn write(&self, from: &mut UserBuf<'_>, caller: &dyn Caller) -> SysResult {
        let before = from.done();
        while from.remaining() > 0 {
            let _printing = match interruptible(caller, self.output.lock()).await {
                Ok(guard) => guard,
                Err(_) if from.done() > before => break,
                Err(interrupted) => return Err(interrupted.into()),
            };
            let end = from.done() + from.remaining().min(WHOLE);
            while from.done() < end {
                let max = CHUNK.min(end - from.done());
                if self.print(from, max) == 0
                    && let Err(error) = from.fault_in(Access::Read).await
                {
                    let done = from.done() - before;
                    return if done > 0 {
                        Ok(done)
                    } else {
                        Err(error.into())
                    };
                }
                if from.done() < end {
                    executor::yield_now().await;
                }
            }
        }
        Ok(from.done() - before)
    }

    /// Prints up to `max` bytes, `CHUNK` at most, and says how many it got.
    pub(super) fn print(&self, from: &mut (impl Source + ?Sized), max: usize) -> usize {
        let mut chunk = [0; CHUNK];
        let taken = from.take(&mut chunk[..max.min(CHUNK)]);
        let chunk = &chunk[..taken];
        if !self.line.lock().settings().adds_returns() {
            arch::console_write(chunk);
            return taken;
        }
        let mut out = [0; 2 * CHUNK];
        let length = add_returns(chunk, &mut out);
        arch::console_write(&out[..length]);
        taken
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        *self.line.lock().settings()
    }

    /// Changes the settings.
    pub fn set_settings(&self, settings: Settings, flush: Flush) {
        {
            let mut line = self.line.lock();
            line.set_settings(settings);
            if flush == Flush::Yes {
                line.flush();
            }
        }
        // What was an unfinished line may be readable now.
        self.readers.wake_all();
        self.polls.wake(0);
    }

    /// Discards unread input.
    pub fn flush_input(&self) {
        self.line.lock().flush();
    }

    /// Waits until what others are printing is out (tcdrain(3)).
    pub async fn drain(&self) {
        let _printing = self.output.lock().await;
    }

    /// The size of the window.
    pub fn window(&self) -> winsize {
        *self.window.lock()
    }

    /// Changes the size of the window, and tells the foreground processes.
    pub fn set_window(&self, size: winsize) {
        let old = core::mem::replace(&mut *self.window.lock(), size);
        if (old.ws_row, old.ws_col) != (size.ws_row, size.ws_col) {
            self.signal(TerminalSignal::Resized);
        }
    }

    /// The foreground process group, or 0.
    pub fn foreground(&self) -> i32 {
        // Relaxed: a number that stands for itself.
        self.foreground.load(Ordering::Relaxed)
    }

    /// The session that has this terminal and its foreground group, each 0 for none.
    pub fn owner(&self) -> (i32, i32) {
        (self.session(), self.foreground())
    }

    /// Puts a process group into the foreground.
    pub fn set_foreground(&self, group: i32) {
        self.foreground.store(group, Ordering::Relaxed);
    }

    /// The session that has this terminal, or 0.
    pub fn session(&self) -> i32 {
        self.session.load(Ordering::Relaxed)
    }

    /// Makes it the terminal of a session, or of none (0).
    pub fn set_session(&self, session: i32) {
        self.session.store(session, Ordering::Relaxed);
    }

    /// How many bytes a read would deliver.
    pub fn readable(&self) -> usize {
        self.line.lock().readable()
    }

    /// What `poll` reports.
    pub fn ready(&self) -> u32 {
        let output = abi::POLLOUT | abi::POLLWRNORM;
        if self.line.lock().is_ready() {
            output | abi::POLLIN | abi::POLLRDNORM
        } else {
            output
        }
    }

    /// Those that wait for it to become ready.
    pub(super) fn polls(&self) -> &PollQueue {
        &self.polls
    }
}

/// Copies `bytes` with a carriage return before each newline (`ONLCR`), and says how many
/// bytes that makes. `out` has twice the room.
fn add_returns(bytes: &[u8], out: &mut [u8; 2 * CHUNK]) -> usize {
    let mut length = 0;
    for &byte in bytes {
        if byte == b'\n' {
            out[length] = b'\r';
            length += 1;
        }
        out[length] = byte;
        length += 1;
    }
    length
}

#[cfg(test)]
#[path = "tty_tests.rs"]
mod tests;
