//! Whole pages and roots of the simulated machine.

use super::memory;
use crate::arch::entry::{Bits, ENTRIES, Entry};
use crate::arch::frame::Frame;
use crate::arch::level::USER_ENTRIES;
use crate::arch::paging::Table;
use core::ptr::NonNull;

/// How pages are copied and zeroed.
pub fn page_moves() -> &'static str {
    "the host"
}

/// Fills a page with zeroes.
///
/// # Safety
/// `page` is the caller's.
pub unsafe fn zero_page(page: NonNull<u8>) {
    // SAFETY: a whole page, the caller's.
    unsafe { memory::zero(page) }
}

/// Copies a page.
///
/// # Safety
/// `to` is the caller's, `from` is a page of memory, and they differ.
pub unsafe fn copy_page(to: NonNull<u8>, from: NonNull<u8>) {
    // SAFETY: two different whole pages.
    unsafe { memory::copy(to, from) }
}

/// Gives a root its kernel half: an entry that would be noticed if it were taken for a
/// user's.
pub fn new_root(root: Frame) {
    // SAFETY: a fresh root.
    let table = unsafe { Table::new(root) };
    for index in USER_ENTRIES..ENTRIES {
        table.swap(
            index,
            Entry::new(Frame::new(0), Bits::PRESENT | Bits::GLOBAL),
        );
    }
}

/// Takes that out again.
pub fn clear_root(root: Frame) {
    // SAFETY: a root.
    let table = unsafe { Table::new(root) };
    for index in USER_ENTRIES..ENTRIES {
        table.take(index);
    }
}
