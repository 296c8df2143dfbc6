//! Replacing and ending processes, and what they are called.

use super::not_yet;
use crate::arch::UserContext;
use crate::errno::{Errno, SysResult};
use crate::memory::USER_END;
use crate::process::{self, End, ExitStatus, Outcome, Pid, Process, Program, Thread};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as linux;

/// The longest path, zero byte included.
const PATH_MAX: usize = 4096;

/// exit(2): the thread alone.
pub fn exit(status: usize) -> Outcome {
    Outcome::Exit(End::Thread(ExitStatus::Code(status as u8)))
}

/// exit_group(2).
pub fn exit_group(status: usize) -> Outcome {
    Outcome::Exit(End::Process(ExitStatus::Code(status as u8)))
}

/// execve(2).
pub async fn execve(thread: &Thread, path: usize, arguments: usize, environment: usize) -> Outcome {
    match try_execve(thread, path, arguments, environment).await {
        Ok(program) => Outcome::Replace(program),
        Err(errno) => Outcome::Return(Err(errno)),
    }
}

async fn try_execve(
    thread: &Thread,
    path: usize,
    arguments: usize,
    environment: usize,
) -> Result<Box<Program>, Errno> {
    let path = thread.space().read_string(path, PATH_MAX).await?;
    let program = process::exec(thread, &path, arguments, environment).await?;
    Ok(Box::new(program))
}

/// execveat(2), for paths only.
pub async fn execveat(
    thread: &Thread,
    directory: usize,
    path: usize,
    arguments: usize,
    environment: usize,
    flags: usize,
) -> Outcome {
    static ONCE: AtomicU64 = AtomicU64::new(0);
    if directory as i32 != linux::AT_FDCWD || flags != 0 {
        return Outcome::Return(Err(not_yet(&ONCE, "execveat relative to a descriptor")));
    }
    execve(thread, path, arguments, environment).await
}

/// getpid(2).
pub fn getpid(thread: &Thread) -> SysResult {
    Ok(thread.process().pid.0 as usize)
}

/// gettid(2).
pub fn gettid(thread: &Thread) -> SysResult {
    Ok(thread.tid().0 as usize)
}

/// getppid(2).
pub fn getppid(thread: &Thread) -> SysResult {
    Ok(thread.process().parent_pid() as usize)
}

fn named(thread: &Thread, pid: usize) -> Result<Arc<Process>, Errno> {
    match pid as i32 {
        0 => Ok(thread.process().clone()),
        pid => process::find(Pid(pid as u32)).ok_or(Errno::ESRCH),
    }
}

/// getpgid(2).
pub fn getpgid(thread: &Thread, pid: usize) -> SysResult {
    Ok(named(thread, pid)?.group.load(Ordering::Relaxed) as usize)
}

/// getsid(2).
pub fn getsid(thread: &Thread, pid: usize) -> SysResult {
    Ok(named(thread, pid)?.session.load(Ordering::Relaxed) as usize)
}

/// setpgid(2).
pub fn setpgid(thread: &Thread, pid: usize, group: usize) -> SysResult {
    if (group as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let process = named(thread, pid)?;
    if pid as u32 != 0 && pid as u32 != process.pid.0 {
        // The number of a thread.
        return Err(Errno::EINVAL);
    }
    let own = thread.process();
    let is_child = process
        .parent()
        .is_some_and(|parent| Arc::ptr_eq(&parent, own));
    if !Arc::ptr_eq(&process, own) && !is_child {
        return Err(Errno::ESRCH);
    }
    if is_child && process.has_executed() {
        return Err(Errno::EACCES);
    }
    let session = own.session.load(Ordering::Relaxed);
    if process.session.load(Ordering::Relaxed) != session || process.pid.0 == session {
        return Err(Errno::EPERM);
    }
    let group = if group == 0 {
        process.pid.0
    } else {
        group as u32
    };
    let exists = group == process.pid.0
        || process::any(|other| {
            other.group.load(Ordering::Relaxed) == group
                && other.session.load(Ordering::Relaxed) == session
        });
    if !exists {
        return Err(Errno::EPERM);
    }
    process.group.store(group, Ordering::Relaxed);
    Ok(0)
}

/// setsid(2).
pub fn setsid(thread: &Thread) -> SysResult {
    let process = thread.process();
    let pid = process.pid.0;
    if process::any(|other| other.group.load(Ordering::Relaxed) == pid) {
        return Err(Errno::EPERM);
    }
    process.session.store(pid, Ordering::Relaxed);
    process.group.store(pid, Ordering::Relaxed);
    Ok(pid as usize)
}

/// set_tid_address(2).
pub fn set_tid_address(thread: &Thread, address: usize) -> SysResult {
    thread.clear_tid.store(address, Ordering::Relaxed);
    gettid(thread)
}

// asm/prctl.h; the bindings have the one of the first only.
const ARCH_SET_GS: u32 = 0x1001;
const ARCH_SET_FS: u32 = linux::ARCH_SET_FS;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;

/// arch_prctl(2): the bases of FS and GS.
pub async fn arch_prctl(
    thread: &Thread,
    user: &mut UserContext,
    code: usize,
    address: usize,
) -> SysResult {
    match code as u32 {
        ARCH_SET_FS | ARCH_SET_GS if address >= USER_END => return Err(Errno::EPERM),
        ARCH_SET_FS => user.set_tls(address),
        ARCH_SET_GS => user.set_gs_base(address),
        ARCH_GET_FS => {
            thread
                .space()
                .write_bytes(address, &user.tls().to_le_bytes())
                .await?
        }
        ARCH_GET_GS => {
            thread
                .space()
                .write_bytes(address, &user.gs_base().to_le_bytes())
                .await?
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
