//! The waker of a join handle, in one word.
//!
//! In most cases the joining side is a task, and its waker is a pointer to its header: the word
//! is that pointer, with the waker's reference. The waker of anything else
//! (`FuturesUnordered`, `block_on`) takes two words and goes into a box.

use super::header::JoinerWord;
use super::waker::{VTABLE, is_of_task};
use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::ptr::{NonNull, null_mut};
use core::task::Waker;

/// Set in the address of a box. Addresses of headers and boxes are even.
const BOXED: usize = 1;

impl JoinerWord {
    /// Keeps a waker in the word, which is empty.
    pub(super) fn put(&mut self, waker: Waker) {
        debug_assert!(self.0.is_null(), "a waker would be leaked");
        self.0 = if is_of_task(&waker) {
            // Its reference to the task passes to the word.
            ManuallyDrop::new(waker).data().cast_mut()
        } else {
            let boxed = Box::into_raw(Box::new(waker));
            boxed.map_addr(|address| address | BOXED).cast()
        };
    }

    /// The box, if there is one.
    fn boxed(&self) -> Option<NonNull<Waker>> {
        let is_boxed = self.0.addr() & BOXED != 0;
        let unmarked = self.0.map_addr(|address| address & !BOXED);
        NonNull::new(unmarked.cast()).filter(|_| is_boxed)
    }

    /// Does it wake the same as `waker`?
    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        match self.boxed() {
            // SAFETY: the word owns the box.
            Some(boxed) => unsafe { boxed.as_ref() }.will_wake(waker),
            None => is_of_task(waker) && core::ptr::eq(self.0, waker.data()),
        }
    }

    /// Takes the waker out.
    pub(super) fn take(&mut self) -> Option<Waker> {
        let boxed = self.boxed();
        let word = core::mem::replace(&mut self.0, null_mut());
        if let Some(boxed) = boxed {
            // SAFETY: made by `put`, and forgotten in the line above.
            return Some(*unsafe { Box::from_raw(boxed.as_ptr()) });
        }
        // SAFETY: `put` took it, with its reference, from a waker with this table.
        (!word.is_null()).then(|| unsafe { Waker::new(word, &VTABLE) })
    }
}
