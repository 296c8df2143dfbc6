//! Taking turns: a lock that may be held across an `.await` (rule E1 is about
//! the others). Who waits for it sleeps.

use core::sync::atomic::{AtomicBool, Ordering};
use executor::sync::WaitQueue;

/// Something that one task at a time may do.
pub struct Turn {
    taken: AtomicBool,
    waiting: WaitQueue,
}

/// The right to do it. Dropping it, also by a task that is cancelled, hands it on.
#[must_use]
pub struct Held<'a>(&'a Turn);

impl Turn {
    /// Nobody has it.
    pub const fn new() -> Turn {
        Turn {
            taken: AtomicBool::new(false),
            waiting: WaitQueue::new(),
        }
    }

    /// Waits until nobody has it, and takes it.
    pub async fn take(&self) -> Held<'_> {
        match self.try_take() {
            Some(held) => held,
            None => self.waiting.wait_until(|| self.try_take()).await,
        }
    }

    fn try_take(&self) -> Option<Held<'_>> {
        // Acquire: pairs with the Release in `drop`, so that what the last
        // holder did is seen.
        let taken = self.taken.swap(true, Ordering::Acquire);
        (!taken).then_some(Held(self))
    }
}

impl Default for Turn {
    fn default() -> Turn {
        Turn::new()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.waiting.wake_one();
    }
}
