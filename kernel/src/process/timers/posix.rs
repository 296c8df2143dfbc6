//! Making, setting and asking for POSIX timers, and the task of a process that waits for those of
//! real time. There is one such task however many timers there are.

use super::overrun::Ticket;
use super::table::{Expiration, Notify, Timer, TimerClock};
use crate::arch;
use crate::memory::OutOfMemory;
use crate::process::signal::{SigInfo, Signal, TimerState, send_with};
use crate::process::state::Process;
use crate::process::user::Counted;
use crate::sched;
use alloc::sync::{Arc, Weak};
use core::mem;
use core::pin::pin;
use executor::sync::Notify as Doorbell;
use futures_util::future::select;

/// The task looks at its timers this often at the most, in nanoseconds: an interval may be one.
const SHORTEST: u64 = 50_000;

/// Why there is no timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoTimer {
    /// No memory, or as many as the user may have.
    NoRoom,
    /// There is none with this number.
    NoSuch,
}

impl From<OutOfMemory> for NoTimer {
    fn from(_: OutOfMemory) -> NoTimer {
        NoTimer::NoRoom
    }
}

/// When a timer begins to expire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Never: it is stopped.
    Never,
    /// After so many nanoseconds.
    After(u64),
    /// When its clock shows that time.
    At(u64),
}

impl Process {
    /// Makes a timer, which is not set. Returns its number.
    ///
    /// # Errors
    /// Without memory, or beyond `RLIMIT_SIGPENDING`.
    pub fn create_timer(&self, clock: TimerClock, notify: Option<Notify>) -> Result<i32, NoTimer> {
        let limit = self.limits.pending_signals();
        let charge = self.user().charge(Counted::Signal, limit);
        let charge = charge.ok_or(NoTimer::NoRoom)?;
        crate::memory::ensure_free()?;
        let overrun = Arc::default();
        let mut table = self.timers.table.lock();
        table.reserve()?;
        Ok(table.add(|id| Timer {
            id,
            clock,
            // Without a value of its own the number is it.
            notify: notify.unwrap_or(Notify::Process(Signal::ALRM, id as u64)),
            overrun,
            next: None,
            interval: 0,
            _charge: charge,
        }))
    }

    /// Sets a timer, and says what it had before it.
    ///
    /// # Errors
    /// When there is no such timer, or no memory for the task.
    pub fn set_posix_timer(
        self: &Arc<Process>,
        id: i32,
        start: Start,
        interval: u64,
    ) -> Result<TimerState, NoTimer> {
        let clock = self.clock_of(id)?;
        if !clock.counts_cpu_time() {
            self.start_timer_task()?;
        }
        let now = self.timer_now(&clock);
        let next = match (start, &clock) {
            (Start::Never, _) => None,
            (Start::After(time), _) => Some(now.saturating_add(time)),
            (Start::At(time), TimerClock::Real) => {
                Some(time.saturating_sub(arch::wall_clock_offset()))
            }
            (Start::At(time), _) => Some(time),
        };
        let old = {
            let mut table = self.timers.table.lock();
            let timer = table.find(id).ok_or(NoTimer::NoSuch)?;
            let old = TimerState {
                left: timer.left(now),
                interval: timer.interval,
            };
            table.set(id, next, interval);
            old
        };
        match clock.counts_cpu_time() {
            true => self.arm_cpu_timers(),
            false => self.ring_timer_task(),
        }
        Ok(old)
    }

    /// What a timer has before it.
    ///
    /// # Errors
    /// When there is no such timer.
    pub fn posix_timer(&self, id: i32) -> Result<TimerState, NoTimer> {
        let now = self.timer_now(&self.clock_of(id)?);
        let mut table = self.timers.table.lock();
        let timer = table.find(id).ok_or(NoTimer::NoSuch)?;
        Ok(TimerState {
            left: timer.left(now),
            interval: timer.interval,
        })
    }

    /// How many expirations the signal stood for that was taken last, beyond the first.
    ///
    /// # Errors
    /// When there is no such timer.
    pub fn timer_overrun(&self, id: i32) -> Result<u32, NoTimer> {
        let mut table = self.timers.table.lock();
        let timer = table.find(id).ok_or(NoTimer::NoSuch)?;
        Ok(timer.overrun.last())
    }

    /// Deletes a timer.
    ///
    /// # Errors
    /// When there is no such timer.
    pub fn delete_timer(&self, id: i32) -> Result<(), NoTimer> {
        let gone = self.timers.table.lock().remove(id);
        gone.map(drop).ok_or(NoTimer::NoSuch)
    }

    /// Deletes all: the program is over.
    pub(in crate::process) fn delete_timers(&self) {
        let gone = mem::take(&mut *self.timers.table.lock());
        if let Some(task) = &gone.task {
            task.abort();
        }
        drop(gone);
    }

    fn clock_of(&self, id: i32) -> Result<TimerClock, NoTimer> {
        let mut table = self.timers.table.lock();
        let timer = table.find(id).ok_or(NoTimer::NoSuch)?;
        Ok(timer.clock.clone())
    }

    /// What a timer's clock shows, as the timer counts it.
    fn timer_now(&self, clock: &TimerClock) -> u64 {
        match clock {
            TimerClock::Monotonic | TimerClock::Real => arch::clock(),
            TimerClock::Process { user: true } => self.usage().user,
            TimerClock::Process { user: false } => self.cpu_time(),
            TimerClock::Thread(thread) => {
                let thread = thread.upgrade();
                thread.map_or(0, |thread| thread.usage().time())
            }
        }
    }

    fn ring_timer_task(&self) {
        let changed = self.timers.table.lock().changed.clone();
        if let Some(changed) = changed {
            changed.notify_one();
        }
    }

    fn start_timer_task(self: &Arc<Process>) -> Result<(), OutOfMemory> {
        if self.timers.table.lock().changed.is_some() {
            return Ok(());
        }
        crate::memory::ensure_free()?;
        let changed = Arc::new(Doorbell::new());
        {
            let mut table = self.timers.table.lock();
            if table.changed.is_some() {
                // Another thread starts it at this moment.
                return Ok(());
            }
            table.changed = Some(changed.clone());
        }
        let task = sched::executor().task("timers");
        let task = task.try_spawn(wait_for_timers(Arc::downgrade(self), changed));
        let mut table = self.timers.table.lock();
        match task {
            Ok(task) => {
                table.task = Some(task.abort_handle());
                Ok(())
            }
            Err(_) => {
                table.changed = None;
                Err(OutOfMemory)
            }
        }
    }

    /// Tells of an expiration.
    pub(super) fn tell(&self, expiration: Expiration) {
        let Expiration {
            id,
            notify,
            overrun,
            times,
        } = expiration;
        let ticket = || overrun.expired(times);
        let post = |to, signal, value, ticket: Option<Ticket>| {
            if let Some(ticket) = ticket {
                send_with(self, to, SigInfo::timer(signal, id, value), ticket);
            }
        };
        match notify {
            Notify::Nothing => {}
            Notify::Process(signal, value) => post(None, signal, value, ticket()),
            Notify::Thread(signal, value, thread) => {
                if let Some(thread) = thread.upgrade() {
                    post(Some(&thread), signal, value, ticket());
                }
            }
        }
    }
}

/// Tells of each expiration, until the process is gone or aborts this.
async fn wait_for_timers(process: Weak<Process>, changed: Arc<Doorbell>) {
    loop {
        let begin = arch::clock();
        let next = {
            let Some(process) = process.upgrade() else {
                return;
            };
            loop {
                let expiration = process.timers.table.lock().expire(arch::clock());
                let Some(expiration) = expiration else { break };
                process.tell(expiration);
                executor::spend_budget().await;
            }
            process.timers.table.lock().next()
        };
        let changed = changed.notified();
        match next {
            Some(next) => {
                let sleep = sched::executor().sleep_until(next.max(begin + SHORTEST));
                select(pin!(changed), pin!(sleep)).await;
            }
            None => changed.await,
        }
    }
}
