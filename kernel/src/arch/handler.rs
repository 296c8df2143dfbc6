//! What a signal handler is called with, and what it leaves behind: the parts of it that are
//! no registers. The machine puts them into the frame on the program's stack and takes them out
//! of it again.

use alloc::vec::Vec;

/// The alternative stack as a frame tells it (`stack_t`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StackNote {
    /// The lowest address.
    pub base: usize,
    /// `SS_*`.
    pub flags: u32,
    /// Bytes.
    pub size: usize,
}

/// A call of a handler.
pub struct HandlerCall<'a> {
    /// Where the handler begins.
    pub entry: usize,
    /// Where it returns to: code that makes the system call `rt_sigreturn`.
    pub restorer: usize,
    /// The signal's number.
    pub signal: u32,
    /// `siginfo_t`, without the zeroes at its end.
    pub info: &'a [u8],
    /// Signals that are held back again when the handler has returned.
    pub mask: u64,
    /// The alternative stack.
    pub stack: StackNote,
    /// The frame goes below this address.
    pub top: usize,
}

/// A frame that is to be written to the program's stack before the handler runs.
pub struct HandlerFrame {
    /// Where it belongs, the handler's first stack pointer.
    pub address: usize,
    /// What belongs there.
    pub bytes: Vec<u8>,
}

/// Why a context cannot be restored from a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFrame;

/// What the floating-point unit complains of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatError {
    /// An operation without a meaning.
    Invalid,
    /// A division by zero.
    DivideByZero,
    /// The result is too large.
    Overflow,
    /// The result, or an operand, is too small.
    Underflow,
    /// The result is not exact.
    Inexact,
    /// It does not say.
    Unknown,
}
