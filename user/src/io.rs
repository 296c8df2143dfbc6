//! `print!`, `println!`, `eprint!` and `eprintln!`.
//!
//! Standard output goes through a buffer that is written at each end of a line, when it is full,
//! before a fork and at exit: a line comes out in one piece even when several processes or threads
//! write.
//! Standard error is put together in a buffer of its own and written at the end of each call.

use core::fmt::{self, Write};

use crate::sync::{Guard, Mutex};
use crate::sys::file::{self, Fd};

const CAPACITY: usize = 512;

/// Bytes that wait to be written to a descriptor.
struct Buffer {
    fd: Fd,
    length: usize,
    bytes: [u8; CAPACITY],
}

impl Buffer {
    const fn new(fd: Fd) -> Self {
        Self {
            fd,
            length: 0,
            bytes: [0; CAPACITY],
        }
    }

    fn flush(&mut self) {
        if let Some(bytes) = self.bytes.get(..self.length) {
            // No error can be shown when the output is gone.
            let _ = file::write_all(self.fd, bytes);
        }
        self.length = 0;
    }

    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.length == CAPACITY {
                self.flush();
            }
            if let Some(slot) = self.bytes.get_mut(self.length) {
                *slot = *byte;
                self.length += 1;
            }
        }
        if bytes.contains(&b'\n') {
            self.flush();
        }
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// A value must not print while it is being printed: it would wait for itself.
static STDOUT: Mutex<Buffer> = Mutex::new(Buffer::new(Fd::STDOUT));

/// Writes out what was printed to standard output.
pub fn flush() {
    STDOUT.lock().flush();
}

/// Keeps the other threads from printing: for a fork, so that the child does not inherit a lock
/// whose owner it has not. What was printed before is written first, so that it does not come out
/// twice.
pub(crate) fn hold() -> impl Sized {
    let mut buffer: Guard<'_, Buffer> = STDOUT.lock();
    buffer.flush();
    buffer
}

/// Prints bytes as they are.
pub fn put(bytes: &[u8]) {
    STDOUT.lock().put(bytes);
}

/// Behind `print!`.
pub fn print(arguments: fmt::Arguments<'_>) {
    // Writing into the buffer cannot fail, and a value that cannot be shown has shown a part.
    let _ = STDOUT.lock().write_fmt(arguments);
}

/// Behind `eprint!`.
pub fn eprint(arguments: fmt::Arguments<'_>) {
    let mut buffer = Buffer::new(Fd::STDERR);
    let _ = buffer.write_fmt(arguments);
    buffer.flush();
}

#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::io::print(format_args!($($argument)*)) };
}

#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($format:literal $($argument:tt)*) => {
        $crate::print!("{}\n", format_args!($format $($argument)*))
    };
}

#[macro_export]
macro_rules! eprint {
    ($($argument:tt)*) => { $crate::io::eprint(format_args!($($argument)*)) };
}

#[macro_export]
macro_rules! eprintln {
    ($format:literal $($argument:tt)*) => {
        $crate::eprint!("{}\n", format_args!($format $($argument)*))
    };
}
