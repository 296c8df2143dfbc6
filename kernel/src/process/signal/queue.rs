//! Signals that were sent and not taken.
//!
//! An ordinary signal is pending or not, with the `siginfo_t` of the first instance. Each instance of
//! a real-time signal is queued, and those of one number are taken in the order in which they were
//! sent (signal(7)).
//!
//! An entry is charged to the receiver's user (`RLIMIT_SIGPENDING`), and may find no memory. As on
//! Linux such a signal is pending without its `siginfo_t`; only a real-time signal that carries a
//! value is refused. So a signal from the kernel, which may be sent on the path of an interrupt,
//! gets no entry, and needs no memory.

use super::info::SigInfo;
use super::number::{Set, Signal};
use crate::process::timers::overrun::Ticket;
use crate::process::user::Charge;
use alloc::collections::VecDeque;
use linux_raw_sys::general as linux;

/// Whether the limit of a user holds for an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limited {
    /// It does.
    Yes,
    /// It does not.
    No,
}

impl Limited {
    /// What holds of this limit.
    pub(super) fn limit(self, limit: u64) -> u64 {
        match self {
            Limited::Yes => limit,
            Limited::No => u64::MAX,
        }
    }
}

/// There is no room for one more entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFull;

/// A signal with its `siginfo_t`.
struct Entry {
    info: SigInfo,
    /// Counts the entry until it is dropped. A timer's is counted with the timer.
    _charge: Option<Charge>,
    /// Of a timer that has sent it.
    ticket: Option<Ticket>,
}

#[derive(Default)]
pub(super) struct Queue {
    /// The signals that are pending.
    set: Set,
    /// Those of them that the kernel has sent, which have no entry.
    from_kernel: Set,
    entries: VecDeque<Entry>,
}

impl Queue {
    /// The signals that are pending.
    pub(super) fn set(&self) -> Set {
        self.set
    }

    /// Adds the signal of a timer, also beside one of the same number. Without memory the expiration
    /// is lost.
    pub(super) fn push_timer(&mut self, info: SigInfo, ticket: Ticket) {
        if self.entries.try_reserve(1).is_ok() {
            self.entries.push_back(Entry {
                info,
                _charge: None,
                ticket: Some(ticket),
            });
            self.set |= info.signal().bit();
        }
    }

    /// Adds a signal. `charge` counts its entry: within the limit, or always.
    ///
    /// # Errors
    /// When there is no room for a real-time signal with a value.
    pub(super) fn push(
        &mut self,
        info: SigInfo,
        charge: impl FnOnce(Limited) -> Option<Charge>,
    ) -> Result<(), QueueFull> {
        let signal = info.signal();
        let is_real_time = signal.is_real_time();
        if !is_real_time && self.set & signal.bit() != 0 {
            return Ok(());
        }
        if info == SigInfo::kernel(signal) {
            self.from_kernel |= signal.bit();
        } else {
            // Those that a program cannot send in number are not limited.
            let limited = match !is_real_time && info.code() >= 0 {
                true => Limited::No,
                false => Limited::Yes,
            };
            let charge = charge(limited).filter(|_| self.entries.try_reserve(1).is_ok());
            match charge {
                Some(charge) => self.entries.push_back(Entry {
                    info,
                    _charge: Some(charge),
                    ticket: None,
                }),
                None if is_real_time && info.code() != linux::SI_USER as i32 => {
                    return Err(QueueFull);
                }
                None => {}
            }
        }
        self.set |= signal.bit();
        Ok(())
    }

    /// Takes a signal that is pending.
    pub(super) fn take(&mut self, signal: Signal) -> SigInfo {
        let mut of_this = self.entries.iter().enumerate();
        let place = of_this.position(|(_, entry)| entry.info.signal() == signal);
        let entry = place.and_then(|place| self.entries.remove(place));
        if !self
            .entries
            .iter()
            .any(|entry| entry.info.signal() == signal)
        {
            self.set &= !signal.bit();
        }
        if self.entries.is_empty() {
            // What was queued once is not kept for ever.
            self.entries = VecDeque::new();
        }
        let is_from_kernel = self.from_kernel & signal.bit() != 0;
        self.from_kernel &= !signal.bit();
        match entry {
            Some(Entry {
                mut info, ticket, ..
            }) => {
                if let Some(ticket) = ticket {
                    info.set_overrun(ticket.taken());
                }
                info
            }
            None if is_from_kernel => SigInfo::kernel(signal),
            None => SigInfo::without(signal),
        }
    }

    /// Forgets signals.
    pub(super) fn remove(&mut self, set: Set) {
        if self.set & set != 0 {
            self.set &= !set;
            self.from_kernel &= !set;
            self.entries
                .retain(|entry| entry.info.signal().bit() & set == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::pid::Pid;
    use crate::process::user::{Counted, User};
    use alloc::sync::Arc;

    const LIMIT: u64 = 1024;

    fn signal(number: usize) -> Signal {
        Signal::new(number).unwrap()
    }

    fn queued(number: usize, value: u8) -> SigInfo {
        let mut bytes = [0; SigInfo::SIZE];
        bytes[8..12].copy_from_slice(&linux::SI_QUEUE.to_ne_bytes());
        bytes[24] = value;
        SigInfo::given(signal(number), bytes)
    }

    /// A queue of a user of its own.
    struct Test {
        user: Arc<User>,
        queue: Queue,
    }

    impl Test {
        fn new() -> Test {
            Test {
                user: User::alone(),
                queue: Queue::default(),
            }
        }

        fn push(&mut self, info: SigInfo) -> Result<(), QueueFull> {
            self.queue.push(info, |limited| {
                self.user.charge(Counted::Signal, limited.limit(LIMIT))
            })
        }
    }

    #[test]
    fn an_ordinary_signal_is_pending_once_and_the_first_one_counts() {
        let mut test = Test::new();
        test.push(SigInfo::user(signal(10), Pid(3), 0)).unwrap();
        test.push(SigInfo::user(signal(10), Pid(4), 0)).unwrap();
        assert_eq!(
            test.queue.take(signal(10)),
            SigInfo::user(signal(10), Pid(3), 0)
        );
        assert_eq!(test.queue.set(), 0);
    }

    #[test]
    fn real_time_signals_keep_their_order_and_are_bounded() {
        let mut test = Test::new();
        for value in 0..3 {
            test.push(queued(40, value)).unwrap();
            test.push(queued(34, value)).unwrap();
        }
        for value in 0..3 {
            assert_ne!(test.queue.set() & signal(40).bit(), 0);
            assert_eq!(test.queue.take(signal(40)), queued(40, value));
        }
        assert_eq!(test.queue.set(), signal(34).bit());
        for _ in 3..LIMIT {
            test.push(queued(34, 9)).unwrap();
        }
        assert_eq!(test.push(queued(34, 9)), Err(QueueFull));
        // By kill: pending without its siginfo.
        assert_eq!(test.push(SigInfo::user(signal(35), Pid(3), 0)), Ok(()));
        assert_eq!(test.queue.take(signal(35)), SigInfo::without(signal(35)));
        // An ordinary one by kill is not limited.
        let ordinary = SigInfo::user(signal(10), Pid(3), 0);
        assert_eq!(test.push(ordinary), Ok(()));
        assert_eq!(test.queue.take(signal(10)), ordinary);
    }

    #[test]
    fn what_is_forgotten_is_not_there_any_more() {
        let mut test = Test::new();
        test.push(queued(40, 1)).unwrap();
        test.push(SigInfo::user(signal(19), Pid(3), 0)).unwrap();
        test.queue.remove(signal(19).bit());
        assert_eq!(test.queue.set(), signal(40).bit());
        assert_eq!(test.queue.take(signal(40)), queued(40, 1));
    }
}
