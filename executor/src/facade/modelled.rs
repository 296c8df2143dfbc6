//! `loom`'s atomics, whose loads are told apart by their order too.
//!
//! `loom` (0.7) looks for the orders worth trying when a thread touches an
//! atomic: it asks whether that could have come before the *last* access of
//! another thread. A thread that loads and then changes, as every
//! compare-and-exchange loop does, has itself made that last access, and the
//! load of a third one before it goes unasked. Loads alone need no order and
//! do not get one. Here each of them first touches a second atomic in a way
//! that counts as a change and hands nothing over, so that the loads are tried
//! in every order, and with them all that stood behind them.

use core::ops::Deref;
use loom::sync::atomic::{self, Ordering};

/// An atomic of `loom`, and the one beside it that its loads touch.
pub(crate) struct Modelled<A> {
    value: A,
    touched: atomic::AtomicBool,
}

/// Everything but the loads is the same.
impl<A> Deref for Modelled<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.value
    }
}

macro_rules! atomics {
    ($($name:ident $(<$pointee:ident>)?: $value:ty;)*) => {
        $(
            pub(crate) type $name $(<$pointee>)? = Modelled<atomic::$name $(<$pointee>)?>;

            impl $(<$pointee>)? $name $(<$pointee>)? {
                #[track_caller]
                pub(crate) fn new(value: $value) -> Self {
                    Self {
                        value: atomic::$name::new(value),
                        touched: atomic::AtomicBool::new(true),
                    }
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    self.touched.fetch_or(true, Ordering::Relaxed);
                    self.value.load(order)
                }
            }
        )*
    };
}

atomics! {
    AtomicBool: bool;
    AtomicU8: u8;
    AtomicU16: u16;
    AtomicU32: u32;
    AtomicU64: u64;
    AtomicUsize: usize;
    AtomicPtr<T>: *mut T;
}

#[cfg(test)]
mod tests {
    use super::{AtomicU32, Ordering::Relaxed};
    use crate::models::explore;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool as Outcome;

    /// What `loom`'s own atomics miss: the model's own thread loads first, and
    /// the other one loads before it changes.
    #[test]
    fn a_change_that_follows_a_load_is_tried_before_all_loads() {
        let seen = Arc::new([const { Outcome::new(false) }; 2]);
        let outcomes = seen.clone();
        explore(None, move || {
            let value = Arc::new(AtomicU32::new(0));
            let other = loom::thread::spawn({
                let value = value.clone();
                move || value.store(value.load(Relaxed) + 1, Relaxed)
            });
            outcomes[value.load(Relaxed) as usize].store(true, Relaxed);
            other.join().unwrap();
        });
        assert!(seen.iter().all(|outcome| outcome.load(Relaxed)));
    }
}
