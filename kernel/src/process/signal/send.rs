//! Sending signals.
//!
//! A signal that would be ignored is not queued, unless a thread blocks it: it may have a handler by
//! the time it is unblocked. `SIGCONT` continues a stopped process when it is sent, and removes
//! pending stop signals; a stop signal removes a pending `SIGCONT`.

use super::action::Disposition;
use super::info::{ChildEvent, SigInfo};
use super::number::{DefaultAction, STOPPING, Signal};
use super::queue::{Limited, Queue, QueueFull};
use super::state::SignalState;
use crate::memory;
use crate::process::ids::{self, Pid};
use crate::process::state::Process;
use crate::process::thread::{Tcb, Thread};
use crate::process::timers::overrun::Ticket;
use crate::process::user::{Charge, Counted};
use core::mem;
use core::sync::atomic::{Ordering, fence};

/// Sends a signal to a process. To a zombie it does nothing.
///
/// # Errors
/// When there is no room for what is sent with it. For a signal without a value that makes no
/// difference.
pub fn send(process: &Process, info: SigInfo) -> Result<(), QueueFull> {
    process.post(None, info)
}

/// Sends a process, or one of its threads, the signal of a timer. If it would be ignored nothing
/// happens.
pub(in crate::process) fn send_with(
    process: &Process,
    to: Option<&Tcb>,
    info: SigInfo,
    ticket: Ticket,
) {
    // One with a ticket is not refused.
    if let Ok(queued) = process.queue(to, info, Some(ticket)) {
        process.wake_for(to, queued);
    }
}

/// A signal that was queued, for which threads are still to be woken.
#[derive(Clone, Copy)]
#[must_use = "its threads have to be woken"]
pub(in crate::process) struct Queued {
    signal: Signal,
    /// It was not left out as one that would be ignored.
    is_pending: bool,
}

/// Queues a signal for a process, without waking its threads: for a caller that holds locks.
pub(in crate::process) fn queue(process: &Process, info: SigInfo) -> Result<Queued, QueueFull> {
    process.queue(None, info, None)
}

/// Wakes the threads for what [`queue`] has queued.
pub(in crate::process) fn wake_for(process: &Process, queued: Queued) {
    process.wake_for(None, queued);
}

/// To which processes a signal was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// To one at least.
    ToSome,
    /// There are such processes, but the sender may send none of them a signal.
    NotAllowed,
    /// There are none.
    NoSuch,
}

/// Whether a process may send another one this signal (kill(2)).
pub fn may_signal(sender: &Process, to: &Process, info: Option<SigInfo>) -> bool {
    let session = |process: &Process| process.session.load(Ordering::Relaxed);
    let continues = info.is_some_and(|info| info.signal() == Signal::CONT);
    core::ptr::eq(sender, to)
        || (continues && session(sender) == session(to))
        || sender.credentials().may_signal(&to.credentials())
}

/// Sends a signal, if any, to all processes of a group, also to those that are being made. Without a
/// sender it is the kernel's.
pub fn send_to_group(group: u32, info: Option<SigInfo>, sender: Option<&Process>) -> Sent {
    send_to_many(info, sender, |process| {
        process.group.load(Ordering::Relaxed) == group
    })
}

/// The same for all processes but init and the sender.
pub fn send_to_all(sender: &Process, info: Option<SigInfo>) -> Sent {
    send_to_many(info, Some(sender), |process| {
        process.pid != sender.pid && process.pid != Pid::INIT
    })
}

fn send_to_many(
    info: Option<SigInfo>,
    sender: Option<&Process>,
    selected: impl Fn(&Process) -> bool,
) -> Sent {
    let mut sent = Sent::NoSuch;
    ids::for_each(|process| {
        if !selected(process) {
            return;
        }
        if sender.is_some_and(|sender| !may_signal(sender, process, info)) {
            if sent == Sent::NoSuch {
                sent = Sent::NotAllowed;
            }
            return;
        }
        sent = Sent::ToSome;
        if let Some(info) = info {
            // Without room the others get it all the same.
            let _ = send(process, info);
        }
    });
    sent
}

/// Kills all processes but init: the machine is about to stop.
pub(in crate::process) fn kill_all() {
    ids::for_each(|process| {
        if process.pid != Pid::INIT {
            // It has no value that could be too much.
            let _ = send(process, SigInfo::kernel(Signal::KILL));
        }
    });
}

impl Process {
    /// Queues a signal, and wakes the threads that may take it.
    fn post(&self, to: Option<&Tcb>, info: SigInfo) -> Result<(), QueueFull> {
        let queued = self.queue(to, info, None)?;
        self.wake_for(to, queued);
        Ok(())
    }

    /// Puts a signal into the queue of the process or of one of its threads. No thread is woken.
    fn queue(
        &self,
        to: Option<&Tcb>,
        info: SigInfo,
        ticket: Option<Ticket>,
    ) -> Result<Queued, QueueFull> {
        let signal = info.signal();
        let continues = signal == Signal::CONT;
        let (user, limit) = (self.user(), self.limits.pending_signals());
        let charge = |limited: Limited| {
            memory::ensure_free().ok()?;
            user.charge(Counted::Signal, limited.limit(limit))
        };
        let queued = {
            let mut state = self.signals.state.lock();
            if continues {
                state.forget(&self.threads, STOPPING);
                if mem::take(&mut state.stopped) {
                    state.report = Some(ChildEvent::Continued);
                    state.unsent = state.report;
                }
            } else if signal.bit() & STOPPING != 0 {
                state.forget(&self.threads, Signal::CONT.bit());
            }
            let queued = match to {
                _ if self.is_indifferent(&state, to, signal) => Ok(false),
                Some(thread) => thread
                    .signals
                    .change(&mut state, |queue| push(queue, info, ticket, charge))
                    .map(|()| true),
                None => push(&mut state.queue, info, ticket, charge).map(|()| true),
            };
            self.signals.publish(&state);
            queued?
        };
        Ok(Queued {
            signal,
            is_pending: queued,
        })
    }

    /// Wakes the threads that may take a signal that was queued.
    fn wake_for(&self, to: Option<&Tcb>, queued: Queued) {
        let signal = queued.signal;
        // Pairs with the SeqCst stores of `blocked` and `awaited` by a thread: either the loads in
        // `wants` below observe them, or the thread's next look observes the queue.
        fence(Ordering::SeqCst);
        match to {
            _ if signal == Signal::CONT => self.threads.signal_wake(),
            Some(thread) if queued.is_pending => thread.signal_wake(),
            None if queued.is_pending => self.threads.for_each(|thread| {
                if thread.signals.wants(signal) {
                    thread.signal_wake();
                }
            }),
            _ => {}
        }
    }

    /// Whether the signal would be ignored, now and later.
    fn is_indifferent(&self, state: &SignalState, to: Option<&Tcb>, signal: Signal) -> bool {
        let disposition = state.actions.get(signal).disposition();
        // Init gets only what it has asked for (signal(7), kill(2)).
        if self.pid == Pid::INIT && disposition == Disposition::Default {
            return true;
        }
        let blocks = |thread: &Tcb| thread.signals.blocked() & signal.bit() != 0;
        let is_blocked = match to {
            Some(thread) => blocks(thread),
            None => {
                let mut any = false;
                self.threads.for_each(|thread| any |= blocks(thread));
                any
            }
        };
        if is_blocked {
            return false;
        }
        match disposition {
            Disposition::Ignore => true,
            Disposition::Default => signal.default_action() == DefaultAction::Ignore,
            Disposition::Handler(_) => false,
        }
    }
}

/// Puts a signal into a queue: that of a timer by its ticket.
fn push(
    queue: &mut Queue,
    info: SigInfo,
    ticket: Option<Ticket>,
    charge: impl FnOnce(Limited) -> Option<Charge>,
) -> Result<(), QueueFull> {
    match ticket {
        Some(ticket) => {
            queue.push_timer(info, ticket);
            Ok(())
        }
        None => queue.push(info, charge),
    }
}

impl Tcb {
    /// Sends the thread alone a signal.
    ///
    /// # Errors
    /// As [`send`].
    pub fn send(&self, info: SigInfo) -> Result<(), QueueFull> {
        self.process().post(Some(self), info)
    }
}

impl Thread {
    /// Sends the thread a signal for its own fault. Blocked or ignored, such a signal ends the
    /// process (signal(7)).
    pub fn force(&self, info: SigInfo) {
        let signals = &self.process().signals;
        let user = self.process().user();
        let charge = |_| user.charge(Counted::Signal, u64::MAX);
        let bit = info.signal().bit();
        let mut state = signals.state.lock();
        let blocked = self.blocked() & bit != 0;
        if blocked || state.actions.ignored & bit != 0 {
            state.actions.reset(info.signal());
            self.set_blocked(self.blocked() & !bit);
        }
        // An ordinary signal always has room.
        let _ = self
            .signals()
            .change(&mut state, |queue| queue.push(info, charge));
        signals.publish(&state);
    }

    /// Whether the program has a handler for it, and does not block it.
    pub fn catches(&self, signal: Signal) -> bool {
        self.process().handled() & !self.blocked() & signal.bit() != 0
    }
}
