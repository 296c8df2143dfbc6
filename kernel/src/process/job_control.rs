//! The terminal and processes in the background (setpgid(2), termios(3)).

use super::ids::Pid;
use super::signal::{self, SigInfo, Signal};
use super::thread::Thread;
use crate::errno::Errno;
use core::sync::atomic::Ordering;

/// What a thread wants from its terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TerminalUse {
    /// To read from it.
    Read,
    /// To write to it, or to change it.
    Change,
}

/// Asks whether a thread may use a terminal of this session, with this group in the foreground. A
/// process of another group of that session gets `SIGTTIN` or `SIGTTOU`, with its whole group.
///
/// # Errors
/// `ERESTARTSYS` when the signal was sent; `EIO` where it would change nothing: for a read while it is
/// ignored or blocked, and for an orphaned group.
pub fn check_foreground(
    thread: &Thread,
    (session, foreground): (i32, i32),
    wants: TerminalUse,
) -> Result<(), Errno> {
    let process = thread.process();
    let group = process.group.load(Ordering::Relaxed);
    let own_session = process.session.load(Ordering::Relaxed);
    if session <= 0
        || own_session != session as u32
        || foreground <= 0
        || group == foreground as u32
        || process.pid == Pid::INIT
    {
        return Ok(());
    }
    let signal = match wants {
        TerminalUse::Read => Signal::TTIN,
        TerminalUse::Change => Signal::TTOU,
    };
    if (process.ignored() | thread.blocked()) & signal.bit() != 0 {
        return match wants {
            TerminalUse::Read => Err(Errno::EIO),
            TerminalUse::Change => Ok(()),
        };
    }
    if !signal::has_job_control(group) {
        return Err(Errno::EIO);
    }
    signal::send_to_group(group, Some(SigInfo::kernel(signal)), None);
    Err(Errno::ERESTARTSYS)
}
