//! The terminal and processes in the background (setpgid(2), termios(3)).

use super::credentials::Capability;
use super::ids::{self, Pid};
use super::signal::{self, SigInfo, Signal};
use super::state::Process;
use super::thread::Thread;
use crate::errno::Errno;
use crate::fs::tty::{SignalTarget, Tty, open};
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

/// What a key on a terminal does, or its end.
pub fn signal_by_terminal(to: SignalTarget, signal: u32) {
    let Some(signal) = Signal::new(signal as usize) else {
        return;
    };
    let info = SigInfo::kernel(signal);
    match to {
        SignalTarget::Group(group) => {
            signal::send_to_group(group as u32, Some(info), None);
        }
        SignalTarget::Leader(leader) => {
            if let Some(process) = ids::find(Pid(leader as u32)) {
                // It has no value that could be too much.
                let _ = signal::send(&process, info);
            }
        }
    }
}

/// The session of the thread with this number; 0 if there is none.
pub fn session_of(thread: i32) -> i32 {
    let process = ids::find(Pid(thread as u32));
    process.map_or(0, |process| process.session.load(Ordering::Relaxed) as i32)
}

fn leads_session(process: &Process) -> bool {
    process.session.load(Ordering::Relaxed) == process.pid.0
}

/// Whether this is the terminal of the process's session.
pub fn has_terminal(process: &Process, tty: &Tty) -> bool {
    tty.session() > 0 && tty.session() as u32 == process.session.load(Ordering::Relaxed)
}

/// Makes a terminal that of the session, whose leader the thread must be (`TIOCSCTTY`). `steals` takes
/// it away from another session.
///
/// # Errors
/// `EPERM` for other threads, for a session that has a terminal, and for a terminal of another session.
pub fn take_terminal(thread: &Thread, tty: &Tty, steals: bool) -> Result<(), Errno> {
    let process = thread.process();
    if leads_session(process) && has_terminal(process, tty) {
        return Ok(());
    }
    let session = process.session.load(Ordering::Relaxed) as i32;
    if !leads_session(process) || open::of_session(session).is_some() {
        return Err(Errno::EPERM);
    }
    let is_admin = process.with_credentials(|own| own.has(Capability::SysAdmin));
    if tty.session() > 0 && !(steals && is_admin) {
        return Err(Errno::EPERM);
    }
    tty.set_session(session);
    tty.set_foreground(process.group.load(Ordering::Relaxed) as i32);
    Ok(())
}

/// Gives the session's terminal up (`TIOCNOTTY`). Only the leader's word counts; of another process
/// Linux would forget the terminal for that one alone.
///
/// # Errors
/// `ENOTTY` for another terminal.
pub fn give_up_terminal(thread: &Thread, tty: &Tty) -> Result<(), Errno> {
    let process = thread.process();
    if !has_terminal(process, tty) {
        return Err(Errno::ENOTTY);
    }
    if leads_session(process) {
        tty.leave_session();
    }
    Ok(())
}

/// A process has ended: a session without its leader has no terminal.
pub(super) fn leave_terminal(process: &Process) {
    if leads_session(process)
        && let Some(tty) = open::of_session(process.pid.0 as i32)
    {
        tty.leave_session();
    }
}

/// Puts a process group into the foreground (`TIOCSPGRP`); the terminal is that of the
/// thread's session, and the thread may change it.
///
/// # Errors
/// `ESRCH` when there is no such group, `EPERM` for one of another session.
pub fn set_foreground(thread: &Thread, tty: &Tty, group: u32) -> Result<(), Errno> {
    let session = thread.process().session.load(Ordering::Relaxed);
    let mut is_there = false;
    let is_ours = ids::any(|process| {
        let is_member = process.group.load(Ordering::Relaxed) == group;
        is_there |= is_member;
        is_member && process.session.load(Ordering::Relaxed) == session
    });
    match (is_ours, is_there) {
        (true, _) => tty.set_foreground(group as i32),
        (_, true) => return Err(Errno::EPERM),
        _ => return Err(Errno::ESRCH),
    }
    Ok(())
}
