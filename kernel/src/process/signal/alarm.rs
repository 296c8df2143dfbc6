//! The interval timer that counts real time (setitimer(2), alarm(2)).
//!
//! A timer that is set is a task that sleeps, which its process can abort. The task holds a weak
//! reference to the process. When it wakes it checks that it is still the current timer: another
//! one may have been set at the same moment.

use super::info::SigInfo;
use super::number::Signal;
use super::send::send;
use super::timer::{Timer, TimerState};
use crate::arch;
use crate::memory::OutOfMemory;
use crate::process::state::Process;
use crate::sched;
use alloc::sync::{Arc, Weak};
use core::mem;

impl Process {
    /// What its timer has before it.
    pub fn timer(&self) -> TimerState {
        self.signals.timer.lock().state()
    }

    /// Sets the timer, or stops it, and says what it had before it.
    ///
    /// # Errors
    /// Without memory for its task. Then it is as it was.
    pub fn set_timer(self: &Arc<Process>, new: TimerState) -> Result<TimerState, OutOfMemory> {
        let (old, state) = {
            // Held over the start of the task, which may go off at once and then looks.
            let mut timer = self.signals.timer.lock();
            let mut next = None;
            if new.left != 0 {
                let at = arch::clock().saturating_add(new.left);
                let task = sched::executor().task("alarm");
                let task = task.try_spawn(goes_off(Arc::downgrade(self), at));
                next = Some((at, task.map_err(|_| OutOfMemory)?.abort_handle()));
            }
            let state = timer.state();
            let interval = new.interval;
            (mem::replace(&mut *timer, Timer { next, interval }), state)
        };
        if let Some((_, task)) = old.next {
            task.abort();
        }
        Ok(state)
    }

    /// At its end.
    pub(in crate::process) fn stop_timer(&self) {
        let old = mem::take(&mut *self.signals.timer.lock());
        if let Some((_, task)) = old.next {
            task.abort();
        }
    }

    /// It has gone off at that time: says when it does again, and whether it counts at all.
    fn timer_after(&self, at: u64) -> (bool, Option<u64>) {
        let mut timer = self.signals.timer.lock();
        let interval = timer.interval;
        let Some((next, _)) = timer.next.as_mut().filter(|(next, _)| *next == at) else {
            return (false, None);
        };
        if interval == 0 {
            // The handle of a task that is about to end.
            timer.next = None;
            return (true, None);
        }
        // Expirations that were missed are left out.
        let late = arch::clock().saturating_sub(at) / interval;
        *next = at.saturating_add(interval.saturating_mul(late + 1));
        (true, Some(*next))
    }
}

async fn goes_off(process: Weak<Process>, mut at: u64) {
    loop {
        sched::executor().sleep_until(at).await;
        let Some(process) = process.upgrade() else {
            return;
        };
        let (counts, next) = process.timer_after(at);
        if counts {
            // An ordinary signal always has room.
            let _ = send(&process, SigInfo::kernel(Signal::ALRM));
        }
        match next {
            Some(next) => at = next,
            None => return,
        }
    }
}
