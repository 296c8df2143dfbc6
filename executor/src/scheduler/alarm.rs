//! The hardware timer of a CPU, which follows its wheel: one shot, for the
//! nearest event, none without one.

use super::shared::Shared;
use super::worker::Worker;
use crate::platform::Platform;

impl<P: Platform> Shared<P> {
    /// Arms the hardware timer for the nearest deadline, if that has changed.
    pub(super) fn arm(&self, worker: &Worker) {
        let next = worker.timers.next();
        // SAFETY: on our own CPU; the closure calls nothing.
        let changed = unsafe {
            worker.local(|local| {
                let rearm = core::mem::take(&mut local.rearm);
                core::mem::replace(&mut local.armed, next) != next || rearm
            })
        };
        if changed {
            self.platform.set_timer(next);
        }
    }

    /// Is the hardware timer armed for later than `next`?
    pub(super) fn armed_later(&self, worker: &Worker, next: u64) -> bool {
        // SAFETY: on our own CPU; the closure calls nothing.
        unsafe { worker.local(|local| local.armed.is_none_or(|armed| armed > next)) }
    }

    /// A timer was put into `cpu`'s wheel, for `deadline`, and is the nearest.
    pub(crate) fn timer_moved(&self, cpu: usize, deadline: u64) {
        match self.here() {
            Some((here, worker)) if here == cpu => {
                // SAFETY: on our own CPU; the closure calls nothing.
                let earlier = unsafe {
                    worker.local(|local| {
                        let earlier = local.armed.is_none_or(|armed| deadline < armed);
                        if earlier {
                            local.armed = Some(deadline);
                        }
                        earlier
                    })
                };
                if earlier {
                    self.platform.set_timer(Some(deadline));
                }
            }
            _ => self.wake_if_parked(cpu),
        }
    }

    /// Wakes the tasks whose deadlines have passed.
    pub(super) fn fire_timers(&self, worker: &Worker) {
        let Some(next) = worker.timers.next() else {
            return;
        };
        let now = self.platform.now();
        if next > now {
            return;
        }
        // The hardware timer has gone off, or is about to.
        // SAFETY: on our own CPU; the closure calls nothing.
        unsafe { worker.local(|local| local.armed = None) };
        let fired = worker.timers.fire(now);
        worker.tally.timers.add(fired);
        self.arm(worker);
    }
}
