//! The wait queue: wait until a condition holds.

use super::waiters::{Phase, Waiter, Waiters};
use crate::batch::WakeBatch;
use crate::facade::atomic::{AtomicBool, Ordering};
use crate::facade::{Lock, const_unless_loom};
use crate::task::Label;
use crate::task::context::waits_for;
use crate::task::coop::{spend, unspend};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// A queue of tasks that wait for conditions over something that others
/// change: what a kernel's pipes, futexes and `wait4` are built on.
///
/// A waiter gives the condition, as a closure; code that changes something calls
/// [`wake_one`](Self::wake_one) or its kin afterwards. A waiter looks at its
/// condition, enrols, and looks again, so a change before the enrolment is seen
/// by the second look, and one after it finds the waiter enrolled.
///
/// Waiting never allocates.
///
/// ```
/// use executor::sync::WaitQueue;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
///
/// struct Shelf { loaves: AtomicU32, customers: WaitQueue }
/// let shelf = Arc::new(Shelf { loaves: AtomicU32::new(0), customers: WaitQueue::new() });
///
/// # let runtime = executor::host::Runtime::new(1);
/// # let executor = runtime.executor();
/// let baker = shelf.clone();
/// executor.spawn("baker", async move {
///     baker.loaves.fetch_add(1, SeqCst);
///     baker.customers.wake_one();
/// }).detach();
/// runtime.block_on(shelf.customers.wait_until(|| {
///     shelf.loaves.fetch_update(SeqCst, SeqCst, |loaves| loaves.checked_sub(1)).ok()
/// }));
/// ```
pub struct WaitQueue {
    waiters: Lock<Waiters>,
    /// Whether there are any; a copy, written with the lock held.
    any: AtomicBool,
    label: &'static Label,
}

static LABEL: Label = Label("wait queue");

impl WaitQueue {
    const_unless_loom! {
        /// An empty queue.
        pub const fn new() -> Self {
            Self::labelled(&LABEL)
        }
    }

    const_unless_loom! {
        /// An empty queue, with a name for what is waited for here.
        pub const fn labelled(label: &'static Label) -> Self {
            Self { waiters: Lock::new(Waiters::new()), any: AtomicBool::new(false), label }
        }
    }

    /// Waits until `condition` gives something.
    ///
    /// The closure is called without any lock held, at least once, and again
    /// after each wake-up. A waiter whose condition does not hold when it is
    /// woken waits on, at the end of the queue.
    ///
    /// Cancellation-safe: if the future is dropped after a `wake_one` chose it
    /// and before it looked, the wake-up passes to the next waiter.
    pub fn wait_until<T, F>(&self, condition: F) -> WaitUntil<'_, F>
    where
        F: FnMut() -> Option<T>,
    {
        WaitUntil {
            queue: self,
            condition,
            waiter: Waiter::new(),
            has_looked: false,
        }
    }

    /// Wakes the waiter that has waited longest, if there is one, and says so.
    pub fn wake_one(&self) -> bool {
        let (any, waker) =
            self.change(|waiters| (!waiters.is_empty(), waiters.take_first(Phase::Granted)));
        if let Some(waker) = waker {
            waker.wake();
        }
        any
    }

    /// Wakes up to `n` waiters, and says how many.
    pub fn wake_n(&self, n: usize) -> usize {
        self.wake_while(n, Phase::Granted)
    }

    /// Wakes all tasks that wait now, and says how many there were.
    pub fn wake_all(&self) -> usize {
        self.wake_while(usize::MAX, Phase::Released)
    }

    fn wake_while(&self, limit: usize, phase: Phase) -> usize {
        let mut woken = 0;
        let mut horizon = None;
        loop {
            let mut batch = WakeBatch::new();
            let more = self.change(|waiters| {
                // A waiter that is woken and enrols again comes after the horizon, so it
                // is not woken twice.
                let horizon = *horizon.get_or_insert(waiters.horizon());
                while woken < limit
                    && let Some(order) = waiters.first()
                    && order < horizon
                {
                    if batch.is_full() {
                        return true;
                    }
                    batch.push(waiters.take_first(phase));
                    woken += 1;
                }
                false
            });
            batch.wake();
            if !more {
                return woken;
            }
        }
    }

    /// Takes the lock for what may change the list.
    fn change<T>(&self, change: impl FnOnce(&mut Waiters) -> T) -> T {
        self.waiters.with(|waiters| {
            let result = change(waiters);
            // Relaxed: see `has_waiters`.
            self.any.store(!waiters.is_empty(), Ordering::Relaxed);
            result
        })
    }

    /// Does any task wait? Costs a load. Exact under the lock around what the conditions look at,
    /// after a change of that: a waiter that enrolled before its last look is seen, and one that
    /// has not enrolled yet will see the change. Elsewhere it is a hint.
    #[inline]
    pub fn has_waiters(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Does no task wait? A hint, unless the caller keeps others from
    /// enrolling.
    pub fn is_empty(&self) -> bool {
        self.waiters.with(|waiters| waiters.is_empty())
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("empty", &self.is_empty())
            .finish()
    }
}

/// The future of [`WaitQueue::wait_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct WaitUntil<'a, F> {
    queue: &'a WaitQueue,
    condition: F,
    waiter: Waiter,
    /// Whether the first look is behind it.
    has_looked: bool,
}

impl<F> WaitUntil<'_, F> {
    /// Leaves out the look before the enrolment, for a caller that has just looked. (The
    /// look after it is the one that matters.)
    pub fn after_a_look(mut self) -> Self {
        self.has_looked = true;
        self
    }
}

impl<F> WaitUntil<'_, F> {
    /// Leaves the queue, and passes on a wake-up that was for this waiter.
    fn leave(self: Pin<&mut Self>) {
        if !self.waiter.is_enrolled() {
            return;
        }
        let this = self.into_ref().get_ref();
        // SAFETY: the waiter is pinned with the future, and used with this
        // queue only.
        let (phase, waker) = this
            .queue
            .change(|waiters| unsafe { waiters.remove(Pin::new_unchecked(&this.waiter)) });
        drop(waker);
        if phase == Phase::Granted {
            this.queue.wake_one();
        }
    }
}

impl<T, F: FnMut() -> Option<T>> Future for WaitUntil<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if spend(context).is_pending() {
            return Poll::Pending;
        }
        let polled = self.as_mut().poll_condition(context);
        if polled.is_pending() {
            unspend(context);
            waits_for(context, self.queue.label);
        }
        polled
    }
}

impl<T, F: FnMut() -> Option<T>> WaitUntil<'_, F> {
    fn poll_condition(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the waiter is not moved.
        let this = unsafe { self.as_mut().get_unchecked_mut() };
        if this.waiter.is_enrolled() {
            // SAFETY: the waiter is pinned with the future, and used with this
            // queue only.
            let (phase, old) = this.queue.change(|waiters| unsafe {
                let waiter = Pin::new_unchecked(&this.waiter);
                match waiters.check(waiter, context.waker()) {
                    (Phase::Waiting, old) => (Phase::Waiting, old),
                    // The wake-up is ours: the look below uses it.
                    _ => waiters.remove(waiter),
                }
            });
            drop(old);
            if phase == Phase::Waiting {
                // Polled for another reason. A look does no harm, and spares
                // a task that selects over several queues a surprise.
                let Some(value) = (this.condition)() else {
                    return Poll::Pending;
                };
                self.leave();
                return Poll::Ready(value);
            }
        }
        if !core::mem::take(&mut this.has_looked)
            && let Some(value) = (this.condition)()
        {
            return Poll::Ready(value);
        }
        // SAFETY: the waiter is pinned and in no list; `leave` takes it out
        // before it is dropped.
        this.queue.change(|waiters| unsafe {
            waiters.enrol_in_order(Pin::new_unchecked(&this.waiter), context.waker());
        });
        // A change before the enrolment woke no task: look again.
        match (this.condition)() {
            Some(value) => {
                self.leave();
                Poll::Ready(value)
            }
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for WaitUntil<'_, F> {
    fn drop(&mut self) {
        // SAFETY: if it was polled it was pinned, and it is not moved any
        // more; if not, it is in no list and nothing happens.
        unsafe { Pin::new_unchecked(self) }.leave();
    }
}

impl<F> fmt::Debug for WaitUntil<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitUntil")
            .field("enrolled", &self.waiter.is_enrolled())
            .finish_non_exhaustive()
    }
}
