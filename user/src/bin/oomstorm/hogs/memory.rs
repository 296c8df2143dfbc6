//! Hogs that take memory, and VMAs.

use user::sys::Result;
use user::sys::memory::{self, MADV_POPULATE_WRITE, PAGE, Protection, Sharing};

use super::{Hog, unless_short};

/// What is mapped at a time.
const STEP: usize = 1 << 20;

/// Takes memory without being killed for it: where there is none, populating is refused.
pub fn take(limit: usize) -> Result<()> {
    let (mut taken, mut step) = (0, STEP);
    while taken < limit && step >= PAGE {
        let mapped = memory::map(step, Protection::READ_WRITE, Sharing::Private);
        let populated = mapped.and_then(|start| {
            // SAFETY: fresh memory that nothing else knows of.
            unsafe { memory::advise(start, step, MADV_POPULATE_WRITE) }
        });
        match populated {
            Ok(()) => taken += step,
            Err(_) => step /= 2,
        }
    }
    Ok(())
}

/// Touches page after page. Where there is no more it is killed.
pub fn anonymous(hog: &mut Hog) -> Result<()> {
    touch(hog.limit, Sharing::Private)
}

/// The same with memory that a fork shares.
pub fn shared(hog: &mut Hog) -> Result<()> {
    touch(hog.limit, Sharing::Shared)
}

pub fn touch(limit: usize, sharing: Sharing) -> Result<()> {
    for _ in 0..limit.div_ceil(STEP) {
        let start = memory::map(STEP, Protection::READ_WRITE, sharing)?;
        for page in (start..start + STEP).step_by(PAGE) {
            // SAFETY: within the fresh mapping, which nothing else knows of.
            unsafe { (page as *mut u8).write_volatile(1) };
        }
    }
    Ok(())
}

/// Splits one VMA into many, and takes some of them away again.
pub fn splits(hog: &mut Hog) -> Result<()> {
    const PAGES: usize = 60_000;
    let start = memory::map(PAGES * PAGE, Protection::READ, Sharing::Private)?;
    let page = |number: usize| start + number * PAGE;
    hog.take_memory_first()?;
    for number in (1..PAGES).step_by(2) {
        // SAFETY: memory that nothing uses.
        if let Err(errno) = unsafe { memory::protect(page(number), PAGE, Protection::NONE) } {
            unless_short(Err(errno))?;
            break;
        }
    }
    for number in (2..PAGES).step_by(8) {
        // One that needs a split may be refused.
        // SAFETY: as above.
        unless_short(unsafe { memory::unmap(page(number), PAGE) })?;
    }
    // Nothing of this one is in need of anything: it takes whole VMAs away.
    // SAFETY: as above.
    unsafe { memory::unmap(start, PAGES * PAGE / 2) }
}
