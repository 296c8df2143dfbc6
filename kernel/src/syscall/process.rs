//! Making, replacing, ending and waiting for processes, and what they are called.

use super::not_yet;
use crate::arch::{self, UserContext};
use crate::errno::{Errno, SysResult};
use crate::memory::USER_END;
use crate::process::{self, ExitStatus, ForkRequest, Outcome, Pid, Process, Selector, Thread};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as linux;

/// The longest path, zero byte included.
const PATH_MAX: usize = 4096;

/// exit(2) and exit_group(2), the same for a process with one thread.
pub fn exit(status: usize) -> Outcome {
    Outcome::Exit(ExitStatus::Code(status as u8))
}

/// execve(2).
pub async fn execve(
    thread: &Thread,
    user: &mut UserContext,
    path: usize,
    arguments: usize,
    environment: usize,
) -> Outcome {
    match try_execve(thread, user, path, arguments, environment).await {
        Ok(()) => Outcome::Resume,
        Err(errno) => Outcome::Return(Err(errno)),
    }
}

async fn try_execve(
    thread: &Thread,
    user: &mut UserContext,
    path: usize,
    arguments: usize,
    environment: usize,
) -> Result<(), Errno> {
    let path = thread.space().read_string(path, PATH_MAX).await?;
    Ok(process::exec(thread, user, &path, arguments, environment).await?)
}

/// execveat(2), for paths only.
pub async fn execveat(
    thread: &Thread,
    user: &mut UserContext,
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
    execve(thread, user, path, arguments, environment).await
}

/// fork(2).
pub async fn fork(thread: &Thread, user: &UserContext) -> SysResult {
    made(process::fork(thread, user, ForkRequest::default()).await)
}

/// vfork(2).
pub async fn vfork(thread: &Thread, user: &UserContext) -> SysResult {
    let request = ForkRequest {
        borrows_memory: true,
        waits: true,
        ..ForkRequest::default()
    };
    made(process::fork(thread, user, request).await)
}

fn made(pid: Result<Pid, Errno>) -> SysResult {
    Ok(pid?.0 as usize)
}

/// clone(2), as far as it makes processes.
pub async fn clone(
    thread: &Thread,
    user: &UserContext,
    flags: usize,
    stack: usize,
    parent_tid: usize,
    child_tid: usize,
    tls: usize,
) -> SysResult {
    // The upper half is left alone: only clone3 has flags there.
    let flags = u64::from(flags as u32);
    let arguments = CloneArguments {
        // The low byte is the signal that the parent gets at the end.
        flags: flags & !0xff,
        exit_signal: flags & 0xff,
        stack,
        parent_tid,
        child_tid,
        tls,
    };
    made(process::fork(thread, user, arguments.request()?).await)
}

/// clone3(2), likewise.
pub async fn clone3(thread: &Thread, user: &UserContext, address: usize, size: usize) -> SysResult {
    // CLONE_ARGS_SIZE_VER0; what a longer structure adds must be zero.
    const FIRST: usize = 64;
    const LARGEST: usize = 4096;
    if size < FIRST {
        return Err(Errno::EINVAL);
    }
    if size > LARGEST {
        return Err(Errno::E2BIG);
    }
    let space = thread.space();
    let mut words = [0usize; FIRST / 8];
    for (index, word) in words.iter_mut().enumerate() {
        let at = address.checked_add(8 * index).ok_or(Errno::EFAULT)?;
        *word = space.read_word(at).await?;
    }
    for at in (FIRST..size).step_by(8) {
        if space.read_word(address + at).await? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    let [
        flags,
        _pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        tls,
    ] = words;
    if flags & 0xff != 0 || (stack == 0) != (stack_size == 0) {
        return Err(Errno::EINVAL);
    }
    let stack = stack
        .checked_add(stack_size)
        .filter(|&top| top <= USER_END)
        .ok_or(Errno::EINVAL)?;
    let (flags, exit_signal) = (flags as u64, exit_signal as u64);
    let arguments = CloneArguments {
        flags,
        exit_signal,
        stack,
        parent_tid,
        child_tid,
        tls,
    };
    drop(space);
    made(process::fork(thread, user, arguments.request()?).await)
}

struct CloneArguments {
    flags: u64,
    exit_signal: u64,
    stack: usize,
    parent_tid: usize,
    child_tid: usize,
    tls: usize,
}

/// Resets handlers in the child, of which there are none.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

impl CloneArguments {
    fn request(&self) -> Result<ForkRequest, Errno> {
        static THREADS: AtomicU64 = AtomicU64::new(0);
        static OTHERS: AtomicU64 = AtomicU64::new(0);
        let has = |flag: u32| self.flags & u64::from(flag) != 0;
        let borrows = linux::CLONE_VM | linux::CLONE_VFORK;
        if has(linux::CLONE_VM) && !has(linux::CLONE_VFORK) {
            return Err(not_yet(
                &THREADS,
                "threads (clone with CLONE_VM and without CLONE_VFORK)",
            ));
        }
        let known = borrows
            | linux::CLONE_SETTLS
            | linux::CLONE_PARENT_SETTID
            | linux::CLONE_CHILD_SETTID
            | linux::CLONE_CHILD_CLEARTID;
        if self.flags & !(u64::from(known) | CLONE_CLEAR_SIGHAND) != 0 {
            return Err(not_yet(
                &OTHERS,
                "clone with flags other than those of fork, vfork and posix_spawn",
            ));
        }
        if self.exit_signal != u64::from(linux::SIGCHLD) && self.exit_signal != 0 {
            return Err(Errno::EINVAL);
        }
        if has(linux::CLONE_SETTLS) && self.tls >= USER_END {
            return Err(Errno::EPERM);
        }
        let given = |flag, value| has(flag).then_some(value);
        Ok(ForkRequest {
            borrows_memory: has(linux::CLONE_VM),
            waits: has(linux::CLONE_VFORK),
            stack: (self.stack != 0).then_some(self.stack),
            tls: given(linux::CLONE_SETTLS, self.tls),
            parent_tid: given(linux::CLONE_PARENT_SETTID, self.parent_tid),
            child_tid: given(linux::CLONE_CHILD_SETTID, self.child_tid),
            clear_tid: given(linux::CLONE_CHILD_CLEARTID, self.child_tid),
        })
    }
}

/// wait4(2). There are no stopped children to report.
pub async fn wait4(
    thread: &Thread,
    pid: usize,
    status: usize,
    options: usize,
    usage: usize,
) -> SysResult {
    let known = linux::WNOHANG
        | linux::WUNTRACED
        | linux::WCONTINUED
        | linux::__WALL
        | linux::__WCLONE
        | linux::__WNOTHREAD;
    if options as u32 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let process = thread.process();
    let selector = match pid as i32 {
        -1 => Selector::Any,
        0 => Selector::Group(process.group.load(Ordering::Relaxed)),
        i32::MIN => return Err(Errno::ESRCH),
        group if group < 0 => Selector::Group(group.unsigned_abs()),
        pid => Selector::One(Pid(pid as u32)),
    };
    // __WCLONE asks for children that do not send SIGCHLD, which there are none of.
    if options as u32 & (linux::__WCLONE | linux::__WALL) == linux::__WCLONE {
        return Err(Errno::ECHILD);
    }
    let block = options as u32 & linux::WNOHANG == 0;
    let Some(reaped) = process::wait(process, selector, block).await? else {
        return Ok(0);
    };
    let space = thread.space();
    if status != 0 {
        space
            .write_bytes(status, &reaped.status.to_wait_status().to_le_bytes())
            .await?;
    }
    if usage != 0 {
        space
            .write_bytes(usage, &super::system::usage_of(reaped.cpu_time))
            .await?;
    }
    Ok(reaped.pid.0 as usize)
}

/// getpid(2), gettid(2).
pub fn getpid(thread: &Thread) -> SysResult {
    Ok(thread.process().pid.0 as usize)
}

/// getppid(2).
pub fn getppid(thread: &Thread) -> SysResult {
    Ok(thread
        .process()
        .parent()
        .map_or(0, |parent| parent.pid.0 as usize))
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
    let own = thread.process();
    let is_child = process
        .parent()
        .is_some_and(|parent| Arc::ptr_eq(&parent, own));
    if !Arc::ptr_eq(&process, own) && !is_child {
        return Err(Errno::ESRCH);
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
    getpid(thread)
}

/// set_robust_list(2): with one thread there is nobody to tell, so the list is never
/// walked.
pub fn set_robust_list(size: usize) -> SysResult {
    match size == size_of::<linux::robust_list_head>() {
        true => Ok(0),
        false => Err(Errno::EINVAL),
    }
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

/// sched_yield(2).
pub async fn sched_yield() -> SysResult {
    executor::yield_now().await;
    Ok(0)
}

/// sched_getaffinity(2): every process may run on every CPU. Returns the bytes of the
/// mask.
pub async fn sched_getaffinity(
    thread: &Thread,
    pid: usize,
    size: usize,
    address: usize,
) -> SysResult {
    named(thread, pid)?;
    let mask = u64::MAX >> (64 - arch::cpu_count());
    if size < 8 || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    thread
        .space()
        .write_bytes(address, &mask.to_le_bytes())
        .await?;
    Ok(8)
}
