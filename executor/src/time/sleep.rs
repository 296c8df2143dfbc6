//! The futures over timers.

use super::entry::TimerEntry;
use super::timers::{Inserted, Timers};
use crate::platform::Platform;
use crate::scheduler::shared::Shared;
use crate::task::Label;
use crate::task::context::waits_for;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

static LABEL: Label = Label("timer");

/// Waits until a point in time. Made by
/// [`Executor::sleep`](crate::Executor::sleep) and
/// [`sleep_until`](crate::Executor::sleep_until).
///
/// Cancellation-safe: dropping it takes the timer out at once.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep<'a, P: Platform> {
    shared: &'a Shared<P>,
    entry: TimerEntry,
}

impl<'a, P: Platform> Sleep<'a, P> {
    pub(crate) fn new(shared: &'a Shared<P>, deadline: u64) -> Self {
        Self {
            shared,
            entry: TimerEntry::new(deadline),
        }
    }

    /// When it ends.
    pub fn deadline(&self) -> u64 {
        self.entry.deadline()
    }

    /// Has it ended?
    pub fn is_elapsed(&self) -> bool {
        self.entry.has_fired()
    }

    /// Sets another end, whether or not the old one has passed.
    pub fn reset(self: Pin<&mut Self>, deadline: u64) {
        self.as_ref().leave();
        // SAFETY: the entry is not moved, and is in no wheel.
        unsafe { self.get_unchecked_mut() }.entry.rearm(deadline);
    }

    fn entry(self: Pin<&Self>) -> Pin<&TimerEntry> {
        // SAFETY: the entry is pinned with the future.
        unsafe { self.map_unchecked(|this| &this.entry) }
    }

    /// The timers that the entry was put into.
    fn timers(&self) -> Option<&'a Timers> {
        self.shared.timers(self.entry.cpu()?)
    }

    /// Takes the entry out of its wheel.
    fn leave(self: Pin<&Self>) {
        if let Some(timers) = self.timers() {
            // SAFETY: it was inserted there.
            unsafe { timers.cancel(self.entry()) };
        }
    }
}

impl<P: Platform> Future for Sleep<'_, P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        waits_for(context, &LABEL);
        if let Some(timers) = self.timers() {
            // SAFETY: it was inserted there.
            return match unsafe { timers.poll(self.as_ref().entry(), context.waker()) } {
                true => Poll::Ready(()),
                false => Poll::Pending,
            };
        }
        // No look at the clock: a deadline that has passed goes off at the next
        // turn of the wheel.
        // A thread that is no CPU uses the wheel of CPU 0.
        let cpu = self.shared.timer_cpu();
        let Some(timers) = self.shared.timers(cpu) else {
            return Poll::Ready(());
        };
        // SAFETY: the entry is not moved, and is in no wheel.
        unsafe { self.as_mut().get_unchecked_mut() }
            .entry
            .set_cpu(cpu);
        // SAFETY: the entry is in no wheel; `leave` is called before it goes.
        match unsafe { timers.insert(self.as_ref().entry(), context.waker()) } {
            Inserted::Due => return Poll::Ready(()),
            Inserted::Later => {}
            Inserted::Nearest(event) => self.shared.timer_moved(cpu, event),
        }
        Poll::Pending
    }
}

impl<P: Platform> Drop for Sleep<'_, P> {
    fn drop(&mut self) {
        // SAFETY: if it was polled it was pinned, and it is not moved any
        // more; if not, it is in no wheel and nothing happens.
        unsafe { Pin::new_unchecked(&*self) }.leave();
    }
}

impl<P: Platform> fmt::Debug for Sleep<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .field("elapsed", &self.is_elapsed())
            .finish()
    }
}

/// The time was up before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up")
    }
}

impl core::error::Error for Elapsed {}

/// A future with a deadline. Made by
/// [`Executor::timeout`](crate::Executor::timeout).
///
/// Cancellation-safe if the future inside is.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Timeout<'a, P: Platform, F> {
    sleep: Sleep<'a, P>,
    future: F,
}

impl<'a, P: Platform, F> Timeout<'a, P, F> {
    pub(crate) fn new(sleep: Sleep<'a, P>, future: F) -> Self {
        Self { sleep, future }
    }
}

impl<P: Platform, F: Future> Future for Timeout<'_, P, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: both fields are pinned with `self` and not moved.
        let (sleep, future) = unsafe {
            let this = self.get_unchecked_mut();
            (
                Pin::new_unchecked(&mut this.sleep),
                Pin::new_unchecked(&mut this.future),
            )
        };
        if let Poll::Ready(output) = future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        sleep.poll(context).map(|()| Err(Elapsed))
    }
}

/// What an [`Interval`] does when it was not asked in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTicks {
    /// Give the missed ticks at once, one after the other, until it has caught
    /// up.
    #[default]
    Burst,
    /// Give one tick at once, and the next one a full period after that.
    Delay,
    /// Give one tick at once, and go on at the next multiple of the period.
    Skip,
}

/// Ticks at a fixed period. Made by
/// [`Executor::interval`](crate::Executor::interval).
#[derive(Debug)]
pub struct Interval<'a, P: Platform> {
    sleep: Pin<alloc::boxed::Box<Sleep<'a, P>>>,
    period: u64,
    missed: MissedTicks,
}

impl<'a, P: Platform> Interval<'a, P> {
    pub(crate) fn new(sleep: Sleep<'a, P>, period: u64) -> Self {
        Self {
            sleep: alloc::boxed::Box::pin(sleep),
            period: period.max(1),
            missed: MissedTicks::default(),
        }
    }

    /// Sets what happens to ticks that no task waited for.
    pub fn with_missed_ticks(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// Waits for the next tick and returns the time for which it was due.
    ///
    /// Cancellation-safe: a tick that was not awaited to its end is given
    /// later.
    pub async fn tick(&mut self) -> u64 {
        core::future::poll_fn(|context| self.poll_tick(context)).await
    }

    /// As [`tick`](Self::tick), for use in a hand-written future.
    pub fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<u64> {
        if self.sleep.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let due = self.sleep.deadline();
        let now = self.sleep.shared.now();
        let next = due.saturating_add(self.period);
        let next = match self.missed {
            _ if next > now => next,
            MissedTicks::Burst => next,
            MissedTicks::Delay => now.saturating_add(self.period),
            MissedTicks::Skip => {
                let passed = (now - due) / self.period;
                due.saturating_add((passed + 1).saturating_mul(self.period))
            }
        };
        self.sleep.as_mut().reset(next);
        Poll::Ready(due)
    }
}

impl<P: Platform> futures_util::Stream for Interval<'_, P> {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u64>> {
        self.get_mut().poll_tick(context).map(Some)
    }
}
