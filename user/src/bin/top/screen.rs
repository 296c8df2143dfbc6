//! The terminal: each report in the place of the one before, and keys.

use alloc::string::String;

use user::sys::Errno;
use user::sys::file::{self, Fd};
use user::sys::system;
use user::sys::terminal::{self, Settings, Size};

/// A terminal that says nothing of its size has this one.
const USUAL: Size = Size {
    rows: 24,
    columns: 80,
};

/// Tenths of a second: as long as a read may wait for a key.
const PATIENCE: u8 = 10;

// ECMA-48, 8.3: cursor position, erase in line, erase in page.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What was typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `q`, or ^C, which sends no signal meanwhile.
    Quit,
    /// Another key, or none.
    Other,
}

/// A terminal that gives keys one by one.
pub struct Screen {
    /// How it was before.
    settings: Settings,
}

impl Screen {
    /// None where there is no terminal to read from and write to.
    pub fn open() -> Option<Self> {
        if !file::is_terminal(Fd::STDOUT) {
            return None;
        }
        let settings = terminal::settings(Fd::STDIN).ok()?;
        terminal::set_settings(Fd::STDIN, &settings.key_by_key(PATIENCE)).ok()?;
        put(HOME);
        put(CLEAR_BELOW);
        Some(Self { settings })
    }

    /// Shows as much of a report as there is room for.
    pub fn show(&self, report: &str) {
        let size = terminal::size(Fd::STDOUT)
            .ok()
            .filter(|size| size.rows > 1 && size.columns > 1)
            .unwrap_or(USUAL);
        let mut frame = String::from(HOME);
        // The last row is left for the cursor.
        for line in report.lines().take(size.rows - 1) {
            frame.extend(line.chars().take(size.columns));
            frame.push_str(CLEAR_LINE);
            frame.push('\n');
        }
        frame.push_str(CLEAR_BELOW);
        put(&frame);
    }

    /// Waits so long (a second at most), or until a key is pressed.
    pub fn wait(&self, nanoseconds: u64) -> Key {
        let start = system::now();
        let mut key = [0];
        match file::read(Fd::STDIN, &mut key) {
            Ok(1..) if matches!(key, [b'q' | 0x03]) => Key::Quit,
            Ok(1..) | Err(Errno::EINTR) => Key::Other,
            // No key, or never one again.
            Ok(0) | Err(_) => {
                let passed = system::now().saturating_sub(start);
                // A well-formed sleep can only be interrupted, and that is dealt with.
                let _ = system::sleep(nanoseconds.saturating_sub(passed));
                Key::Other
            }
        }
    }

    /// Leaves the terminal as it was.
    pub fn close(self) {
        // No error can be shown when the terminal is gone.
        let _ = terminal::set_settings(Fd::STDIN, &self.settings);
    }
}

fn put(text: &str) {
    // As in `close`.
    let _ = file::write_all(Fd::STDOUT, text.as_bytes());
}
