//! Taking signals: what happens to a thread before it goes back to user mode.

use super::action::{Action, Disposition};
use super::info::{ChildEvent, SigInfo};
use super::number::{DefaultAction, STOPPING, SYNCHRONOUS, Signal};
use super::orphans;
use crate::errno::Errno;
use crate::process::exit_status::ExitStatus;
use crate::process::ids::Pid;
use crate::process::registers::Registers;
use crate::process::thread::Thread;
use crate::wait::Restart;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

/// What a thread has to do.
enum Delivery {
    Call(SigInfo, Action),
    End(Signal),
    /// The process is stopped.
    Stop,
    /// The parent has to be told.
    NotifyParent(ChildEvent),
    /// Nothing is left to do.
    GoOn,
}

impl Thread {
    /// Takes what is pending: says how the process ends if it does, waits while it is stopped,
    /// and makes the program go on in its handlers. Of several the last one runs first, as it
    /// interrupts the others at their first instruction. Says to the registers as well what becomes
    /// of a system call that was interrupted.
    pub(in crate::process) async fn take_signals(
        &self,
        registers: &mut Registers,
        mut interrupted: Option<Restart>,
    ) -> Option<ExitStatus> {
        loop {
            match self.next() {
                // It has to end, which the caller sees.
                _ if self.tcb().exit_pending() => return None,
                Delivery::GoOn => break,
                Delivery::End(signal) => return Some(ExitStatus::Signal(signal)),
                Delivery::Stop => self.wait_while_stopped().await,
                Delivery::NotifyParent(event) => self.process().notify_parent(event),
                Delivery::Call(info, action) => {
                    // Only the first handler was called in the middle of it.
                    if let Some(restart) = interrupted.take() {
                        match restart {
                            Restart::IfAsked if action.has(linux::SA_RESTART) => {
                                registers.user.repeat_call()
                            }
                            _ => registers.user.set_result(Errno::EINTR.to_return()),
                        }
                    }
                    if self.call_handler(registers, &info, &action).await.is_err() {
                        self.force_after(info.signal());
                    }
                }
            }
        }
        match interrupted {
            Some(Restart::IfAsked | Restart::WithoutHandler) => registers.user.repeat_call(),
            Some(Restart::GoOn) => registers
                .user
                .call_instead(linux::__NR_restart_syscall as usize),
            None => {}
        }
        self.go_back_to_saved_mask();
        None
    }

    /// Takes the next signal. Taking one that stops, and stopping, are one step. One that ends the
    /// process stays, so that the other threads see it, too, until they see that their exit is
    /// pending.
    fn next(&self) -> Delivery {
        let signals = &self.process().signals;
        // The numbers are locked before the signals.
        let from_terminal = STOPPING & !Signal::STOP.bit();
        let may_stop = self.tcb().deliverable() & from_terminal == 0
            || orphans::has_job_control(self.process().group.load(Ordering::Relaxed));
        let mut state = signals.state.lock();
        let next = loop {
            if let Some(event) = state.unsent.take() {
                return Delivery::NotifyParent(event);
            }
            if state.stopped && self.tcb().deliverable() & Signal::KILL.bit() == 0 {
                return Delivery::Stop;
            }
            let Some(first) = state.first(self.signals(), !self.blocked()) else {
                break Delivery::GoOn;
            };
            let signal = first.0;
            let action = state.actions.get(signal);
            match (action.disposition(), signal.default_action()) {
                (Disposition::Handler(_), _) => {
                    let info = state.take(self.signals(), first);
                    if action.has(linux::SA_RESETHAND) {
                        state.actions.reset(signal);
                    }
                    break Delivery::Call(info, action);
                }
                (Disposition::Ignore, _) | (_, DefaultAction::Ignore) => {}
                // What comes from outside is nothing to init, if it has no handler.
                _ if self.process().pid == Pid::INIT && signal.bit() & SYNCHRONOUS == 0 => {}
                (_, DefaultAction::Stop) if signal != Signal::STOP && !may_stop => {}
                (_, DefaultAction::Stop) => {
                    state.stopped = true;
                    state.report = Some(ChildEvent::Stopped(signal));
                    state.unsent = state.report;
                }
                (_, DefaultAction::Terminate) => break Delivery::End(signal),
            }
            state.take(self.signals(), first);
            // For the look at the top.
            signals.publish(&state);
        };
        signals.publish(&state);
        next
    }

    async fn wait_while_stopped(&self) {
        let tcb = self.tcb();
        let goes_on = || {
            let killed = tcb.deliverable() & Signal::KILL.bit() != 0;
            (killed || tcb.exit_pending() || !self.process().is_stopped()).then_some(())
        };
        tcb.wait_for_signal_wake(goes_on).await;
    }

    /// The frame of a handler could not be written: `SIGSEGV`, which for its own handler is the
    /// end.
    fn force_after(&self, signal: Signal) {
        if signal == Signal::SEGV {
            let signals = &self.process().signals;
            let mut state = signals.state.lock();
            state.actions.reset(signal);
            signals.publish(&state);
        }
        self.force(SigInfo::kernel(Signal::SEGV));
    }
}
