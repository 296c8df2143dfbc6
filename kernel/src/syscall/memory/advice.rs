//! madvise, mincore, msync, mlock and their kin: calls about memory that is mapped already.

use crate::errno::{Errno, SysResult};
use crate::memory::{AddressSpace, Advice, FRAME_SIZE, FaultError, MapError, Populate, USER_END};
use crate::process::Thread;
use linux_raw_sys::general as linux;

/// madvise(2). What is only a hint is checked and changes nothing.
pub async fn madvise(thread: &Thread, start: usize, length: usize, advice: usize) -> SysResult {
    advise(thread.space(), start, length, advice).await
}

/// What madvise(2) and process_madvise(2) do.
pub(in crate::syscall) async fn advise(
    space: &AddressSpace,
    start: usize,
    length: usize,
    advice: usize,
) -> SysResult {
    let what = match advice as u32 {
        linux::MADV_POPULATE_READ => {
            return populate(space, start, length, Populate::ByReading).await;
        }
        linux::MADV_POPULATE_WRITE => {
            return populate(space, start, length, Populate::ByWriting).await;
        }
        linux::MADV_DONTNEED => Some(Advice::Discard),
        linux::MADV_FREE => Some(Advice::DiscardAnonymous),
        linux::MADV_DONTFORK => Some(Advice::DoFork(false)),
        linux::MADV_DOFORK => Some(Advice::DoFork(true)),
        linux::MADV_WIPEONFORK => Some(Advice::KeepOnFork(false)),
        linux::MADV_KEEPONFORK => Some(Advice::KeepOnFork(true)),
        linux::MADV_NORMAL
        | linux::MADV_RANDOM
        | linux::MADV_SEQUENTIAL
        | linux::MADV_WILLNEED
        | linux::MADV_HUGEPAGE
        | linux::MADV_NOHUGEPAGE
        | linux::MADV_DONTDUMP
        | linux::MADV_DODUMP => Some(Advice::Hint),
        linux::MADV_COLD | linux::MADV_PAGEOUT => Some(Advice::NotSoon),
        linux::MADV_DONTNEED_LOCKED => Some(Advice::DiscardEvenLocked),
        _ => None,
    };
    let Some(what) = what else {
        return Err(Errno::EINVAL);
    };
    let Some(length) = pages_from(start, length)? else {
        return Ok(0);
    };
    match space.advise(start, length, what).await {
        // What is out of reach is not mapped either.
        Err(MapError::BadRange) => Err(Errno::ENOMEM),
        // An area cannot be cut. Linux keeps ENOMEM for what is not mapped (madvise(2)).
        Err(MapError::OutOfMemory) => Err(Errno::EAGAIN),
        outcome => Ok(outcome.map(|()| 0)?),
    }
}

/// The length in whole pages, or none for nothing.
///
/// # Errors
/// `EINVAL` for a start within a page, and where the sum wraps.
fn pages_from(start: usize, length: usize) -> Result<Option<usize>, Errno> {
    let rounded = length
        .checked_next_multiple_of(FRAME_SIZE)
        .filter(|length| start.checked_add(*length).is_some());
    match rounded {
        Some(rounded) if start.is_multiple_of(FRAME_SIZE) => {
            Ok(Some(rounded).filter(|&length| length != 0))
        }
        _ => Err(Errno::EINVAL),
    }
}

async fn populate(space: &AddressSpace, start: usize, length: usize, how: Populate) -> SysResult {
    let Some(length) = pages_from(start, length)? else {
        return Ok(0);
    };
    match space.populate(start, length, how).await {
        Ok(()) => Ok(0),
        Err(FaultError::NotMapped | FaultError::OutOfMemory) => Err(Errno::ENOMEM),
        Err(FaultError::NotAllowed) => Err(Errno::EINVAL),
        Err(FaultError::BeyondEnd) => Err(Errno::EFAULT),
    }
}

/// Pages that one step of mincore looks at.
const STEP: usize = 256;

/// mincore(2).
pub async fn mincore(thread: &Thread, start: usize, length: usize, vector: usize) -> SysResult {
    if !start.is_multiple_of(FRAME_SIZE) {
        return Err(Errno::EINVAL);
    }
    if start.checked_add(length).is_none_or(|end| end > USER_END) {
        return Err(Errno::ENOMEM);
    }
    let count = length.div_ceil(FRAME_SIZE);
    if vector.checked_add(count).is_none_or(|end| end > USER_END) {
        return Err(Errno::EFAULT);
    }
    let space = thread.space();
    let mut done = 0;
    while done < count {
        let mut pages = [0; STEP];
        let pages = &mut pages[..STEP.min(count - done)];
        space.residence(start + done * FRAME_SIZE, pages).await?;
        space.write_bytes(vector + done, pages).await?;
        done += pages.len();
        executor::spend_budget().await;
    }
    Ok(0)
}

/// msync(2). The pages of a file that is mapped are the file, so nothing is to be written.
pub async fn msync(thread: &Thread, start: usize, length: usize, flags: usize) -> SysResult {
    let both = linux::MS_SYNC | linux::MS_ASYNC;
    let known = both | linux::MS_INVALIDATE;
    let flags = flags as u32;
    if flags & !known != 0 || flags & both == both || !start.is_multiple_of(FRAME_SIZE) {
        return Err(Errno::EINVAL);
    }
    // A length that wraps is rounded to nothing, as on Linux.
    let length = length.wrapping_add(FRAME_SIZE - 1) & !(FRAME_SIZE - 1);
    if length == 0 {
        return Ok(0);
    }
    match thread.space().is_mapped(start, length).await {
        (_, true) if flags & linux::MS_INVALIDATE != 0 => Err(Errno::EBUSY),
        (true, _) => Ok(0),
        (false, _) => Err(Errno::ENOMEM),
    }
}

/// mlock(2). There is no limit to it for root.
pub async fn mlock(thread: &Thread, start: usize, length: usize) -> SysResult {
    mlock2(thread, start, length, 0).await
}

/// mlock2(2).
pub async fn mlock2(thread: &Thread, start: usize, length: usize, flags: usize) -> SysResult {
    if flags as u32 & !linux::MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    let Some((start, length)) = whole_pages(start, length)? else {
        return Ok(0);
    };
    let space = thread.space();
    space.set_locked(start, length, true).await?;
    if flags != 0 {
        return Ok(0);
    }
    match space.populate(start, length, Populate::AsAllowed).await {
        Ok(()) => Ok(0),
        // As POSIX and Linux have it.
        Err(FaultError::OutOfMemory) => Err(Errno::EAGAIN),
        Err(_) => Err(Errno::ENOMEM),
    }
}

/// munlock(2).
pub async fn munlock(thread: &Thread, start: usize, length: usize) -> SysResult {
    if let Some((start, length)) = whole_pages(start, length)? {
        thread.space().set_locked(start, length, false).await?;
    }
    Ok(0)
}

/// mlockall(2).
pub async fn mlockall(thread: &Thread, flags: usize) -> SysResult {
    let known = linux::MCL_CURRENT | linux::MCL_FUTURE | linux::MCL_ONFAULT;
    let flags = flags as u32;
    if flags & !known != 0 || flags & (linux::MCL_CURRENT | linux::MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL);
    }
    let now = (flags & linux::MCL_CURRENT != 0).then_some(true);
    let later = flags & linux::MCL_FUTURE != 0;
    let space = thread.space();
    space.set_all_locked(now, later).await?;
    if now.is_some() && flags & linux::MCL_ONFAULT == 0 {
        space.populate_locked().await;
    }
    Ok(0)
}

/// munlockall(2).
pub async fn munlockall(thread: &Thread) -> SysResult {
    thread.space().set_all_locked(Some(false), false).await?;
    Ok(0)
}

/// The pages that a range touches, or none; what wraps by less than a page is nothing, as
/// on Linux.
fn whole_pages(start: usize, length: usize) -> Result<Option<(usize, usize)>, Errno> {
    let within = start % FRAME_SIZE;
    let length = length.wrapping_add(within).wrapping_add(FRAME_SIZE - 1) & !(FRAME_SIZE - 1);
    let start = start - within;
    if start.checked_add(length).is_none() {
        return Err(Errno::EINVAL);
    }
    Ok((length != 0).then_some((start, length)))
}
