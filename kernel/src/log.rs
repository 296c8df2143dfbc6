//! The kernel's log: one line a record, on the second serial port.
//!
//! `[   0.123456 cpu0 INFO] text`. The parameter `log=LEVEL` (error, warn, info, debug,
//! trace) sets how much is said.

use crate::arch;
use core::fmt::{self, Write};
use log::{LevelFilter, Log, Metadata, Record};
use spin::Mutex;

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

/// Starts the log.
pub fn init() {
    // It is an error to set it twice; the first stays.
    let _ = log::set_logger(&KernelLog);
    log::set_max_level(LevelFilter::Info);
}

/// Sets how much is said; an unknown level changes nothing.
pub fn set_level(level: &str) {
    match level.parse() {
        Ok(level) => log::set_max_level(level),
        Err(_) => log::warn!("log={level}: no such level"),
    }
}

/// A line without its head, exactly as given: for those that tools look for.
pub fn plain(text: fmt::Arguments<'_>) {
    let _line = LINE.lock();
    let _ = writeln!(Port, "{text}");
}
