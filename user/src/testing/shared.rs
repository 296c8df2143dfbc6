//! Counters that a process and all its descendants share.

use core::sync::atomic::AtomicU64;

use crate::sys::memory::{self, PAGE, Protection, Sharing};
use crate::testing::{Explain, Failure};

/// Puts a value in a shared mapping that stays for the program's life.
pub fn place<T: Sync>(value: T) -> Result<&'static T, Failure> {
    const { assert!(align_of::<T>() <= PAGE) };
    let size = size_of::<T>().next_multiple_of(PAGE).max(PAGE);
    let start = memory::map(size, Protection::READ_WRITE, Sharing::Shared).or_fail("mmap")?;
    let place = start as *mut T;
    // SAFETY: fresh memory, large enough, aligned to a page, and never unmapped.
    unsafe {
        place.write(value);
        Ok(&*place)
    }
}

/// Fresh counters, zero, in a shared mapping that stays for the program's life.
pub fn counters<const COUNT: usize>() -> Result<&'static [AtomicU64; COUNT], Failure> {
    let size = size_of::<[AtomicU64; COUNT]>().next_multiple_of(PAGE);
    let start = memory::map(size, Protection::READ_WRITE, Sharing::Shared).or_fail("mmap")?;
    // SAFETY: fresh zeroed memory of that size, aligned to a page, never unmapped; atomics may
    // be shared with other processes.
    Ok(unsafe { &*(start as *const [AtomicU64; COUNT]) })
}
