//! Waiting for children. Both calls are one wait, which is told differently.

use super::system::write_usage;
use crate::errno::{Errno, SysResult};
use crate::fs::table::Fd;
use crate::process::{
    self, ChildKind, ChildReport, Pid, PidFd, Selector, SigInfo, Signal, Thread, WaitOptions,
};
use crate::wait::Wait;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

/// Options of both calls that say of which children, and whether to wait.
const COMMON: u32 =
    linux::WNOHANG | linux::WCONTINUED | linux::__WALL | linux::__WCLONE | linux::__WNOTHREAD;

/// wait4(2).
pub async fn wait4(
    thread: &Thread,
    pid: usize,
    status: usize,
    options: usize,
    usage: usize,
) -> SysResult {
    let options = options as u32;
    if options & !(COMMON | linux::WUNTRACED) != 0 {
        return Err(Errno::EINVAL);
    }
    let selector = match pid as i32 {
        -1 => Selector::Any,
        0 => own_group(thread),
        i32::MIN => return Err(Errno::ESRCH),
        group if group < 0 => Selector::Group(group.unsigned_abs()),
        pid => Selector::One(Pid(pid as u32)),
    };
    let news = WaitOptions {
        ended: true,
        stopped: options & linux::WUNTRACED != 0,
        continued: options & linux::WCONTINUED != 0,
        children: children_of(options),
        stays: false,
    };
    let Some(told) = wait(thread, selector, news, options).await? else {
        return Ok(0);
    };
    let space = thread.space();
    if status != 0 {
        space
            .write_bytes(status, &told.event.to_wait_status().to_le_bytes())
            .await?;
    }
    if usage != 0 {
        write_usage(thread, usage, told.usage).await?;
    }
    Ok(told.pid.0 as usize)
}

/// waitid(2).
pub async fn waitid(
    thread: &Thread,
    kind: usize,
    id: usize,
    info: usize,
    options: usize,
    usage: usize,
) -> SysResult {
    let told = wait_by_id(thread, kind as u32, id as i32, options as u32).await;
    let space = thread.space();
    let mut fields = [0; SigInfo::SIZE];
    if let Ok(Some(told)) = told {
        if usage != 0 {
            write_usage(thread, usage, told.usage).await?;
        }
        fields = *SigInfo::child(Signal::CHLD, told.event, told.pid, told.usage).bytes();
    }
    // As on Linux after a failure too, and no more than these fields.
    if info != 0 {
        for part in [SigInfo::HEAD, SigInfo::OF_CHILD] {
            let at = info.checked_add(part.start).ok_or(Errno::EFAULT)?;
            space.write_bytes(at, &fields[part]).await?;
        }
    }
    told.map(|_| 0)
}

async fn wait_by_id(
    thread: &Thread,
    kind: u32,
    id: i32,
    options: u32,
) -> Result<Option<ChildReport>, Errno> {
    const WHAT: u32 = linux::WEXITED | linux::WSTOPPED | linux::WCONTINUED;
    if options & !(COMMON | WHAT | linux::WNOWAIT) != 0 || options & WHAT == 0 {
        return Err(Errno::EINVAL);
    }
    let news = WaitOptions {
        ended: options & linux::WEXITED != 0,
        stopped: options & linux::WSTOPPED != 0,
        continued: options & linux::WCONTINUED != 0,
        children: children_of(options),
        stays: options & linux::WNOWAIT != 0,
    };
    let selector = match kind {
        linux::P_ALL => Selector::Any,
        linux::P_PID if id > 0 => Selector::One(Pid(id as u32)),
        linux::P_PGID if id == 0 => own_group(thread),
        linux::P_PGID if id > 0 => Selector::Group(id as u32),
        linux::P_PIDFD => return wait_by_pidfd(thread, id as usize, news, options).await,
        _ => return Err(Errno::EINVAL),
    };
    wait(thread, selector, news, options).await
}

async fn wait_by_pidfd(
    thread: &Thread,
    fd: usize,
    news: WaitOptions,
    options: u32,
) -> Result<Option<ChildReport>, Errno> {
    let file = thread.process().files().get(Fd::from_argument(fd))?;
    let process = match PidFd::process_of(&file) {
        Err(Errno::ESRCH) => return Err(Errno::ECHILD),
        process => process?,
    };
    let refuses = file.flags() & linux::O_NONBLOCK != 0 && options & linux::WNOHANG == 0;
    let options = options | if refuses { linux::WNOHANG } else { 0 };
    match wait(thread, Selector::One(process.pid), news, options).await? {
        None if refuses => Err(Errno::EAGAIN),
        report => Ok(report),
    }
}

async fn wait(
    thread: &Thread,
    selector: Selector,
    news: WaitOptions,
    options: u32,
) -> Result<Option<ChildReport>, Errno> {
    let how = match options & linux::WNOHANG != 0 {
        true => Wait::Never,
        false => Wait::For(thread),
    };
    process::wait(thread.process(), selector, news, how).await
}

/// Which children the options are about.
fn children_of(options: u32) -> ChildKind {
    if options & linux::__WALL != 0 {
        ChildKind::All
    } else if options & linux::__WCLONE != 0 {
        ChildKind::Clone
    } else {
        ChildKind::Usual
    }
}

fn own_group(thread: &Thread) -> Selector {
    Selector::Group(thread.process().group.load(Ordering::Relaxed))
}
