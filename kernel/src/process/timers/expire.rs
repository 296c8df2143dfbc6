//! CPU time that is up: interval timers of CPU time, `RLIMIT_CPU`, and POSIX timers on clocks of CPU
//! time. A thread looks at the end of each of its polls, so at the end of a time slice at the latest.

use super::cpu::{Interval, NEVER, Spent};
use super::table::{Timer, TimerClock};
use crate::process::rlimit::Limit;
use crate::process::signal::{SigInfo, Signal, TimerState, send};
use crate::process::state::Process;
use crate::process::thread::Tcb;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

const SECOND: u64 = 1_000_000_000;

/// An interval timer that counts CPU time (setitimer(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntervalTimer {
    /// Time in user mode (`ITIMER_VIRTUAL`).
    Virtual,
    /// All of it (`ITIMER_PROF`).
    Profiling,
}

impl IntervalTimer {
    const ALL: [IntervalTimer; 2] = [IntervalTimer::Virtual, IntervalTimer::Profiling];

    fn of(self, spent: Spent) -> u64 {
        match self {
            IntervalTimer::Virtual => spent.user,
            IntervalTimer::Profiling => spent.total,
        }
    }

    fn signal(self) -> Signal {
        match self {
            IntervalTimer::Virtual => Signal::VTALRM,
            IntervalTimer::Profiling => Signal::PROF,
        }
    }
}

impl Interval {
    /// It has expired if its time is over: goes on to the next.
    fn expire(&mut self, now: u64) -> bool {
        let Some(at) = self.next.filter(|&at| at <= now) else {
            return false;
        };
        self.next = (self.interval != 0).then(|| {
            let missed = (now - at) / self.interval;
            at.saturating_add(self.interval.saturating_mul(missed + 1))
        });
        true
    }
}

impl Process {
    /// What an interval timer of CPU time has before it.
    pub fn interval_timer(&self, which: IntervalTimer) -> TimerState {
        self.change_interval_timer(which, |_, _| {})
    }

    /// Sets an interval timer of CPU time, and says what it had before it.
    pub fn set_interval_timer(&self, which: IntervalTimer, new: TimerState) -> TimerState {
        let old = self.change_interval_timer(which, |timer, now| {
            timer.next = (new.left != 0).then(|| now.saturating_add(new.left));
            timer.interval = new.interval;
        });
        self.arm_cpu_timers();
        old
    }

    fn change_interval_timer(
        &self,
        which: IntervalTimer,
        change: impl FnOnce(&mut Interval, u64),
    ) -> TimerState {
        let usage = self.usage();
        let now = which.of(Spent {
            total: usage.time(),
            user: usage.user,
        });
        let mut intervals = self.cpu_timers.intervals.lock();
        let timer = &mut intervals[which as usize];
        let old = TimerState {
            left: timer.next.map_or(0, |at| at.saturating_sub(now).max(1)),
            interval: timer.interval,
        };
        change(timer, now);
        old
    }

    /// Something else may come next: a timer or a limit was set, or has expired.
    pub(in crate::process) fn arm_cpu_timers(&self) {
        let (mut total, mut user) = (NEVER, NEVER);
        for which in IntervalTimer::ALL {
            let next = self.cpu_timers.intervals.lock()[which as usize].next;
            let of = match which {
                IntervalTimer::Virtual => &mut user,
                IntervalTimer::Profiling => &mut total,
            };
            *of = (*of).min(next.unwrap_or(NEVER));
        }
        if let Some(limit) = self.cpu_limit() {
            total = total.min(limit.soft).min(limit.hard);
        }
        let mut has_of_thread = false;
        for timer in &self.timers.table.lock().timers {
            let next = timer.next.unwrap_or(NEVER);
            match timer.clock {
                TimerClock::Process { user: true } => user = user.min(next),
                TimerClock::Process { user: false } => total = total.min(next),
                TimerClock::Thread(_) => has_of_thread |= timer.next.is_some(),
                TimerClock::Monotonic | TimerClock::Real => {}
            }
        }
        let timers = &self.cpu_timers;
        timers.has_of_thread.store(has_of_thread, Ordering::Relaxed);
        timers.set_next(total, user);
        if total == NEVER && user == NEVER && !has_of_thread {
            timers.end();
        } else if !timers.is_armed() {
            self.threads.for_each(|thread| {
                thread.usage.untold();
            });
            timers.begin(self.threads.usage());
        }
    }

    /// `RLIMIT_CPU` in nanoseconds, if there is one. None at all counts as a second.
    fn cpu_limit(&self) -> Option<Limit> {
        let limit = self.limit(linux::RLIMIT_CPU as usize).ok()?;
        let nanoseconds = |seconds: u64| seconds.max(1).saturating_mul(SECOND);
        (limit.soft != u64::MAX || limit.hard != u64::MAX).then(|| Limit {
            soft: nanoseconds(limit.soft),
            hard: nanoseconds(limit.hard),
        })
    }

    /// A poll of one of its threads is over.
    pub(in crate::process) fn poll_ended(&self, thread: &Tcb) {
        let timers = &self.cpu_timers;
        if timers.is_armed() && timers.add(&thread.usage) {
            self.expire(thread);
        }
    }

    fn expire(&self, thread: &Tcb) {
        let spent = self.cpu_timers.spent();
        for which in IntervalTimer::ALL {
            let expired = {
                let mut intervals = self.cpu_timers.intervals.lock();
                intervals[which as usize].expire(which.of(spent))
            };
            if expired {
                // It has no value that could be too much, nor has one below.
                let _ = send(self, SigInfo::kernel(which.signal()));
            }
        }
        self.enforce_cpu_limit(spent.total);
        let of_thread = thread.usage().time();
        let now = |timer: &Timer| match &timer.clock {
            TimerClock::Process { user: true } => spent.user,
            TimerClock::Process { user: false } => spent.total,
            TimerClock::Thread(weak) if core::ptr::eq(weak.as_ptr(), thread) => of_thread,
            _ => 0,
        };
        loop {
            let expiration = {
                let mut table = self.timers.table.lock();
                let cpu = table.timers.iter_mut();
                let mut cpu = cpu.filter(|timer| timer.clock.counts_cpu_time());
                cpu.find_map(|timer| timer.expire(now(timer)))
            };
            match expiration {
                Some(expiration) => self.tell(expiration),
                None => break,
            }
        }
        self.arm_cpu_timers();
    }

    /// At the soft limit, and each second from then on, a signal; at the hard one the end.
    fn enforce_cpu_limit(&self, total: u64) {
        let Some(limit) = self.cpu_limit() else {
            return;
        };
        if total >= limit.hard {
            let _ = send(self, SigInfo::kernel(Signal::KILL));
        } else if total >= limit.soft {
            // As on Linux the limit itself goes up.
            self.raise_cpu_limit(total / SECOND + 1);
            let _ = send(self, SigInfo::kernel(Signal::XCPU));
        }
    }
}
