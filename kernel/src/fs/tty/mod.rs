//! Terminals: the console, and pseudo-terminals (tty(4), pty(7)).
//!
//! A [`Tty`] is what a program sees: the [line discipline](mod@line), the settings, the window, and the
//! session that it belongs to. What is behind it is the console's port or the other end of a
//! [`pair`]; both share everything else. Bytes typed come in by [`Tty::input`], for the console on the
//! interrupt path: the line discipline takes them under a spin lock, then, with no lock held,
//! the echo is sent, the foreground process group gets its signal, and readers are woken.
//! `reading` and `writing` are the calls that wait; `output` is what is done to bytes
//! on their way out; [`open`] finds the terminal that a name in `/dev` means.

pub mod line;
pub mod open;
mod output;
pub mod pair;
mod reading;
pub mod settings;
mod writing;

use super::device::Device;
use super::poll_queue::PollQueue;
use crate::arch::{self, Wanted};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use executor::Label;
use executor::sync::{Mutex as TaskMutex, WaitQueue};
use line::{Flow, Line, TerminalSignal};
use linux_raw_sys::general::{self as abi, winsize};
use pair::Pair;
use settings::{Mode, Settings};
use spin::{Mutex, Once};

/// Which processes get a signal of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalTarget {
    /// A process group.
    Group(i32),
    /// The leader of a session.
    Leader(i32),
}

/// What the process layer does for terminals.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Sends a signal. Called on the interrupt path: it must not allocate or wait. No lock of
    /// the terminal is held.
    pub send_signal: fn(to: SignalTarget, signal: u32),
    /// The session of a thread, by its number; 0 for none.
    pub session_of: fn(caller: i32) -> i32,
}

/// A terminal.
pub struct Tty {
    line: Mutex<Line>,
    /// See [`make_stream`](Tty::make_stream).
    stream: AtomicBool,
    /// The device has been told to wait.
    paused: AtomicBool,
    readers: WaitQueue,
    polls: PollQueue,
    /// Programs that wait for ^Q, or for room at the other end of a pair.
    writers: WaitQueue,
    /// Held by the call that prints.
    output: TaskMutex<()>,
    window: Mutex<winsize>,
    /// The process group that is in the foreground, or 0.
    foreground: AtomicI32,
    /// The session that has this terminal, or 0.
    session: AtomicI32,
    hooks: Once<Hooks>,
    /// The other end; none for the console.
    pair: Option<Pair>,
}

/// The terminal on the console.
pub fn console() -> &'static Tty {
    static CONSOLE: Tty = Tty::new(Mode::Interactive, None);
    &CONSOLE
}

/// Starts the console: from now on it listens. The hooks are those of all terminals.
pub fn start(hooks: Hooks) {
    console().hooks.call_once(|| hooks);
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
    const fn new(mode: Mode, pair: Option<Pair>) -> Tty {
        Tty {
            line: Mutex::new(Line::new(Settings::new(mode))),
            stream: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            readers: WaitQueue::labelled(&Label("terminal")),
            polls: PollQueue::new(&Label("poll: terminal")),
            writers: WaitQueue::labelled(&Label("terminal: output")),
            output: TaskMutex::new(()),
            window: Mutex::new(winsize {
                ws_row: if pair.is_some() { 0 } else { 25 },
                ws_col: if pair.is_some() { 0 } else { 80 },
                ws_xpixel: 0,
                ws_ypixel: 0,
            }),
            foreground: AtomicI32::new(0),
            session: AtomicI32::new(0),
            hooks: Once::new(),
            pair,
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
        if effect.flushes
            && let Some(pair) = &self.pair
        {
            pair.flush();
            self.writers.wake_all();
        }
        if !effect.echo().is_empty() {
            self.send(effect.echo());
        }
        if let Some(signal) = effect.signal {
            self.signal(signal);
        }
        if let Some(flow) = effect.flow {
            self.flow_changed(flow);
        }
        if effect.readable {
            self.readers.wake_one();
            self.polls.wake(0);
        }
        wanted
    }

    fn signal(&self, signal: TerminalSignal) {
        self.send_signal(SignalTarget::Group(self.foreground()), signal.number());
    }

    /// Sends a signal to the foreground (`TIOCSIG`).
    pub fn signal_foreground(&self, signal: u32) {
        self.send_signal(SignalTarget::Group(self.foreground()), signal);
    }

    fn send_signal(&self, to: SignalTarget, signal: u32) {
        let (SignalTarget::Group(number) | SignalTarget::Leader(number)) = to;
        if let Some(hooks) = self.hooks.get()
            && number > 0
        {
            (hooks.send_signal)(to, signal);
        }
    }

    /// Sends bytes to what is behind the terminal.
    fn send(&self, bytes: &[u8]) {
        match &self.pair {
            Some(pair) => pair.push(bytes),
            None => arch::console_write(bytes),
        }
    }

    /// Stops output, or lets it go on (^S, ^Q, tcflow(3)).
    pub fn set_flow(&self, flow: Flow) {
        let changed = self.line.lock().set_flow(flow);
        if changed {
            self.flow_changed(flow);
        }
    }

    fn flow_changed(&self, flow: Flow) {
        if let Some(pair) = &self.pair {
            pair.report(match flow {
                Flow::Stopped => abi::TIOCPKT_STOP,
                Flow::Going => abi::TIOCPKT_START,
            });
        }
        self.writers.wake_all();
        self.polls.wake(0);
    }

    /// The session's leader has left, or gives the terminal up: the foreground is told, and the
    /// terminal is free for another session (credentials(7)).
    pub fn leave_session(&self) {
        let foreground = SignalTarget::Group(self.foreground());
        self.set_session(0);
        self.set_foreground(0);
        self.send_signal(foreground, abi::SIGHUP);
        self.send_signal(foreground, abi::SIGCONT);
    }

    /// Takes the terminal away from its programs, because its other end is gone: reads find the end,
    /// everything else is `EIO`.
    fn hang_up(&self) {
        let leader = SignalTarget::Leader(self.session());
        self.set_session(0);
        self.set_foreground(0);
        self.send_signal(leader, abi::SIGHUP);
        self.send_signal(leader, abi::SIGCONT);
        self.readers.wake_all();
        self.writers.wake_all();
        self.polls.wake(0);
    }

    /// Whether its other end is gone.
    pub fn is_hung_up(&self) -> bool {
        self.pair.as_ref().is_some_and(Pair::is_hung_up)
    }

    /// The pseudo-terminal that it is a side of.
    pub fn pair(&self) -> Option<&Pair> {
        self.pair.as_ref()
    }

    /// Its device number.
    pub fn number(&self) -> u64 {
        match &self.pair {
            Some(pair) => Device::Slave(pair.index()).number(),
            None => Device::Console.number(),
        }
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        *self.line.lock().settings()
    }

    /// Changes the settings.
    pub fn set_settings(&self, settings: Settings, flush: Flush) {
        let (old, goes_on) = {
            let mut line = self.line.lock();
            let old = *line.settings();
            line.set_settings(settings);
            if flush == Flush::Yes {
                line.flush();
            }
            // Without flow control no key would start it again.
            let stays = !old.input(abi::IXON) || settings.input(abi::IXON);
            (old, !stays && line.set_flow(Flow::Going))
        };
        if let Some(pair) = &self.pair {
            pair.settings_changed(&old, &settings);
        }
        if goes_on {
            self.flow_changed(Flow::Going);
        }
        // What was an unfinished line may be readable now.
        self.readers.wake_all();
        self.polls.wake(0);
        if flush == Flush::Yes {
            self.resume_input();
        }
    }

    /// Discards unread input.
    pub fn flush_input(&self) {
        self.line.lock().flush();
        if let Some(pair) = &self.pair {
            pair.report(abi::TIOCPKT_FLUSHREAD);
        }
        self.resume_input();
    }

    /// Discards output that the other end has not taken.
    pub fn flush_output(&self) {
        if let Some(pair) = &self.pair {
            pair.flush();
            self.writers.wake_all();
        }
    }

    /// There is room for input again.
    fn resume_input(&self) {
        // Relaxed, as in `input`: the line's lock orders it.
        let resumes = {
            let line = self.line.lock();
            !line.is_full() && self.paused.swap(false, Ordering::Relaxed)
        };
        match &self.pair {
            Some(pair) if resumes => pair.input_has_room(),
            None if resumes => arch::resume_console_input(),
            _ => {}
        }
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
        let (input, output) = (
            abi::POLLIN | abi::POLLRDNORM,
            abi::POLLOUT | abi::POLLWRNORM,
        );
        if self.is_hung_up() {
            return input | output | abi::POLLERR | abi::POLLHUP;
        }
        let given = |is_there, events| if is_there { events } else { 0 };
        let is_ready = self.line.lock().is_ready();
        given(is_ready, input) | given(self.may_print(), output)
    }

    /// Those that wait for it to become ready.
    pub(in crate::fs) fn polls(&self) -> &PollQueue {
        &self.polls
    }
}

#[cfg(test)]
#[path = "tty_tests.rs"]
mod tests;
