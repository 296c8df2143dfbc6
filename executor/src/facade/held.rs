//! How many spin locks this thread holds (rule E1), for the host's debug build: wakers and IPIs
//! check that it is none, and so may a test's allocator.
//!
//! Elsewhere none of it costs anything: a kernel has no thread-local state that this crate could
//! reach, and runs the same code.

#[cfg(all(debug_assertions, feature = "std", not(loom)))]
mod counted {
    use core::cell::Cell;

    std::thread_local! {
        static HELD: Cell<usize> = const { Cell::new(0) };
    }

    /// A spin lock that is held as long as this lives.
    pub(crate) struct Held(());

    impl Held {
        pub(crate) fn new() -> Self {
            HELD.set(HELD.get() + 1);
            Self(())
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            HELD.set(HELD.get() - 1);
        }
    }

    pub(crate) fn assert_none(what: &str) {
        // Forgotten before the panic, which allocates and wakes.
        let held = HELD.replace(0);
        assert!(held == 0, "E1: {what} with {held} spin locks held");
    }
}

#[cfg(not(all(debug_assertions, feature = "std", not(loom))))]
mod counted {
    pub(crate) struct Held;

    impl Held {
        #[inline(always)]
        pub(crate) fn new() -> Self {
            Self
        }
    }

    #[inline(always)]
    pub(crate) fn assert_none(_: &str) {}
}

pub(crate) use counted::{Held, assert_none};
