//! The lock under [`Mutex`](super::Mutex) and [`RwLock`](super::RwLock).
//!
//! One word says who holds it:
//!
//! ```text
//!   bit 0  WAITERS  the list is not empty
//!   bit 1  WRITER   one holder, alone
//!   above           the number of readers
//! ```
//!
//! Taking and releasing an uncontended lock is one atomic operation on the
//! word. While WAITERS is set nobody passes those who wait: takers enrol, and
//! whoever releases the lock hands it over to the first in the list, who finds
//! that it holds the lock. So the order is first come, first served, readers
//! that stand together go together, and a writer waits for nobody who came
//! after it.
//!
//! WAITERS changes with the list's lock held only. With WAITERS set and no
//! holder left, nobody changes the word without that lock.

use super::waiters::{Note, Phase, Waiter, Waiters};
use crate::batch::WakeBatch;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::{Lock, const_unless_loom};
use crate::task::Label;
use crate::task::context::{spend, unspend, waits_for};
use core::pin::Pin;
use core::task::{Context, Poll};

static LABEL: Label = Label("lock");

const WAITERS: usize = 1 << 0;
const WRITER: usize = 1 << 1;
const READER: usize = 1 << 2;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// With other readers.
    Shared,
    /// Alone.
    Exclusive,
}

impl Mode {
    /// What is added to the word.
    fn amount(self) -> usize {
        match self {
            Self::Shared => READER,
            Self::Exclusive => WRITER,
        }
    }

    /// May the lock be taken in this mode by the first in line?
    fn fits(self, word: usize) -> bool {
        match self {
            Self::Shared => word & WRITER == 0,
            Self::Exclusive => word & !WAITERS == 0,
        }
    }

    fn from_want(want: Note) -> Self {
        if want == READER as Note {
            Self::Shared
        } else {
            Self::Exclusive
        }
    }
}

pub(super) struct RawLock {
    word: AtomicUsize,
    waiters: Lock<Waiters>,
}

impl RawLock {
    const_unless_loom! {
        pub(super) const fn new() -> Self {
            Self { word: AtomicUsize::new(0), waiters: Lock::new(Waiters::new()) }
        }
    }

    /// Takes the lock if it is free and nobody waits for it.
    pub(super) fn try_acquire(&self, mode: Mode) -> bool {
        if mode == Mode::Exclusive {
            return self
                .word
                .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        }
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WAITERS | WRITER) == 0 {
            match self.word.compare_exchange_weak(
                word,
                word + READER,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Gives the lock up, or hands it over.
    pub(super) fn release(&self, mode: Mode) {
        match mode {
            Mode::Exclusive => {
                if self
                    .word
                    .compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed)
                    .is_err()
                {
                    self.hand_over(WRITER);
                }
            }
            Mode::Shared => {
                let before = self.word.fetch_sub(READER, Ordering::Release);
                if before == READER | WAITERS {
                    self.hand_over(0);
                }
            }
        }
    }

    /// Turns an exclusive hold into a shared one, without a moment in which
    /// nobody holds the lock.
    pub(super) fn downgrade(&self) {
        let before = self.word.fetch_add(READER - WRITER, Ordering::Release);
        if before & WAITERS != 0 {
            self.hand_over(0);
        }
    }

    /// Takes `give_up` off the word and gives the lock to the first in the
    /// list, as far as it fits.
    fn hand_over(&self, mut give_up: usize) {
        loop {
            let mut batch = WakeBatch::new();
            let more = self.waiters.with(|waiters| {
                self.word
                    .fetch_sub(core::mem::take(&mut give_up), Ordering::Release);
                self.grant(waiters, &mut batch)
            });
            batch.wake();
            if !more {
                return;
            }
        }
    }

    /// Gives the lock to the first in the list while it fits. True: the batch
    /// is full, and there may be more.
    fn grant(&self, waiters: &mut Waiters, batch: &mut WakeBatch) -> bool {
        while let Some(want) = waiters.first() {
            let mode = Mode::from_want(want);
            // Acquire: what the last holders did comes before what the new one
            // does; it gets here through the lock of the list.
            if !mode.fits(self.word.load(Ordering::Acquire)) {
                return false;
            }
            if batch.is_full() {
                return true;
            }
            self.word.fetch_add(mode.amount(), Ordering::Relaxed);
            batch.push(waiters.take_first(Phase::Granted));
        }
        self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        false
    }

    /// Takes the lock, or enrols. True: taken.
    fn acquire_or_enrol(&self, waiter: Pin<&Waiter>, mode: Mode, context: &Context<'_>) -> bool {
        self.waiters.with(|waiters| {
            let mut word = self.word.load(Ordering::Relaxed);
            loop {
                let free = word & WAITERS == 0 && mode.fits(word);
                let new = if free {
                    word + mode.amount()
                } else {
                    word | WAITERS
                };
                match self.word.compare_exchange_weak(
                    word,
                    new,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) if free => return true,
                    Ok(_) => break,
                    Err(now) => word = now,
                }
            }
            // SAFETY: `Acquiring` takes the waiter out before it is dropped,
            // and enrols it once.
            unsafe { waiters.enrol(waiter, mode.amount() as Note, context.waker()) };
            false
        })
    }
}

/// Takes a raw lock: the core of the futures of both locks.
pub(super) struct Acquiring<'a> {
    lock: &'a RawLock,
    mode: Mode,
    waiter: Waiter,
}

impl<'a> Acquiring<'a> {
    pub(super) fn new(lock: &'a RawLock, mode: Mode) -> Self {
        Self {
            lock,
            mode,
            waiter: Waiter::new(),
        }
    }

    /// Ready: the caller holds the lock.
    pub(super) fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if spend(context).is_pending() {
            return Poll::Pending;
        }
        let polled = self.as_mut().poll_lock(context);
        if polled.is_pending() {
            unspend(context);
            waits_for(context, &LABEL);
        }
        polled
    }

    fn poll_lock(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.into_ref().get_ref();
        // SAFETY: the waiter is pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        if waiter.is_enrolled() {
            let (phase, old) = this.lock.waiters.with(|waiters| {
                // SAFETY: the waiter is used with this list only.
                unsafe { waiters.check(waiter, context.waker()) }
            });
            drop(old);
            if phase == Phase::Waiting {
                return Poll::Pending;
            }
            return Poll::Ready(());
        }
        if this.lock.try_acquire(this.mode)
            || this.lock.acquire_or_enrol(waiter, this.mode, context)
        {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Acquiring<'_> {
    fn drop(&mut self) {
        if !self.waiter.is_enrolled() {
            return;
        }
        let mut batch = WakeBatch::new();
        // SAFETY: it was enrolled, so it was pinned; it is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let (phase, waker, more) = self.lock.waiters.with(|waiters| {
            // SAFETY: the waiter is used with this list only.
            let (phase, waker) = unsafe { waiters.remove(waiter) };
            // A writer that goes away may have stood before readers that fit,
            // and the last to go clears WAITERS.
            let more = phase == Phase::Waiting && self.lock.grant(waiters, &mut batch);
            (phase, waker, more)
        });
        batch.wake();
        drop(waker);
        if phase == Phase::Granted {
            // The lock was handed to us, and nobody will use it.
            self.lock.release(self.mode);
        } else if more {
            self.lock.hand_over(0);
        }
    }
}
