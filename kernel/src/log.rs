//! The kernel's log: one line a record, on the second serial port.
//!
//! `[   0.123456 cpu0 INFO] text`. The parameter `log=LEVEL` (error, warn, info, debug,
//! trace) sets how much is said.

use crate::arch;
use core::fmt::{self, Write};
use log::{Log, Metadata, Record};
use spin::Mutex;

// On the host the log is that of the tests.
#[cfg_attr(not(target_os = "none"), allow(dead_code))]
struct KernelLog;

/// Keeps the lines of several CPUs apart.
static LINE: Mutex<()> = Mutex::new(());

/// Where formatted text goes.
pub struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        arch::log_write(text.as_bytes());
        Ok(())
    }
}

impl Log for KernelLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = arch::clock() / 1000;
        let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
        let _line = LINE.lock();
        // The port takes everything.
        let _ = writeln!(
            Port,
            "[{seconds:4}.{micros:06} {} {}] {}",
            arch::cpu(),
            record.level(),
            record.args()
        );
    }

    fn flush(&self) {}
}

/// Starts the log. `arch` declares it (`arch/upward.rs`) and calls it on the first CPU.
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
fn kernel_log() {
    // It is an error to set it twice; the first stays.
    let _ = log::set_logger(&KernelLog);
    log::set_max_level(log::LevelFilter::Info);
}

/// Sets how much is said; an unknown level changes nothing.
pub fn set_level(level: &str) {
    match level.parse() {
        Ok(level) => log::set_max_level(level),
        Err(_) => log::warn!("log={level}: no such level"),
    }
}

/// Lines a second that programs can cause at most, by crashing.
const RATION: u32 = 10;

/// Keeps programs from filling the log: so many lines a second, and how many were left out.
pub struct Rationed(Mutex<Ration>);

#[derive(Default)]
struct Ration {
    second: u64,
    said: u32,
    left_out: u64,
}

impl Rationed {
    /// Nothing said so far.
    #[allow(clippy::new_without_default)] // For statics, which need it to be const.
    pub const fn new() -> Rationed {
        Rationed(Mutex::new(Ration {
            second: 0,
            said: 0,
            left_out: 0,
        }))
    }

    /// Logs the line at level info, unless there were too many this second.
    pub fn info(&self, text: fmt::Arguments<'_>) {
        let left_out = self.0.lock().take(arch::clock() / 1_000_000_000);
        match left_out {
            None => return,
            Some(0) => {}
            Some(lines) => log::info!("{lines} lines like the next were left out"),
        }
        log::info!("{text}");
    }
}

impl Ration {
    /// Asks for one line: if it may be said, how many have not been since the last.
    fn take(&mut self, second: u64) -> Option<u64> {
        if second != self.second {
            self.second = second;
            self.said = 0;
        }
        if self.said == RATION {
            self.left_out += 1;
            return None;
        }
        self.said += 1;
        Some(core::mem::take(&mut self.left_out))
    }
}

/// A line without its head, exactly as given: for those that tools look for.
pub fn plain(text: fmt::Arguments<'_>) {
    let _line = LINE.lock();
    let _ = writeln!(Port, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_says_how_many_were_left_out() {
        let mut ration = Ration::default();
        assert!((0..RATION).all(|_| ration.take(7) == Some(0)));
        assert!((0..5).all(|_| ration.take(7).is_none()));
        assert_eq!((ration.take(8), ration.take(8)), (Some(5), Some(0)));
    }
}
