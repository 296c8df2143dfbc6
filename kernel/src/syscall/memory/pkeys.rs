//! Protection keys (pkeys(7)), as on a CPU without them: there is none to be had.

use super::mprotect;
use crate::errno::{Errno, SysResult};
use crate::process::Thread;
use linux_raw_sys::general as linux;

/// pkey_alloc(2).
pub fn pkey_alloc(flags: usize, rights: usize) -> SysResult {
    let known = linux::PKEY_DISABLE_ACCESS | linux::PKEY_DISABLE_WRITE;
    match flags == 0 && rights & !(known as usize) == 0 {
        true => Err(Errno::ENOSPC),
        false => Err(Errno::EINVAL),
    }
}

/// pkey_free(2): no key has been allocated.
pub fn pkey_free() -> SysResult {
    Err(Errno::EINVAL)
}

/// pkey_mprotect(2): without a key it is mprotect(2).
pub async fn pkey_mprotect(
    thread: &Thread,
    address: usize,
    length: usize,
    protection: usize,
    key: usize,
) -> SysResult {
    match key as i32 {
        -1 => mprotect(thread, address, length, protection).await,
        _ => Err(Errno::EINVAL),
    }
}
