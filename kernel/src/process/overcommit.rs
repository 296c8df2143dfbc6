//! How much memory programs may be promised (`vm.overcommit_memory`, Linux's
//! Documentation/mm/overcommit-accounting.rst).
//!
//! What is promised is the sum of all private memory that may be written. No counter is kept for it:
//! each address space knows its own total, and the sum is only needed in mode 2 and in
//! `/proc/meminfo`.

use super::ids::{self, Pid};
use crate::errno::Errno;
use crate::memory::{self, FRAME_SIZE};
use core::sync::atomic::{AtomicU64, Ordering};

/// A setting of `/proc/sys/vm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Setting {
    /// 0: what could never be there is refused; 1: nothing is; 2: what is beyond the limit is.
    Policy,
    /// Per cent of memory that may be promised in mode 2.
    Ratio,
    /// The same in KiB, if it is not 0.
    Kbytes,
}

/// The settings, by their order above. Relaxed throughout: each stands for itself.
static SETTINGS: [AtomicU64; 3] = [AtomicU64::new(0), AtomicU64::new(50), AtomicU64::new(0)];

pub(super) fn get(setting: Setting) -> u64 {
    SETTINGS[setting as usize].load(Ordering::Relaxed)
}

pub(super) fn set(setting: Setting, value: u64) {
    SETTINGS[setting as usize].store(value, Ordering::Relaxed);
    // Each of these two takes the place of the other.
    match setting {
        Setting::Ratio => SETTINGS[Setting::Kbytes as usize].store(0, Ordering::Relaxed),
        Setting::Kbytes if value != 0 => {
            SETTINGS[Setting::Ratio as usize].store(0, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// Frames that may be promised in mode 2.
pub(super) fn limit() -> usize {
    let managed = memory::managed_frames();
    match get(Setting::Kbytes) as usize {
        0 => managed * get(Setting::Ratio) as usize / 100,
        kbytes => (kbytes / (FRAME_SIZE / 1024)).min(managed),
    }
}

/// Frames that are promised. Processes with the same memory are counted once for each pair of parent
/// and child only if they are not vfork's.
pub(super) fn committed() -> usize {
    let mut pages = 0;
    let mut last = Pid(0);
    while let Some(process) = ids::next(last) {
        last = process.pid;
        if !process.limits.borrows_memory()
            && let Some(space) = process.space()
        {
            pages += space.committed_now();
        }
    }
    pages
}

/// Asks whether a program may be promised so many bytes more.
///
/// # Errors
/// `ENOMEM` if not.
pub fn check(bytes: usize) -> Result<(), Errno> {
    let pages = bytes.div_ceil(FRAME_SIZE);
    let allowed = match get(Setting::Policy) {
        1 => true,
        // What could never be there at once.
        0 => pages <= memory::managed_frames(),
        _ => committed().saturating_add(pages) <= limit(),
    };
    allowed.then_some(()).ok_or(Errno::ENOMEM)
}

/// Whether `MAP_NORESERVE` means anything.
pub fn honours_noreserve() -> bool {
    get(Setting::Policy) != 2
}
