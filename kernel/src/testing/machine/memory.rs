//! The physical memory of a simulated machine.
//!
//! Many thousands of machines are made one after the other, each with megabytes of which it
//! uses little. So a block of memory is used again, and only what was touched is cleared.

use crate::arch::frame::{FRAME_SIZE, Frame};
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

#[repr(C, align(4096))]
struct Page([u8; FRAME_SIZE]);

/// Zeroed pages.
struct Block(NonNull<[Page]>);

thread_local! {
    /// Blocks that no machine uses.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

impl Block {
    fn new(frames: usize) -> Block {
        let pages = Box::<[Page]>::new_zeroed_slice(frames);
        // SAFETY: zeroes are pages.
        let pages = unsafe { pages.assume_init() };
        Block(NonNull::from(Box::leak(pages)))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: leaked in `new`; the owner of the block uses none of its memory any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Fills a page with zeroes.
///
/// # Safety
/// It is a page of the machine's memory, the caller's.
pub(super) unsafe fn zero(page: NonNull<u8>) {
    // SAFETY: as the caller says.
    unsafe { page.as_ptr().write_bytes(0, FRAME_SIZE) }
}

/// Copies a page.
///
/// # Safety
/// Both are pages of the machine's memory, they differ, and `to` is the caller's.
pub(super) unsafe fn copy(to: NonNull<u8>, from: NonNull<u8>) {
    // SAFETY: as the caller says.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), FRAME_SIZE) }
}

/// All frames of one machine.
pub(super) struct Memory {
    /// Some until it is dropped.
    block: Option<Block>,
    touched: Vec<Cell<bool>>,
}

impl Memory {
    /// So many frames of zeroes.
    pub fn new(frames: usize) -> Memory {
        let used_before = BLOCKS.with_borrow_mut(|blocks| {
            let fits = blocks.iter().position(|block| block.0.len() == frames)?;
            Some(blocks.swap_remove(fits))
        });
        Memory {
            block: Some(used_before.unwrap_or_else(|| Block::new(frames))),
            touched: vec![Cell::new(false); frames],
        }
    }

    /// Where a frame is.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn frame(&self, frame: Frame) -> NonNull<u8> {
        let number = frame.number() as usize;
        let touched = self.touched.get(number);
        touched
            .unwrap_or_else(|| panic!("{frame:?} is not in memory"))
            .set(true);
        self.page(number)
    }

    fn page(&self, number: usize) -> NonNull<u8> {
        let block = self.block.as_ref().expect("not dropped yet").0;
        // SAFETY: within the block, which has as many pages as `touched` has places.
        unsafe { block.cast::<u8>().add(number * FRAME_SIZE) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let touched = self.touched.iter().enumerate().filter(|(_, it)| it.get());
        for (number, _) in touched {
            // SAFETY: a whole page of the block; the machine, which alone used it, is gone.
            unsafe { self.page(number).as_ptr().write_bytes(0, FRAME_SIZE) };
        }
        let block = self.block.take();
        // At the end of the thread the blocks are gone, and this one goes as well.
        let _ = BLOCKS.try_with(|blocks| blocks.borrow_mut().extend(block));
    }
}
