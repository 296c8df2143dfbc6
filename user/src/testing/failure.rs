//! Why a case failed, in words, without allocating: memory may be what ran out.

use core::fmt::{self, Write};

use crate::sys::{self, Errno};

/// Small enough to be passed around by value.
const CAPACITY: usize = 124;

/// What a case, or a step of one, comes to.
pub type Verdict = Result<(), Failure>;

/// A sentence that says what was wrong; a long one is cut.
pub struct Failure {
    text: [u8; CAPACITY],
    length: u8,
}

impl Failure {
    pub fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut failure = Self {
            text: [0; CAPACITY],
            length: 0,
        };
        // It fails only when the text is full, and then the beginning will do.
        let _ = failure.write_fmt(arguments);
        failure
    }
}

impl Write for Failure {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self
                .text
                .get_mut(usize::from(self.length))
                .ok_or(fmt::Error)? = byte;
            self.length += 1;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self
            .text
            .get(..usize::from(self.length))
            .unwrap_or_default();
        write!(
            f,
            "{}",
            text.utf8_chunks().next().map_or("", |chunk| chunk.valid())
        )
    }
}

/// Turns an error number into a failure that says what was tried.
pub trait Explain<T> {
    fn or_fail(self, what: &str) -> Result<T, Failure>;
}

impl<T> Explain<T> for sys::Result<T> {
    fn or_fail(self, what: &str) -> Result<T, Failure> {
        self.map_err(|errno| Failure::new(format_args!("{what}: {errno:?}")))
    }
}

/// Expects exactly that error.
pub fn expect_error<T>(what: &str, result: sys::Result<T>, expected: Errno) -> Verdict {
    match result {
        Err(errno) if errno == expected => Ok(()),
        Err(errno) => Err(Failure::new(format_args!(
            "{what}: {errno:?}, not {expected:?}"
        ))),
        Ok(_) => Err(Failure::new(format_args!(
            "{what}: worked, should be {expected:?}"
        ))),
    }
}

/// Fails the case with a message.
#[macro_export]
macro_rules! fail {
    ($($argument:tt)*) => {
        return Err($crate::testing::Failure::new(format_args!($($argument)*)))
    };
}

/// Fails the case with a message unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($argument:tt)*) => {
        if !$condition {
            $crate::fail!($($argument)*);
        }
    };
}
