//! A resource that is handed from task to task in the order of arrival: what the locks
//! ([`Mutex`](super::Mutex), [`RwLock`](super::RwLock)) and the
//! [`Semaphore`](super::Semaphore) have in common.
//!
//! One word says how much of the resource is taken or free; what its upper bits mean is up to
//! the [`Resource`]. Bit 0, [`WAITERS`], says that the list of waiters is not empty.
//!
//! Taking and giving back without contention is one atomic operation on the word. While
//! `WAITERS` is set, a new task cannot pass those in the list: it enrols, and the task that
//! gives something back hands it to the first waiter, which finds that it holds the resource.
//! So a waiter does not wait for any task that came after it.
//!
//! `WAITERS` changes with the list's lock held only. While it is set, nothing is taken off the
//! resource without that lock; giving back needs no lock.

use super::waiters::{Note, Phase, Waiter, Waiters};
use crate::batch::WakeBatch;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::{Lock, const_unless_loom};
use crate::task::Label;
use crate::task::context::waits_for;
use crate::task::coop::{spend, unspend};
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The list of waiters is not empty.
pub(super) const WAITERS: usize = 1 << 0;

/// What the upper bits of the word mean.
pub(super) trait Resource: Sized {
    /// What a waiting task waits for.
    const LABEL: &'static Label;

    /// The word after `want` is taken; `None` if that is not free. `WAITERS` stays as it is.
    fn after(word: usize, want: usize) -> Option<usize>;

    /// Takes `want` if it is free and no task waits.
    fn try_take(handoff: &Handoff<Self>, want: usize) -> bool {
        handoff.try_take(want)
    }

    /// Gives `want` back.
    fn give_back(handoff: &Handoff<Self>, want: usize);
}

pub(super) struct Handoff<R> {
    pub(super) word: AtomicUsize,
    waiters: Lock<Waiters>,
    resource: PhantomData<R>,
}

impl<R> Handoff<R> {
    const_unless_loom! {
        pub(super) const fn new(word: usize) -> Self {
            Self {
                word: AtomicUsize::new(word),
                waiters: Lock::new(Waiters::new()),
                resource: PhantomData,
            }
        }
    }
}

impl<R: Resource> Handoff<R> {
    /// Takes `want` if it is free and no task waits.
    pub(super) fn try_take(&self, want: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WAITERS == 0
            && let Some(new) = R::after(word, want)
        {
            // Acquire: pairs with the Release of the operation that gave it back.
            match self
                .word
                .compare_exchange_weak(word, new, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Subtracts `give_up` from the word, and hands what is free to the first waiters, as far
    /// as it goes.
    pub(super) fn hand_over(&self, mut give_up: usize) {
        loop {
            let mut batch = WakeBatch::new();
            let more = self.waiters.with(|waiters| {
                let amount = core::mem::take(&mut give_up);
                if amount != 0 {
                    self.word.fetch_sub(amount, Ordering::Release);
                }
                self.grant(waiters, &mut batch)
            });
            // With the lock released (rule E1).
            batch.wake();
            if !more {
                return;
            }
        }
    }

    /// Gives the first waiters what they want while it is free. True: the batch
    /// is full, and there may be more.
    fn grant(&self, waiters: &mut Waiters, batch: &mut WakeBatch) -> bool {
        while let Some(want) = waiters.first() {
            // With WAITERS set only a CPU that holds the list's lock takes something, so what is
            // free stays free. Acquire: pairs with the Release of the operation that gave it
            // back; the new holder observes this CPU's list lock.
            let word = self.word.load(Ordering::Acquire);
            let Some(new) = R::after(word, want as usize) else {
                return false;
            };
            if batch.is_full() {
                return true;
            }
            // An addition: more may be given back at the same time.
            self.word
                .fetch_add(new.wrapping_sub(word), Ordering::Relaxed);
            batch.push(waiters.take_first(Phase::Granted));
        }
        self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        false
    }

    /// Takes `want`, or enrols. True: taken.
    fn take_or_enrol(&self, waiter: Pin<&Waiter>, want: usize, context: &Context<'_>) -> bool {
        self.waiters.with(|waiters| {
            let mut word = self.word.load(Ordering::Relaxed);
            loop {
                let taken = R::after(word, want).filter(|_| word & WAITERS == 0);
                match self.word.compare_exchange_weak(
                    word,
                    taken.unwrap_or(word | WAITERS),
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) if taken.is_some() => return true,
                    Ok(_) => break,
                    Err(now) => word = now,
                }
            }
            // SAFETY: `Taking` takes the waiter out before it is dropped, and enrols it once.
            unsafe { waiters.enrol(waiter, want as Note, context.waker()) };
            false
        })
    }
}

/// Takes something of a resource: the core of the futures of all its users.
///
/// Cancellation-safe: a waiter that is dropped leaves the list, and hands on what it was given.
pub(super) struct Taking<'a, R: Resource> {
    pub(super) handoff: &'a Handoff<R>,
    pub(super) want: usize,
    waiter: Waiter,
}

impl<'a, R: Resource> Taking<'a, R> {
    pub(super) fn new(handoff: &'a Handoff<R>, want: usize) -> Self {
        Self {
            handoff,
            want,
            waiter: Waiter::new(),
        }
    }

    /// Ready: the caller holds what it wanted.
    pub(super) fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if spend(context).is_pending() {
            return Poll::Pending;
        }
        let polled = self.as_mut().poll_take(context);
        if polled.is_pending() {
            unspend(context);
            waits_for(context, R::LABEL);
        }
        polled
    }

    fn poll_take(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.into_ref().get_ref();
        // SAFETY: the waiter is pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        if waiter.is_enrolled() {
            let (phase, old) = this.handoff.waiters.with(|waiters| {
                // SAFETY: the waiter is used with this list only.
                unsafe { waiters.check(waiter, context.waker()) }
            });
            drop(old);
            if phase == Phase::Waiting {
                return Poll::Pending;
            }
            return Poll::Ready(());
        }
        if R::try_take(this.handoff, this.want)
            || this.handoff.take_or_enrol(waiter, this.want, context)
        {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<R: Resource> Drop for Taking<'_, R> {
    fn drop(&mut self) {
        if !self.waiter.is_enrolled() {
            return;
        }
        let mut batch = WakeBatch::new();
        // SAFETY: it was enrolled, so it was pinned; it is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let (phase, waker, more) = self.handoff.waiters.with(|waiters| {
            // SAFETY: the waiter is used with this list only.
            let (phase, waker) = unsafe { waiters.remove(waiter) };
            // This waiter may have stood before others that want less, and
            // the last one to leave clears WAITERS.
            let more = phase == Phase::Waiting && self.handoff.grant(waiters, &mut batch);
            (phase, waker, more)
        });
        batch.wake();
        drop(waker);
        if phase == Phase::Granted {
            // It was handed to this waiter, which will not use it.
            R::give_back(self.handoff, self.want);
        } else if more {
            self.handoff.hand_over(0);
        }
    }
}
