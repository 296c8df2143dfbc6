//! Redirections, for good in a child and for a while in the shell itself.

use alloc::vec::Vec;

use user::sys::file::{self, FD_CLOEXEC, Fd, O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
use user::sys::{self, Errno};
use user::{eprintln, io, number};

use crate::expand;
use crate::lex::Direction;
use crate::parse::Redirection;
use crate::state::{Shell, c_string};

/// Descriptors from here on are the shell's own.
const OWN: i32 = 10;

/// A redirection could not be made; it has been said why.
pub struct Failed;

/// Makes the redirections, in order.
pub fn apply(shell: &Shell, redirections: &[Redirection]) -> Result<(), Failed> {
    for redirection in redirections {
        let word = expand::single(shell, &redirection.word).map_err(|trouble| {
            eprintln!("sh: {trouble}");
            Failed
        })?;
        let target = Fd(redirection.descriptor);
        one(target, redirection.direction, &word).map_err(|errno| {
            eprintln!("sh: {}: {errno}", word.escape_ascii());
            Failed
        })?;
    }
    Ok(())
}

fn one(target: Fd, direction: Direction, word: &[u8]) -> sys::Result<()> {
    let flags = match direction {
        Direction::Read => O_RDONLY,
        Direction::Write => O_WRONLY | O_CREAT | O_TRUNC,
        Direction::Append => O_WRONLY | O_CREAT | O_APPEND,
        Direction::Duplicate if word == b"-" => {
            // Closing what is not open is no error here.
            let _ = file::close(target);
            return Ok(());
        }
        Direction::Duplicate => {
            let from = number::parse(word).and_then(|number| i32::try_from(number).ok());
            let from = Fd(from.ok_or(Errno::EBADF)?);
            if from != target {
                file::dup2(from, target)?;
            }
            return Ok(());
        }
    };
    move_to(file::open(&c_string(word.to_vec()), flags, 0o666)?, target)
}

/// Gives a descriptor another number.
pub fn move_to(from: Fd, target: Fd) -> sys::Result<()> {
    if from == target {
        return Ok(());
    }
    file::dup2(from, target)?;
    file::close(from)
}

/// Descriptors as they were before some redirections; puts them back when it goes.
pub struct Saved(Vec<(Fd, Option<Fd>)>);

impl Saved {
    /// Keeps what the redirections will change.
    pub fn keep(redirections: &[Redirection]) -> Self {
        let mut saved = Vec::new();
        for redirection in redirections {
            let fd = Fd(redirection.descriptor);
            if saved.iter().any(|(kept, _)| *kept == fd) {
                continue;
            }
            let copy = file::dup_from(fd, OWN).ok();
            if let Some(copy) = copy {
                // It is open.
                let _ = file::set_descriptor_flags(copy, FD_CLOEXEC);
            }
            saved.push((fd, copy));
        }
        Self(saved)
    }

    /// Lets the redirections stay (`exec` without a command).
    pub fn forget(mut self) {
        for (_, copy) in self.0.drain(..) {
            if let Some(copy) = copy {
                let _ = file::close(copy);
            }
        }
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // What the builtin printed goes to where it was sent.
        io::flush();
        for (fd, copy) in self.0.drain(..) {
            let _ = match copy {
                Some(copy) => move_to(copy, fd),
                None => file::close(fd),
            };
        }
    }
}
