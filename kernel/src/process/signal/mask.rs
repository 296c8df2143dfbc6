//! Blocking signals (sigprocmask(2)), and waiting for them.

use super::info::SigInfo;
use super::number::{Set, UNSTOPPABLE};
use crate::errno::Errno;
use crate::process::thread::Thread;
use crate::sched;
use crate::wait::interruptible;
use core::future::pending;

impl Thread {
    /// Changes which signals are blocked. `SIGKILL` and `SIGSTOP` are left out.
    pub fn set_blocked(&self, set: Set) {
        self.signals().set_blocked(set);
    }

    /// Changes the mask until the system call has ended, or has been interrupted and the handler, if
    /// any, has returned (sigsuspend(2), ppoll(2)).
    pub fn set_blocked_for_call(&self, set: Set) {
        *self.signals().saved_mask.lock() = Some(self.blocked());
        self.set_blocked(set);
    }

    /// The end of such a call, with an error or without. After an interruption it is left to the
    /// handler's call.
    pub fn end_blocked_for_call(&self, error: Option<Errno>) {
        if error != Some(Errno::ERESTARTNOHAND) {
            self.go_back_to_saved_mask();
        }
    }

    pub(super) fn go_back_to_saved_mask(&self) {
        let saved = self.signals().saved_mask.lock().take();
        if let Some(mask) = saved {
            self.set_blocked(mask);
        }
    }

    /// Waits for a handler (pause(2)).
    pub async fn pause(&self) -> Errno {
        // Only a signal ends it.
        let _ = interruptible(self, pending::<()>()).await;
        Errno::ERESTARTNOHAND
    }

    /// Takes a signal of the set, blocked or not; waits for one, for so many nanoseconds or without
    /// limit (sigtimedwait(2)).
    ///
    /// # Errors
    /// `EAGAIN` when the time is up, `EINTR` when another signal has come.
    pub async fn wait_for_signal(&self, set: Set, time: Option<u64>) -> Result<SigInfo, Errno> {
        let set = set & !UNSTOPPABLE;
        self.signals().set_awaited(set);
        let come = self.tcb().wait_for_signal_wake(|| self.take_one_of(set));
        let result = match time {
            None => interruptible(self, come).await.map_err(|_| Errno::EINTR),
            Some(0) => self.take_one_of(set).ok_or(Errno::EAGAIN),
            Some(time) => {
                let come = sched::executor().timeout(time, come);
                match interruptible(self, come).await {
                    Ok(come) => come.map_err(|_| Errno::EAGAIN),
                    Err(_) => Err(Errno::EINTR),
                }
            }
        };
        self.signals().set_awaited(0);
        result
    }

    fn take_one_of(&self, set: Set) -> Option<SigInfo> {
        let signals = &self.process().signals;
        if (self.process().pending() | self.signals().pending()) & set == 0 {
            return None;
        }
        let mut state = signals.state.lock();
        let first = state.first(self.signals(), set)?;
        let info = state.take(self.signals(), first);
        signals.publish(&state);
        Some(info)
    }
}
