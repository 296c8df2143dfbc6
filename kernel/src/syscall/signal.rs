//! Signals: sending, holding back, ignoring. Handlers are not there yet.

use super::not_yet;
use crate::errno::{Errno, SysResult};
use crate::process::{self, Disposition, Pid, Signal, Thread};
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as linux;

const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

fn checked(number: usize) -> Result<Option<Signal>, Errno> {
    // Zero sends nothing, and asks whether one could.
    match number as u32 {
        0 => Ok(None),
        number => Signal::new(number as usize).map(Some).ok_or(Errno::EINVAL),
    }
}

/// kill(2).
pub fn kill(thread: &Thread, pid: usize, signal: usize) -> SysResult {
    let signal = checked(signal)?;
    let own = thread.process();
    let any = match pid as i32 {
        0 => process::send_to_group(own.group.load(Ordering::Relaxed), signal),
        -1 => process::send_to_all(own.pid, signal),
        i32::MIN => false,
        group if group < 0 => process::send_to_group(group.unsigned_abs(), signal),
        pid => {
            let process = process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?;
            if let Some(signal) = signal {
                process::send(&process, signal);
            }
            true
        }
    };
    if any { Ok(0) } else { Err(Errno::ESRCH) }
}

/// tkill(2).
pub fn tkill(tid: usize, signal: usize) -> SysResult {
    if (tid as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(None, tid, signal)
}

/// tgkill(2).
pub fn tgkill(group: usize, tid: usize, signal: usize) -> SysResult {
    if (group as i32) <= 0 || (tid as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(Some(Pid(group as u32)), tid, signal)
}

/// Sends a signal to a thread; its default actions are those of the whole process.
fn send_to_thread(group: Option<Pid>, tid: usize, signal: usize) -> SysResult {
    let signal = checked(signal)?;
    let (process, _thread) = process::find_thread(Pid(tid as u32))
        .filter(|(process, _)| group.is_none_or(|group| process.pid == group))
        .ok_or(Errno::ESRCH)?;
    if let Some(signal) = signal {
        process::send(&process, signal);
    }
    Ok(0)
}

/// rt_sigaction(2): the default and ignoring.
pub async fn rt_sigaction(
    thread: &Thread,
    signal: usize,
    new: usize,
    old: usize,
    set_size: usize,
) -> SysResult {
    static ONCE: AtomicU64 = AtomicU64::new(0);
    let signal = Signal::new(signal as u32 as usize).ok_or(Errno::EINVAL)?;
    if set_size != 8 || (new != 0 && (signal == Signal::KILL || signal == Signal::STOP)) {
        return Err(Errno::EINVAL);
    }
    let process = thread.process();
    let space = thread.space();
    let wanted = if new != 0 {
        Some(space.read_word(new).await?)
    } else {
        None
    };
    if wanted.is_some_and(|handler| handler > SIG_IGN) {
        return Err(not_yet(&ONCE, "signal handlers"));
    }
    if old != 0 {
        let handler = match process.disposition(signal) {
            Disposition::Default => SIG_DFL,
            Disposition::Ignore => SIG_IGN,
        };
        // struct kernel_sigaction: handler, flags, restorer, mask.
        let mut action = [0; 32];
        action[..8].copy_from_slice(&handler.to_le_bytes());
        space.write_bytes(old, &action).await?;
    }
    match wanted {
        Some(SIG_DFL) => process.set_disposition(signal, Disposition::Default),
        Some(_) => process.set_disposition(signal, Disposition::Ignore),
        None => {}
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub async fn rt_sigprocmask(
    thread: &Thread,
    how: usize,
    new: usize,
    old: usize,
    set_size: usize,
) -> SysResult {
    if set_size != 8 {
        return Err(Errno::EINVAL);
    }
    let space = thread.space();
    let before = thread.tcb().blocked.load(Ordering::Relaxed);
    if new != 0 {
        let set = space.read_word(new).await? as u64;
        let blocked = match how as u32 {
            linux::SIG_BLOCK => before | set,
            linux::SIG_UNBLOCK => before & !set,
            linux::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        // Those two are left out without an error (sigprocmask(2)).
        let blocked = blocked & !(Signal::KILL.bit() | Signal::STOP.bit());
        thread.tcb().blocked.store(blocked, Ordering::Relaxed);
    }
    if old != 0 {
        space.write_bytes(old, &before.to_le_bytes()).await?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub async fn rt_sigpending(thread: &Thread, address: usize, set_size: usize) -> SysResult {
    if set_size > 8 {
        return Err(Errno::EINVAL);
    }
    let pending = thread.process().pending() & thread.tcb().blocked.load(Ordering::Relaxed);
    let set = pending.to_le_bytes();
    thread
        .space()
        .write_bytes(address, &set[..set_size])
        .await?;
    Ok(0)
}
