//! What a person sees while waiting. It all goes to the standard error.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A turning wheel on the terminal; nothing where there is no terminal. It
/// disappears when it is dropped.
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Shows `text` until the spinner is dropped.
    #[must_use]
    pub fn start(text: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(text.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Shows nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Shows another text.
    pub fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }

    /// Clears the line.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Says that a step begins that may take its time, in cargo's manner.
pub fn step(verb: &str, what: &str) {
    if io::stderr().is_terminal() {
        note(&format!("\x1b[1;32m{verb:>12}\x1b[0m {what}"));
    } else {
        note(&format!("{verb:>12} {what}"));
    }
}

/// A line for the person.
pub fn note(line: &str) {
    // Nothing can be said if the standard error is gone.
    let _ = write_all(&mut io::stderr(), format!("{line}\n").as_bytes());
}

/// The standard error, for a child's standard output.
#[must_use]
pub fn stderr() -> Stdio {
    io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Writes all of `data`, also to a terminal that QEMU has made non-blocking: it
/// does that to its standard input, and the mode is shared by all processes
/// that have the terminal open.
pub fn write_all(to: &mut impl Write, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match to.write(data) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => data = data.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
