//! The signal state of a process and of its threads.
//!
//! One lock for each process guards its pending signals, its actions, and whether it is stopped.
//! The signals that are pending for one thread alone have a lock of their own, which is only taken
//! with the first one held. The list of threads (`thread_group`) is locked between the two. None is
//! held while a thread is woken.
//!
//! The question whether there is anything to do is answered by atomic copies, without a lock. A
//! change stores the copy under the lock (Release) and wakes afterwards; a thread loads the copy
//! (Acquire), and takes the lock only if the copy says that there is something.

use super::action::{Action, Actions};
use super::altstack::AltStack;
use super::info::{ChildEvent, SigInfo};
use super::number::{Set, Signal, TERMINATING, UNSTOPPABLE};
use super::queue::Queue;
use super::restart::Continuation;
use super::timer::Timer;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use linux_raw_sys::general as linux;
use spin::Mutex;

/// The signals of a process.
pub(in crate::process) struct Signals {
    pub(super) state: Mutex<SignalState>,
    /// Copy of `state.queue.set()`.
    pending: AtomicU64,
    /// Copies of what the actions say.
    ignored: AtomicU64,
    handled: AtomicU64,
    /// Copy of `state.stopped`.
    stopped: AtomicBool,
    pub(super) timer: Mutex<Timer>,
}

pub(super) struct SignalState {
    /// Signals to the process as a whole: whichever thread comes first takes them.
    pub(super) queue: Queue,
    pub(super) actions: Actions,
    /// It was stopped and not continued.
    pub(super) stopped: bool,
    /// That it was stopped or continued, until the parent has asked for it (wait(2)).
    pub(super) report: Option<ChildEvent>,
    /// The same, until a thread has notified the parent.
    pub(super) unsent: Option<ChildEvent>,
}

/// The signals of a thread.
pub(in crate::process) struct ThreadSignals {
    /// Blocked signals. Only the thread itself changes it.
    blocked: AtomicU64,
    /// Signals that it waits for by name although they are blocked (sigtimedwait(2)).
    awaited: AtomicU64,
    /// Signals to this thread alone.
    pub(super) queue: Mutex<Queue>,
    /// Copy of `queue.set()`.
    pending: AtomicU64,
    /// The mask to go back to after the next handler, or after none (sigsuspend(2)). Only the
    /// thread itself uses it.
    pub(super) saved_mask: Mutex<Option<Set>>,
    /// Only the thread itself uses it.
    pub(super) stack: Mutex<AltStack>,
    /// The rest of a system call that was interrupted. Only the thread itself uses it.
    pub(super) continuation: Mutex<Option<Continuation>>,
}

impl Signals {
    pub(in crate::process) fn new() -> Signals {
        Signals::with(Actions::default())
    }

    fn with(actions: Actions) -> Signals {
        Signals {
            pending: AtomicU64::new(0),
            ignored: AtomicU64::new(actions.ignored),
            handled: AtomicU64::new(actions.handled),
            stopped: AtomicBool::new(false),
            timer: Mutex::new(Timer::default()),
            state: Mutex::new(SignalState {
                queue: Queue::default(),
                actions,
                stopped: false,
                report: None,
                unsent: None,
            }),
        }
    }

    /// For a child: the same actions, nothing pending.
    pub(in crate::process) fn fork(&self) -> Signals {
        Signals::with(self.state.lock().actions.clone())
    }

    /// For a new program: no handlers any more. What is pending stays.
    pub(in crate::process) fn exec(&self) {
        let mut state = self.state.lock();
        state.actions = state.actions.without_handlers();
        self.publish(&state);
    }

    /// Writes the copies. To be called under the lock after a change.
    pub(super) fn publish(&self, state: &SignalState) {
        self.pending.store(state.queue.set(), Ordering::Release);
        self.ignored.store(state.actions.ignored, Ordering::Release);
        self.handled.store(state.actions.handled, Ordering::Release);
        self.stopped.store(state.stopped, Ordering::Release);
    }

    /// Signals to the process as a whole that have been sent and not taken.
    pub(super) fn pending(&self) -> Set {
        self.pending.load(Ordering::Acquire)
    }

    /// The signals that are ignored.
    pub(super) fn ignored(&self) -> Set {
        self.ignored.load(Ordering::Acquire)
    }

    /// The signals that have a handler.
    pub(super) fn handled(&self) -> Set {
        self.handled.load(Ordering::Acquire)
    }

    /// The signals that end the process when they are taken.
    pub(super) fn ending(&self) -> Set {
        TERMINATING & !self.ignored() & !self.handled()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Whether dead children are forgotten at once: `SIGCHLD` is ignored, or has
    /// `SA_NOCLDWAIT` (sigaction(2)).
    pub(in crate::process) fn reaps_children(&self) -> bool {
        self.ignored() & Signal::CHLD.bit() != 0
            || self.action(Signal::CHLD).has(linux::SA_NOCLDWAIT)
    }

    /// Takes the news that it was stopped or continued, if there is such news and it is wanted;
    /// leaves it, if it is to stay.
    pub(in crate::process) fn take_report(
        &self,
        is_wanted: impl Fn(ChildEvent) -> bool,
        stays: bool,
    ) -> Option<ChildEvent> {
        let mut state = self.state.lock();
        let report = state.report.filter(|&event| is_wanted(event))?;
        if !stays {
            state.report = None;
        }
        Some(report)
    }

    pub(in crate::process) fn action(&self, signal: Signal) -> Action {
        self.state.lock().actions.get(signal)
    }
}

/// What a new thread has from the one that made it.
#[derive(Clone, Copy)]
pub(in crate::process) struct InheritedSignals {
    blocked: Set,
    stack: AltStack,
}

impl InheritedSignals {
    /// Nothing blocked, no alternative stack.
    pub(in crate::process) const NOTHING: InheritedSignals = InheritedSignals {
        blocked: 0,
        stack: AltStack::NONE,
    };

    /// Without the alternative stack: the new thread runs in the same memory.
    pub(in crate::process) fn without_stack(self) -> InheritedSignals {
        InheritedSignals {
            stack: AltStack::NONE,
            ..self
        }
    }
}

impl ThreadSignals {
    pub(in crate::process) fn new(from: InheritedSignals) -> ThreadSignals {
        ThreadSignals {
            blocked: AtomicU64::new(from.blocked),
            awaited: AtomicU64::new(0),
            queue: Mutex::new(Queue::default()),
            pending: AtomicU64::new(0),
            saved_mask: Mutex::new(None),
            stack: Mutex::new(from.stack),
            continuation: Mutex::new(None),
        }
    }

    /// Blocked signals.
    pub(in crate::process) fn blocked(&self) -> Set {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Changes that. Only by the thread itself, before it goes back to user mode: there it looks for
    /// deliverable signals.
    pub(super) fn set_blocked(&self, set: Set) {
        // SeqCst: pairs with the fence in `Process::post`.
        self.blocked.store(set & !UNSTOPPABLE, Ordering::SeqCst);
    }

    /// What a new thread or process has from this one.
    pub(in crate::process) fn inherited(&self) -> InheritedSignals {
        InheritedSignals {
            blocked: self.blocked(),
            stack: *self.stack.lock(),
        }
    }

    /// For a new program: no alternative stack.
    pub(in crate::process) fn exec(&self) {
        *self.stack.lock() = AltStack::NONE;
    }

    /// Signals to this thread alone.
    pub(super) fn pending(&self) -> Set {
        self.pending.load(Ordering::Acquire)
    }

    /// Changes the thread's queue. With the process's lock held.
    pub(super) fn change<T>(&self, _: &mut SignalState, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.lock();
        let result = change(&mut queue);
        self.pending.store(queue.set(), Ordering::Release);
        result
    }

    /// What it waits for by name from now on.
    pub(super) fn set_awaited(&self, set: Set) {
        // SeqCst, with the fence: pairs with the fence in `Process::post`. Either the sender loads
        // this set, or the thread's next look at the queue observes the signal.
        self.awaited.store(set, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether the thread would take the signal, or waits for it. To be asked after the signal has
    /// been queued, and a fence.
    pub(super) fn wants(&self, signal: Signal) -> bool {
        let not_wanted = self.blocked() & !self.awaited.load(Ordering::Acquire);
        not_wanted & signal.bit() == 0
    }
}

impl SignalState {
    /// Which signal of a set is to be taken first by the thread, and whether it was sent to it
    /// alone.
    pub(super) fn first(&self, thread: &ThreadSignals, set: Set) -> Option<(Signal, bool)> {
        let own = thread.pending() & set;
        let shared = self.queue.set() & set;
        if own != 0 && shared & Signal::KILL.bit() == 0 {
            return Some((Signal::first_of(own)?, true));
        }
        Some((Signal::first_of(shared)?, false))
    }

    /// Takes it.
    pub(super) fn take(
        &mut self,
        thread: &ThreadSignals,
        (signal, own): (Signal, bool),
    ) -> SigInfo {
        match own {
            true => thread.change(self, |queue| queue.take(signal)),
            false => self.queue.take(signal),
        }
    }
}
