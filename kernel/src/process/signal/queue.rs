//! Signals that were sent and not taken.
//!
//! An ordinary signal is pending or not; what is known of it is that of the first one sent. Each
//! real-time signal counts, and those of one number are taken in the order in which they were
//! sent (signal(7)). The queue is bounded, and memory may be missing: then an ordinary signal is
//! pending all the same, but nothing is known of it, as on Linux. So one from the kernel, which
//! may be sent on an interrupt's path, gets no entry at all, and needs no memory.

use super::info::SigInfo;
use super::number::{Set, Signal};
use alloc::collections::VecDeque;
use linux_raw_sys::general as linux;

/// How many entries one queue can have at the most.
pub(in crate::process) const MAX_QUEUED: usize = 1024;

/// There is no room for one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFull;

#[derive(Default)]
pub(super) struct Queue {
    /// The signals that are pending.
    set: Set,
    entries: VecDeque<SigInfo>,
}

impl Queue {
    /// The signals that are pending.
    pub(super) fn set(&self) -> Set {
        self.set
    }

    /// Adds a signal, with no more entries than the limit.
    ///
    /// # Errors
    /// When there is no room for what a sender wants to be told with it. `kill` does not care:
    /// the signal is pending then without it.
    pub(super) fn push(&mut self, info: SigInfo, limit: usize) -> Result<(), QueueFull> {
        let signal = info.signal();
        let counts = signal.is_real_time();
        if !counts && self.set & signal.bit() != 0 {
            return Ok(());
        }
        let from_kernel = info == SigInfo::kernel(signal);
        if counts || !from_kernel {
            let room = self.entries.len() < limit && self.entries.try_reserve(1).is_ok();
            if room {
                self.entries.push_back(info);
            } else if counts && info.code() != linux::SI_USER as i32 {
                return Err(QueueFull);
            }
        }
        self.set |= signal.bit();
        Ok(())
    }

    /// Takes a signal that is pending.
    pub(super) fn take(&mut self, signal: Signal) -> SigInfo {
        let mut of_this = self.entries.iter().enumerate();
        let place = of_this.position(|(_, info)| info.signal() == signal);
        let info = place.and_then(|place| self.entries.remove(place));
        if !self.entries.iter().any(|info| info.signal() == signal) {
            self.set &= !signal.bit();
        }
        info.unwrap_or(SigInfo::kernel(signal))
    }

    /// Forgets signals.
    pub(super) fn remove(&mut self, set: Set) {
        if self.set & set != 0 {
            self.set &= !set;
            self.entries.retain(|info| info.signal().bit() & set == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ids::Pid;

    fn signal(number: usize) -> Signal {
        Signal::new(number).unwrap()
    }

    fn queued(number: usize, value: u8) -> SigInfo {
        let mut bytes = [0; SigInfo::SIZE];
        bytes[8..12].copy_from_slice(&linux::SI_QUEUE.to_ne_bytes());
        bytes[24] = value;
        SigInfo::given(signal(number), bytes)
    }

    #[test]
    fn an_ordinary_signal_is_pending_once_and_the_first_one_counts() {
        let mut queue = Queue::default();
        queue
            .push(SigInfo::user(signal(10), Pid(3)), MAX_QUEUED)
            .unwrap();
        queue
            .push(SigInfo::user(signal(10), Pid(4)), MAX_QUEUED)
            .unwrap();
        assert_eq!(queue.take(signal(10)), SigInfo::user(signal(10), Pid(3)));
        assert_eq!(queue.set(), 0);
    }

    #[test]
    fn real_time_signals_keep_their_order_and_are_bounded() {
        let mut queue = Queue::default();
        for value in 0..3 {
            queue.push(queued(40, value), MAX_QUEUED).unwrap();
            queue.push(queued(34, value), MAX_QUEUED).unwrap();
        }
        for value in 0..3 {
            assert_ne!(queue.set() & signal(40).bit(), 0);
            assert_eq!(queue.take(signal(40)), queued(40, value));
        }
        assert_eq!(queue.set(), signal(34).bit());
        for _ in 3..MAX_QUEUED {
            queue.push(queued(34, 9), MAX_QUEUED).unwrap();
        }
        assert_eq!(queue.push(queued(34, 9), MAX_QUEUED), Err(QueueFull));
        assert_eq!(
            queue.push(SigInfo::user(signal(10), Pid(3)), MAX_QUEUED),
            Ok(())
        );
        assert_eq!(queue.take(signal(10)), SigInfo::kernel(signal(10)));
    }

    #[test]
    fn what_is_forgotten_is_not_there_any_more() {
        let mut queue = Queue::default();
        queue.push(queued(40, 1), MAX_QUEUED).unwrap();
        queue
            .push(SigInfo::user(signal(19), Pid(3)), MAX_QUEUED)
            .unwrap();
        queue.remove(signal(19).bit());
        assert_eq!(queue.set(), signal(40).bit());
        assert_eq!(queue.take(signal(40)), queued(40, 1));
    }
}
