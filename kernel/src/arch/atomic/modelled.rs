//! `loom`'s atomics, with no order of what is done to them left out.
//!
//! To find the orders that make a difference, `loom` (0.7) remembers for each atomic the thread
//! that touched it last. A thread that loads it and then changes it hides the thread that had loaded
//! it before, and the order in which the change comes first is not tried. So a load here touches a
//! second atomic too, by an operation that orders nothing, and counts as a change.

use loom::sync::atomic::{self, AtomicBool, Ordering};

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        pub(crate) struct $name {
            value: atomic::$name,
            touched: AtomicBool,
        }

        // Not all of it is used of both.
        #[allow(dead_code)]
        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                $name {
                    value: atomic::$name::new(value),
                    touched: AtomicBool::new(true),
                }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.touched.fetch_or(true, Ordering::Relaxed);
                self.value.load(order)
            }

            pub(crate) fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.value.compare_exchange(old, new, success, failure)
            }

            atomic!(@changes $value: store -> (), swap -> $value, fetch_add -> $value,
                fetch_sub -> $value, fetch_or -> $value, fetch_and -> $value);
        }
    };
    (@changes $value:ty: $($change:ident -> $result:ty),*) => {
        $(pub(crate) fn $change(&self, value: $value, order: Ordering) -> $result {
            self.value.$change(value, order)
        })*
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
