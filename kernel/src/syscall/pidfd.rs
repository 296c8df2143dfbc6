//! Processes by a descriptor: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). Waiting for one is
//! in `wait`, making one with its process in `clone`.

use super::signal::{given, send_to_process};
use crate::errno::{Errno, SysResult};
use crate::fs::table::{Fd, OnExec};
use crate::process::{self, Pid, PidFd, Process, SigInfo, Signal, Thread};
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

/// `PIDFD_SIGNAL_PROCESS_GROUP` and `PIDFD_SIGNAL_THREAD` have no meaning yet.
const PIDFD_SIGNAL_THREAD_GROUP: u32 = 1 << 1;

/// pidfd_open(2).
pub fn pidfd_open(thread: &Thread, pid: usize, flags: usize) -> SysResult {
    let flags = flags as u32;
    if flags & !linux::O_NONBLOCK != 0 || pid as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let process = process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?;
    if process.pid.0 != pid as u32 {
        // The number of a thread that does not lead its process.
        return Err(Errno::ENOENT);
    }
    let file = PidFd::open(&process, flags)?;
    let fd = thread.process().files().add(file, OnExec::Close)?;
    Ok(fd.0 as usize)
}

fn named(thread: &Thread, fd: usize) -> Result<Arc<Process>, Errno> {
    let file = thread.process().files().get(Fd::from_argument(fd))?;
    PidFd::process_of(&file)
}

/// pidfd_send_signal(2).
pub async fn pidfd_send_signal(
    thread: &Thread,
    fd: usize,
    signal: usize,
    info: usize,
    flags: usize,
) -> SysResult {
    if flags as u32 & !PIDFD_SIGNAL_THREAD_GROUP != 0 {
        return Err(Errno::EINVAL);
    }
    let target = named(thread, fd)?;
    let told = if info == 0 {
        let own = thread.process();
        let uid = own.with_credentials(|own| own.uid.real);
        match signal as u32 {
            0 => None,
            number => {
                let signal = Signal::new(number as usize).ok_or(Errno::EINVAL)?;
                Some(SigInfo::user(signal, own.pid, uid))
            }
        }
    } else {
        let number = thread.space().read_word(info).await? as u32;
        if number != signal as u32 {
            return Err(Errno::EINVAL);
        }
        given(thread, target.pid.0 as usize, signal, info).await?
    };
    send_to_process(thread, &target, told)?;
    Ok(0)
}

/// pidfd_getfd(2).
pub fn pidfd_getfd(thread: &Thread, fd: usize, target: usize, flags: usize) -> SysResult {
    if flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let process = named(thread, fd)?;
    if !process::may_access(thread.process(), &process) {
        return Err(Errno::EPERM);
    }
    if process.exit_status().is_some() {
        return Err(Errno::ESRCH);
    }
    let file = process.files().get(Fd::from_argument(target))?;
    let fd = thread.process().files().add(file, OnExec::Close)?;
    Ok(fd.0 as usize)
}
