//! The guest's console, outside the guest.
//!
//! Output is taken byte for byte from QEMU's standard output to where it is
//! wanted. Input that is not a terminal is copied to QEMU's standard input: not
//! before the kernel has spoken, because a serial port that is being set up
//! drops what it holds; and with a `^D` at its end, because the guest has a
//! terminal, and that is how a terminal's input ends.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::progress::{self, Spinner};

/// `^D`, the end of input on a terminal.
const END_OF_INPUT: u8 = 0x04;

/// How often the end is said again: a program that reads after the end must find
/// the end again, as it would with a file.
const END_AGAIN: Duration = Duration::from_millis(500);

/// How long to wait for the kernel's first word before it is given input. Too
/// early is too bad; and too late is only met by a kernel that says nothing.
const SILENCE: Duration = Duration::from_secs(20);

/// How many of the last bytes are kept when output is not captured.
const TAIL: usize = 64;

/// Where the guest's console output goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// To our standard output.
    Stdout,
    /// Into the outcome.
    Captured,
}

/// What the guest has written.
#[derive(Debug)]
pub struct Console {
    output: Output,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What was captured; else only the last bytes, to see QEMU's own word.
    bytes: Vec<u8>,
    /// The guest has written something.
    has_spoken: bool,
    /// Our own standard output does not take any more.
    is_refused: bool,
    /// The guest will write no more.
    is_over: bool,
}

impl Console {
    /// A console that has been silent so far.
    #[must_use]
    pub fn new(output: Output) -> Self {
        Self {
            output,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Takes everything from `qemu` to where it is wanted, until QEMU ends.
    ///
    /// QEMU is never kept waiting: a serial port that cannot send drops what it
    /// has. So what our standard output does not take yet is kept in memory.
    pub fn copy(&self, mut qemu: ChildStdout, spinner: &Spinner) {
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| self.write_out(receiver));
            let mut buffer = [0; 16 * 1024];
            while let Some(bytes) = next(&mut qemu, &mut buffer) {
                spinner.clear();
                let mut state = self.state();
                state.has_spoken = true;
                state.bytes.extend_from_slice(bytes);
                if self.output == Output::Stdout {
                    let old = state.bytes.len().saturating_sub(TAIL);
                    state.bytes.drain(..old);
                    // Refused output has ended the receiver, and is told by it.
                    let _ = sender.send(bytes.to_vec());
                }
                drop(state);
                self.changed.notify_all();
            }
            drop(sender);
        });
        self.state().is_over = true;
        self.changed.notify_all();
    }

    /// Writes what comes by `pieces` to our standard output.
    fn write_out(&self, pieces: mpsc::Receiver<Vec<u8>>) {
        let mut stdout = unbuffered_stdout();
        for piece in pieces {
            let written = match &mut stdout {
                Ok(stdout) => progress::write_all(stdout, &piece),
                Err(_) => Ok(()),
            };
            if written.is_err() {
                self.state().is_refused = true;
                return;
            }
        }
    }

    /// Waits until the captured output holds `text` at or after byte `from`, and
    /// returns where it ends. `None` when it does not come.
    #[must_use]
    pub fn wait_for(&self, text: &str, from: usize, timeout: Duration) -> Option<usize> {
        let found = |state: &State| {
            let mut windows = state.bytes.get(from..)?.windows(text.len());
            Some(from + windows.position(|window| window == text.as_bytes())? + text.len())
        };
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), timeout, |state| {
                !state.is_over && found(state).is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        found(&state)
    }

    /// What was captured so far.
    #[must_use]
    pub fn captured(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// What was captured so far; it is taken out.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().bytes)
    }

    /// Whether QEMU has said that it was told to quit, by Ctrl-A X
    /// (`mux_proc_byte` in its `chardev/char-mux.c`).
    #[must_use]
    pub fn says_terminated(&self) -> bool {
        let state = self.state();
        state.bytes.trim_ascii_end().ends_with(b"QEMU: Terminated")
    }

    /// Whether our standard output was closed at its other end.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.state().is_refused
    }

    /// Copies `stream` into the guest, then ends the guest's input, again and
    /// again until QEMU is gone. `log` is the kernel's log.
    pub fn feed(&self, mut stream: impl Read, mut qemu: ChildStdin, log: &Path) {
        self.wait_for_first_word(log);
        // A `^D` in the middle of a line only hands on the line so far.
        let mut in_line = false;
        let mut buffer = [0; 4096];
        while let Some(bytes) = next(&mut stream, &mut buffer) {
            in_line = bytes.last() != Some(&b'\n');
            if qemu.write_all(bytes).is_err() {
                return;
            }
        }
        if in_line && qemu.write_all(&[END_OF_INPUT]).is_err() {
            return;
        }
        while qemu.write_all(&[END_OF_INPUT]).is_ok() {
            thread::sleep(END_AGAIN);
        }
    }

    fn wait_for_first_word(&self, log: &Path) {
        let start = Instant::now();
        while start.elapsed() < SILENCE {
            let logged = fs::metadata(log).is_ok_and(|log| log.len() > 0);
            if logged || self.state().has_spoken || self.state().is_over {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The standard output without a buffer of ours.
fn unbuffered_stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// The next bytes of `stream`; `None` at its end, and where it cannot be read.
fn next<'a>(stream: &mut impl Read, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return None,
            Ok(length) => return buffer.get(..length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    /// A console whose guest is `cat`, fed with `input` until its `end`-th byte.
    fn echoed(input: &'static [u8], end: usize) -> Vec<u8> {
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat");
        let console = Arc::new(Console::new(Output::Captured));
        let to_cat = cat.stdin.take().expect("its input");
        let from_cat = cat.stdout.take().expect("its output");
        let copier = thread::spawn({
            let console = Arc::clone(&console);
            move || console.copy(from_cat, &Spinner::none())
        });
        thread::spawn({
            let console = Arc::clone(&console);
            // A log that is not empty: the kernel has spoken.
            move || console.feed(input, to_cat, Path::new("/proc/self/exe"))
        });
        let found = console.wait_for("\x04", end, Duration::from_secs(10));
        cat.kill().expect("to end cat");
        cat.wait().expect("the end of cat");
        copier.join().expect("the copier");
        assert!(found.is_some(), "the input has no end");
        console.take()
    }

    #[test]
    fn input_ends_with_a_control_d() {
        assert!(echoed(b"ls\n", 3).starts_with(b"ls\n\x04"));
    }

    #[test]
    fn an_unfinished_line_is_handed_on_first() {
        assert!(echoed(b"ls", 3).starts_with(b"ls\x04\x04"));
    }

    #[test]
    fn the_end_is_said_again() {
        assert!(echoed(b"", 1).starts_with(b"\x04\x04"));
    }

    #[test]
    fn what_does_not_come_is_not_waited_for_longer_than_asked() {
        let console = Console::new(Output::Captured);
        assert_eq!(console.wait_for("x", 0, Duration::from_millis(10)), None);
    }
}
