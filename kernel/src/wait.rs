//! Waits that a signal may end (signal(7), "Interruption of system calls").
//!
//! All that the kernel awaits may be dropped when its thread has to end. A handler, or a stop, is
//! no end: the system call has to come to a result with which the program can go on. So only such
//! waits are given up in which a call has done nothing yet, or can say how much it has done; and
//! they say so themselves, by [`interruptible`].
//!
//! A signal wakes the thread, its call is polled, and what it waits for is not there yet: then the
//! wait asks its [`Caller`] whether a signal is pending, and if so ends with [`Interrupted`]. The
//! layers below the processes know the caller by that trait alone. A call that does not block is not
//! asked, and registers nothing anywhere.

use crate::errno::Errno;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The thread that waits, as far as a wait has to know it.
pub trait Caller: Sync {
    /// Whether a signal is pending, or the thread has to end. When that becomes true the thread is
    /// polled.
    fn signal_pending(&self) -> bool;
}

/// A wait was given up. Nothing has been done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

impl From<Interrupted> for Errno {
    /// What most calls answer (`Restart::IfAsked`).
    fn from(_: Interrupted) -> Errno {
        Errno::ERESTARTSYS
    }
}

/// Whether a call may wait.
#[derive(Clone, Copy)]
pub enum Wait<'a> {
    /// It may not (`O_NONBLOCK`).
    Never,
    /// It may, for this caller.
    For(&'a dyn Caller),
}

/// Waits, unless a signal is pending for the caller. Then what was waited for is not there.
pub fn interruptible<F: Future>(caller: &dyn Caller, wait: F) -> Interruptible<'_, F> {
    Interruptible { caller, wait }
}

/// Made by [`interruptible`]. (An `async fn` would have room for the future inside twice.)
#[must_use = "futures do nothing unless awaited"]
pub struct Interruptible<'a, F> {
    caller: &'a dyn Caller,
    wait: F,
}

impl<F: Future> Future for Interruptible<'_, F> {
    type Output = Result<F::Output, Interrupted>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let caller = self.caller;
        // SAFETY: the future inside is pinned with this one: it is not moved, there is no other way
        // to it, and nothing is dropped by hand.
        let wait = unsafe { self.map_unchecked_mut(|this| &mut this.wait) };
        match wait.poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if caller.signal_pending() => Poll::Ready(Err(Interrupted)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What becomes of a call that was interrupted, by which of Linux's internal error numbers it has
/// returned (include/linux/errno.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// It begins anew, but after a handler without `SA_RESTART` it fails with `EINTR`.
    IfAsked,
    /// It begins anew if no handler was called.
    WithoutHandler,
    /// It goes on as `restart_syscall`, which knows how long it has waited, if no handler was
    /// called.
    GoOn,
}

impl Restart {
    /// If this is one of those numbers.
    pub fn of(error: Errno) -> Option<Restart> {
        match error {
            Errno::ERESTARTSYS => Some(Restart::IfAsked),
            Errno::ERESTARTNOHAND => Some(Restart::WithoutHandler),
            Errno::ERESTART_RESTARTBLOCK => Some(Restart::GoOn),
            _ => None,
        }
    }
}

/// A caller without signals.
#[cfg(test)]
pub struct Undisturbed;

#[cfg(test)]
impl Caller for Undisturbed {
    fn signal_pending(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::pin::pin;
    use core::sync::atomic::{AtomicBool, Ordering};
    use core::task::Waker;

    struct Called(AtomicBool);

    impl Caller for Called {
        fn signal_pending(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn only_who_has_to_wait_is_interrupted() {
        let caller = Called(AtomicBool::new(true));
        let mut context = Context::from_waker(Waker::noop());
        let ready = pin!(interruptible(&caller, async { 5 }));
        assert_eq!(ready.poll(&mut context), Poll::Ready(Ok(5)));
        caller.0.store(false, Ordering::Relaxed);
        let mut never = pin!(interruptible(&caller, core::future::pending::<()>()));
        assert_eq!(never.as_mut().poll(&mut context), Poll::Pending);
        caller.0.store(true, Ordering::Relaxed);
        assert_eq!(
            never.as_mut().poll(&mut context),
            Poll::Ready(Err(Interrupted))
        );
    }
}
