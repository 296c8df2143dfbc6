//! The kernel's counters, by `/proc/vmstat`. Linux has others than cowfork, so each may be
//! missing.

use crate::sys::file::{self, O_CLOEXEC, O_RDONLY};
use crate::sys::system;

/// The whole file as it was at one moment.
pub struct Vmstat {
    text: [u8; 16 * 1024],
    length: usize,
}

impl Vmstat {
    /// Reads the counters; without any where the file cannot be read.
    pub fn read() -> Self {
        let mut vmstat = Self {
            text: [0; 16 * 1024],
            length: 0,
        };
        if let Ok(fd) = file::open(c"/proc/vmstat", O_RDONLY | O_CLOEXEC, 0) {
            vmstat.length = file::read_full(fd, &mut vmstat.text).unwrap_or(0);
            // It was open.
            let _ = file::close(fd);
        }
        vmstat
    }

    /// The value of one counter.
    pub fn get(&self, key: &str) -> Option<u64> {
        let text = self.text.get(..self.length)?;
        let line = text
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b" "))?;
        core::str::from_utf8(line).ok()?.trim().parse().ok()
    }
}

/// The value of one counter now.
pub fn counter(key: &str) -> Option<u64> {
    Vmstat::read().get(key)
}

/// How long [`quiesce`] waits at most.
const PATIENCE_MS: u64 = 5_000;

/// Lets the kernel finish what it does behind the program's back: a process that was waited for
/// may still hold references until they are dropped. On cowfork that shows in its counters.
pub fn quiesce() {
    for _ in 0..PATIENCE_MS / 5 {
        system::sleep_ms(5);
        let now = Vmstat::read();
        if now.get("references_retired") == now.get("references_dropped") {
            break;
        }
    }
}
