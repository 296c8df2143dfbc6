//! What a system call leads to: below the calls, which return it, and below `run`, which acts on
//! it.

use super::exec::Program;
use super::exit_status::End;
use crate::errno::SysResult;
use alloc::boxed::Box;

/// What a system call leads to.
pub enum Outcome {
    /// Back to the program, with this result.
    Return(SysResult),
    /// Back to the program, whose registers have been set already.
    Resume,
    /// On to another program.
    Replace(Box<Program>),
    /// The end of the thread, or of all threads of the process.
    Exit(End),
}
