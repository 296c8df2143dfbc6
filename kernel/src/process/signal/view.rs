//! What a process and its threads see of their signals, and change of them (sigaction(2),
//! sigpending(2)).

use super::action::{Action, Disposition};
use super::number::{DefaultAction, Set, Signal};
use super::restart::Continuation;
use super::state::{SignalState, ThreadSignals};
use crate::errno::Errno;
use crate::process::state::Process;
use crate::process::thread::{Tcb, Thread};
use crate::process::thread_group::ThreadGroup;
use crate::wait::Caller;

impl Process {
    /// What is to be done with the signal.
    pub fn action(&self, signal: Signal) -> Action {
        self.signals.action(signal)
    }

    /// Changes what is to be done with the signal, and says what it was. Not for `SIGKILL`
    /// and `SIGSTOP`. What is ignored from now on is not pending any more (sigaction(2)).
    pub fn set_action(&self, signal: Signal, action: Action) -> Action {
        let signals = &self.signals;
        let mut state = signals.state.lock();
        let old = state.actions.get(signal);
        state.actions.set(signal, action);
        let nothing = match action.disposition() {
            Disposition::Ignore => true,
            Disposition::Default => signal.default_action() == DefaultAction::Ignore,
            Disposition::Handler(_) => false,
        };
        if nothing {
            state.forget(&self.threads, signal.bit());
        }
        signals.publish(&state);
        old
    }

    /// The set of signals that are ignored.
    pub fn ignored(&self) -> u64 {
        self.signals.ignored()
    }

    /// The set of signals that have a handler.
    pub fn handled(&self) -> u64 {
        self.signals.handled()
    }

    /// Whether it was stopped and not continued.
    pub fn is_stopped(&self) -> bool {
        self.signals.is_stopped()
    }

    /// Signals to the process that have been sent and not taken.
    pub fn pending(&self) -> u64 {
        self.signals.pending()
    }
}

impl SignalState {
    /// Forgets signals, wherever they are pending.
    pub(super) fn forget(&mut self, threads: &ThreadGroup, set: Set) {
        self.queue.remove(set);
        threads.for_each(|thread| thread.signals.change(self, |queue| queue.remove(set)));
    }
}

impl Tcb {
    /// Signals that it would take now.
    pub(super) fn deliverable(&self) -> Set {
        let pending = self.process().pending() | self.signals.pending();
        pending & !self.signals.blocked()
    }

    /// Whether it has to end: its exit is pending, or a signal that ends the process is deliverable.
    pub(in crate::process) fn fatal_signal_pending(&self) -> bool {
        self.exit_pending() || self.deliverable() & self.process().signals.ending() != 0
    }

    /// Waits until it has to end.
    pub(in crate::process) async fn wait_for_fatal_signal(&self) {
        self.wait_for_signal_wake(|| self.fatal_signal_pending().then_some(()))
            .await;
    }
}

impl Caller for Thread {
    fn signal_pending(&self) -> bool {
        self.has_signals()
    }
}

impl Thread {
    pub(in crate::process) fn signals(&self) -> &ThreadSignals {
        &self.tcb().signals
    }

    /// Whether anything has to be taken before user mode is entered. A few loads.
    pub(in crate::process) fn has_signals(&self) -> bool {
        self.tcb().deliverable() != 0 || self.process().is_stopped()
    }

    /// Signals that have been sent and are blocked.
    pub fn pending(&self) -> u64 {
        (self.process().pending() | self.signals().pending()) & self.blocked()
    }

    /// Blocked signals.
    pub fn blocked(&self) -> u64 {
        self.signals().blocked()
    }

    /// Remembers the rest of a call. The call fails with the error that is returned.
    pub fn interrupted_in(&self, rest: Continuation) -> Errno {
        *self.signals().continuation.lock() = Some(rest);
        Errno::ERESTART_RESTARTBLOCK
    }

    /// Takes it.
    pub fn take_continuation(&self) -> Option<Continuation> {
        self.signals().continuation.lock().take()
    }
}
