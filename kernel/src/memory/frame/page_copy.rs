//! What is in a frame: the few places where the kernel reads and writes the bytes of
//! frames.
//!
//! A frame that a user program maps may change at any moment under the kernel's hands, so
//! all copies go through raw pointers; no reference to the bytes of a frame ever exists.

use crate::arch;
use crate::arch::FRAME_SIZE;
use crate::arch::Frame;
use core::sync::atomic::AtomicU32;

/// Fills a frame with zeroes.
///
/// # Safety
/// The caller holds the frame alone.
pub(in crate::memory) unsafe fn zero(frame: Frame) {
    // SAFETY: the pointer is to a whole frame in the direct map, the caller's alone.
    unsafe { arch::zero_page(arch::frame_ptr(frame)) }
}

/// Whether a frame, which the caller has, is full of zeroes. For assertions.
pub(in crate::memory) fn is_zero(frame: Frame) -> bool {
    // SAFETY: as in `zero`; nothing else uses the frame.
    let bytes = unsafe {
        core::slice::from_raw_parts(arch::frame_ptr(frame).as_ptr().cast_const(), FRAME_SIZE)
    };
    bytes.iter().all(|&byte| byte == 0)
}

/// Copies a whole frame.
///
/// # Safety
/// The caller holds `to` alone, and `from` stays allocated during the call.
pub(in crate::memory) unsafe fn copy(from: Frame, to: Frame) {
    // SAFETY: both pointers are to whole frames in the direct map; they differ, as `to` is
    // the caller's alone.
    unsafe { arch::copy_page(arch::frame_ptr(to), arch::frame_ptr(from)) }
}

/// Copies `bytes` into a frame, from `offset` on.
///
/// # Safety
/// The frame is not freed during the call, and the caller may write it.
pub(in crate::memory) unsafe fn write(frame: Frame, offset: usize, bytes: &[u8]) {
    assert!(offset + bytes.len() <= FRAME_SIZE);
    // SAFETY: in bounds as asserted; the caller's promise covers the rest. `bytes` is kernel
    // memory, so it does not overlap the frame.
    unsafe {
        let to = arch::frame_ptr(frame).as_ptr().add(offset);
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
    }
}

/// Copies bytes out of a frame, from `offset` on.
///
/// # Safety
/// The frame is not freed during the call.
pub(in crate::memory) unsafe fn read(frame: Frame, offset: usize, buffer: &mut [u8]) {
    assert!(offset + buffer.len() <= FRAME_SIZE);
    // SAFETY: as in `write`.
    unsafe {
        let from = arch::frame_ptr(frame).as_ptr().add(offset);
        core::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), buffer.len());
    }
}

/// Fills part of a frame with zeroes.
///
/// # Safety
/// As for [`write()`].
pub(in crate::memory) unsafe fn clear(frame: Frame, offset: usize, length: usize) {
    assert!(offset + length <= FRAME_SIZE);
    // SAFETY: in bounds as asserted; the caller's promise covers the rest.
    unsafe {
        arch::frame_ptr(frame)
            .as_ptr()
            .add(offset)
            .write_bytes(0, length)
    }
}

/// A 32-bit word of a frame, as user programs and the kernel share it (futexes).
///
/// # Safety
/// The frame is not freed while the reference is used.
pub(in crate::memory) unsafe fn word<'a>(frame: Frame, offset: usize) -> &'a AtomicU32 {
    assert!(offset + 4 <= FRAME_SIZE && offset.is_multiple_of(4));
    // SAFETY: in bounds and aligned as asserted; all-bits patterns are valid; the kernel only
    // uses it atomically.
    unsafe {
        &*arch::frame_ptr(frame)
            .as_ptr()
            .add(offset)
            .cast::<AtomicU32>()
    }
}
