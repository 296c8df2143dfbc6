//! The memory of another process: process_vm_readv(2), process_vm_writev(2), and advice about it
//! (process_madvise(2)).
//!
//! Bytes go through a page of the kernel's, in pieces: a CPU is in one address space at a time
//! (rule M6). What was moved before an error is the result.

use super::memory::advise;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::fs::table::Fd;
use crate::memory::{self, AddressSpace, FRAME_SIZE, Sink, Source, UserBuf, fallible, within};
use crate::process::{self, Pid, PidFd, Process, Thread};
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the other process.
    Read,
    /// To it.
    Write,
}

/// process_vm_readv(2) and process_vm_writev(2).
pub async fn process_vm(
    thread: &Thread,
    pid: usize,
    (local, local_count): (usize, usize),
    (remote, remote_count): (usize, usize),
    flags: usize,
    direction: Direction,
) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let mut own = UserBuf::vectored(thread.space(), local, local_count).await?;
    if own.remaining() == 0 {
        return Ok(0);
    }
    let process = process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?;
    let space = accessible(thread, &process)?;
    let mut theirs = UserBuf::vectored_in(thread.space(), &space, remote, remote_count).await?;
    let result = match direction {
        Direction::Read => copy_in(&space, &mut theirs, &mut own).await,
        Direction::Write => copy_out(&space, &mut own, &mut theirs).await,
    };
    let done = match direction {
        Direction::Read => own.done(),
        Direction::Write => theirs.done(),
    };
    match result {
        Err(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// The memory of a process, if the thread may have it.
fn accessible(thread: &Thread, process: &Process) -> Result<Arc<AddressSpace>, Errno> {
    if !process::may_access(thread.process(), process) {
        return Err(Errno::EPERM);
    }
    process.space().ok_or(Errno::ESRCH)
}

async fn copy_in(
    space: &Arc<AddressSpace>,
    theirs: &mut UserBuf<'_>,
    own: &mut UserBuf<'_>,
) -> Result<(), Errno> {
    let mut page = fallible::vec::<u8>(FRAME_SIZE)?;
    page.resize(FRAME_SIZE, 0);
    while own.remaining() > 0 && theirs.remaining() > 0 {
        let wanted = FRAME_SIZE.min(own.remaining());
        let taken = memory::visit(space, || theirs.take(&mut page[..wanted]));
        if taken == 0 {
            within(space, theirs.fault_in(Access::Read)).await?;
        }
        let mut given = 0;
        while given < taken {
            given += own.put(&page[given..taken]);
            if given < taken {
                own.fault_in(Access::Write).await?;
            }
        }
        executor::yield_now().await;
    }
    Ok(())
}

async fn copy_out(
    space: &Arc<AddressSpace>,
    own: &mut UserBuf<'_>,
    theirs: &mut UserBuf<'_>,
) -> Result<(), Errno> {
    let mut page = fallible::vec::<u8>(FRAME_SIZE)?;
    page.resize(FRAME_SIZE, 0);
    while own.remaining() > 0 && theirs.remaining() > 0 {
        let wanted = FRAME_SIZE.min(theirs.remaining());
        let taken = own.take(&mut page[..wanted]);
        if taken == 0 {
            own.fault_in(Access::Read).await?;
        }
        let mut given = 0;
        while given < taken {
            given += memory::visit(space, || theirs.put(&page[given..taken]));
            if given < taken {
                within(space, theirs.fault_in(Access::Write)).await?;
            }
        }
        executor::yield_now().await;
    }
    Ok(())
}

/// The most ranges that one call names (`UIO_MAXIOV`).
const MOST_RANGES: usize = 1024;

/// process_madvise(2): of another process only what changes none of its bytes.
pub async fn process_madvise(
    thread: &Thread,
    [fd, vector, count, advice, flags]: [usize; 5],
) -> SysResult {
    if flags as u32 != 0 || count > MOST_RANGES {
        return Err(Errno::EINVAL);
    }
    let file = thread.process().files().get(Fd::from_argument(fd))?;
    let process = PidFd::process_of(&file)?;
    let is_own = core::ptr::eq(&*process, &**thread.process());
    let harmless = [
        linux::MADV_COLD,
        linux::MADV_PAGEOUT,
        linux::MADV_WILLNEED,
        linux::MADV_COLLAPSE,
    ];
    if !is_own && !harmless.contains(&(advice as u32)) {
        return Err(Errno::EINVAL);
    }
    let space = accessible(thread, &process)?;
    let mut done = 0;
    for n in 0..count {
        let at = vector.checked_add(16 * n).ok_or(Errno::EFAULT)?;
        let start = thread.space().read_word(at).await?;
        let length = thread.space().read_word(at + 8).await?;
        match within(&space, advise(&space, start, length, advice)).await {
            Ok(_) => done += length,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}
