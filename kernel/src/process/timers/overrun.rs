//! How often a POSIX timer has expired while its signal waited to be taken (timer_getoverrun(2)).
//!
//! A timer has one signal in a queue at the most. It carries a [`Ticket`]; while that exists, further
//! expirations are counted and queue nothing.

use alloc::sync::Arc;
use spin::Mutex;

/// The counts of a timer. Its lock is the innermost.
#[derive(Default)]
pub(in crate::process) struct Overrun(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    is_queued: bool,
    /// Expirations since the one that was queued.
    more: u64,
    /// The same when a signal was taken last.
    last: u32,
}

impl Overrun {
    /// The timer has expired so many times. `Some`: its signal is to be queued, with this ticket.
    pub(super) fn expired(self: &Arc<Overrun>, times: u64) -> Option<Ticket> {
        let mut counts = self.0.lock();
        if counts.is_queued {
            counts.more = counts.more.saturating_add(times);
            return None;
        }
        counts.is_queued = true;
        counts.more = times.saturating_sub(1);
        Some(Ticket(Some(self.clone())))
    }

    /// What timer_getoverrun(2) returns.
    pub(super) fn last(&self) -> u32 {
        self.0.lock().last
    }

    fn take(&self) -> u32 {
        let mut counts = self.0.lock();
        counts.is_queued = false;
        // DELAYTIMER_MAX is that of an int.
        counts.last = counts.more.min(i32::MAX as u64) as u32;
        counts.last
    }
}

/// Stands for the signal of a timer in a queue. Without it the next expiration queues one again.
pub(in crate::process) struct Ticket(Option<Arc<Overrun>>);

impl Ticket {
    /// The signal was taken: how many expirations it stands for, beyond the first.
    pub(in crate::process) fn taken(mut self) -> u32 {
        self.0.take().map_or(0, |overrun| overrun.take())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(overrun) = &self.0 {
            overrun.0.lock().is_queued = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expirations_are_counted_until_the_signal_is_taken() {
        let overrun = Arc::new(Overrun::default());
        let ticket = overrun.expired(3).unwrap();
        assert!(overrun.expired(4).is_none());
        assert_eq!(ticket.taken(), 6);
        assert_eq!(overrun.last(), 6);
        let ticket = overrun.expired(1).unwrap();
        drop(ticket);
        assert_eq!(overrun.last(), 6);
        assert_eq!(overrun.expired(1).unwrap().taken(), 0);
    }
}
