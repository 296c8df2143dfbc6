//! epoll_create1(2), epoll_ctl(2), epoll_wait(2) and their kin.

use super::arguments::{check_flags, file, flags};
use super::events::open_special;
use super::polling::{Patience, begin_mask};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::fs::epoll::{Epoll, Event};
use crate::fs::file::OpenFile;
use crate::memory::{UserBuf, fallible};
use crate::process::Thread;
use crate::sched;
use crate::wait::interruptible;
use alloc::sync::Arc;
use linux_raw_sys::general as abi;

/// The most events of one call: what fits into an `int` of bytes.
const MOST: usize = i32::MAX as usize / Event::SIZE;

/// epoll_create(2). The size is a relic, but has to be positive.
pub fn epoll_create(thread: &Thread, size: usize) -> SysResult {
    match size as i32 {
        1.. => epoll_create1(thread, 0),
        _ => Err(Errno::EINVAL),
    }
}

/// epoll_create1(2)
pub fn epoll_create1(thread: &Thread, how: usize) -> SysResult {
    check_flags(flags(how), abi::EPOLL_CLOEXEC)?;
    open_special(thread, fallible::arc(Epoll::new())?, flags(how))
}

/// The instance of a descriptor; `EINVAL` if it is none.
fn instance(file: &OpenFile) -> Result<Arc<Epoll>, Errno> {
    file.downcast_arc().ok_or(Errno::EINVAL)
}

/// epoll_ctl(2)
pub async fn epoll_ctl(
    thread: &Thread,
    epoll: usize,
    operation: usize,
    fd: usize,
    address: usize,
) -> SysResult {
    let operation = operation as u32;
    let mut bytes = [0; Event::SIZE];
    if operation != abi::EPOLL_CTL_DEL {
        thread.space().read_bytes(address, &mut bytes).await?;
    }
    let above = file(thread, epoll)?;
    let watched = file(thread, fd)?;
    if !watched.can_change() {
        return Err(Errno::EPERM);
    }
    let epoll = instance(&above)?;
    if Arc::ptr_eq(&above, &watched) {
        return Err(Errno::EINVAL);
    }
    let fd = fd as u32;
    match operation {
        abi::EPOLL_CTL_ADD => epoll.add(fd, &watched, Event::from_bytes(bytes)?).await?,
        abi::EPOLL_CTL_MOD => epoll.modify(fd, &watched, Event::from_bytes(bytes)?)?,
        abi::EPOLL_CTL_DEL => epoll.remove(fd, &watched)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// epoll_wait(2)
pub async fn epoll_wait(
    thread: &Thread,
    epoll: usize,
    events: usize,
    most: usize,
    timeout: usize,
) -> SysResult {
    wait(thread, epoll, events, most, milliseconds(timeout)).await
}

/// epoll_pwait(2)
pub async fn epoll_pwait(
    thread: &Thread,
    epoll: usize,
    events: usize,
    most: usize,
    timeout: usize,
    (mask, mask_size): (usize, usize),
) -> SysResult {
    begin_mask(thread, mask, mask_size).await?;
    let result = wait(thread, epoll, events, most, milliseconds(timeout)).await;
    end_mask(thread, result)
}

/// epoll_pwait2(2)
pub async fn epoll_pwait2(
    thread: &Thread,
    epoll: usize,
    events: usize,
    most: usize,
    timeout: usize,
    (mask, mask_size): (usize, usize),
) -> SysResult {
    let patience = Patience::read(thread, timeout).await?;
    begin_mask(thread, mask, mask_size).await?;
    let result = wait(thread, epoll, events, most, patience).await;
    end_mask(thread, result)
}

fn milliseconds(timeout: usize) -> Patience {
    match timeout as i32 {
        milliseconds @ 0.. => Patience::of(milliseconds as u64 * 1_000_000),
        _ => Patience::Endless,
    }
}

/// After an interruption the mask stays for the handler.
fn end_mask(thread: &Thread, result: SysResult) -> SysResult {
    let error = result.err().map(|error| match error {
        Errno::EINTR => Errno::ERESTARTNOHAND,
        error => error,
    });
    thread.end_blocked_for_call(error);
    result
}

async fn wait(
    thread: &Thread,
    epoll: usize,
    events: usize,
    most: usize,
    patience: Patience,
) -> SysResult {
    let most = usize::try_from(most as i32).map_err(|_| Errno::EINVAL)?;
    if most == 0 || most > MOST {
        return Err(Errno::EINVAL);
    }
    let mut to = UserBuf::new(thread.space(), events, most * Event::SIZE)?;
    let epoll = instance(&*file(thread, epoll)?)?;
    loop {
        match epoll.collect(&mut to, most).await? {
            0 => {}
            found => return Ok(found),
        }
        let come = match patience {
            Patience::None => return Ok(0),
            Patience::Endless => interruptible(thread, epoll.wait()).await.map(|()| true),
            Patience::Until(deadline) => {
                let left = deadline.saturating_sub(arch::clock());
                let timed = sched::executor().timeout(left, epoll.wait());
                let come = interruptible(thread, timed).await;
                come.map(|come| come.is_ok())
            }
        };
        match come {
            Ok(true) => {}
            Ok(false) => return Ok(0),
            // Never begun anew (signal(7)).
            Err(_) => return Err(Errno::EINTR),
        }
    }
}
