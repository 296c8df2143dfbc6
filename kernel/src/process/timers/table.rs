//! The POSIX timers of a process: the table, and which of them expire next.

use super::overrun::Overrun;
use crate::memory::OutOfMemory;
use crate::process::signal::number::Signal;
use crate::process::thread::Tcb;
use crate::process::user::Charge;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use executor::AbortHandle;
use executor::sync::Notify as Doorbell;
use spin::Mutex;

/// What a timer counts.
#[derive(Clone)]
pub enum TimerClock {
    /// Time since the start.
    Monotonic,
    /// The time of day.
    Real,
    /// CPU time of the process; in user mode alone, if so told.
    Process {
        /// In user mode alone.
        user: bool,
    },
    /// CPU time of a thread.
    Thread(Weak<Tcb>),
}

impl TimerClock {
    pub(super) fn counts_cpu_time(&self) -> bool {
        matches!(self, TimerClock::Process { .. } | TimerClock::Thread(_))
    }
}

/// What an expiration does. The number is `si_value`.
#[derive(Clone)]
pub enum Notify {
    /// Nothing (`SIGEV_NONE`).
    Nothing,
    /// Sends the process a signal.
    Process(Signal, u64),
    /// Sends one of its threads a signal.
    Thread(Signal, u64, Weak<Tcb>),
}

/// A timer.
pub(super) struct Timer {
    pub(super) id: i32,
    pub(super) clock: TimerClock,
    pub(super) notify: Notify,
    pub(super) overrun: Arc<Overrun>,
    /// When it expires: on its clock of CPU time, or else on `arch::clock`. `None`: it is not set.
    pub(super) next: Option<u64>,
    /// From one expiration to the next; 0: there is one.
    pub(super) interval: u64,
    /// Counts it for `RLIMIT_SIGPENDING`, as Linux does.
    pub(super) _charge: Charge,
}

/// An expiration that is to be told.
pub(super) struct Expiration {
    pub(super) id: i32,
    pub(super) notify: Notify,
    pub(super) overrun: Arc<Overrun>,
    pub(super) times: u64,
}

impl Timer {
    /// It has expired if its time is over: goes on to the next.
    pub(super) fn expire(&mut self, now: u64) -> Option<Expiration> {
        let at = self.next.filter(|&at| at <= now)?;
        let times = match self.interval {
            0 => 1,
            interval => (now - at) / interval + 1,
        };
        let next = at.saturating_add(self.interval.saturating_mul(times));
        self.next = (self.interval != 0).then_some(next);
        Some(Expiration {
            id: self.id,
            notify: self.notify.clone(),
            overrun: self.overrun.clone(),
            times,
        })
    }

    /// The time left; 0: it is not set, or over.
    pub(super) fn left(&self, now: u64) -> u64 {
        match (self.next, self.interval, &self.notify) {
            (None, ..) => 0,
            (Some(at), ..) if at > now => at - now,
            (Some(_), 0, Notify::Nothing) => 0,
            // One that is due has something left until it has expired.
            (Some(_), 0, _) => 1,
            (Some(at), interval, _) => interval - (now - at) % interval,
        }
    }
}

/// The POSIX timers of a process.
#[derive(Default)]
pub(in crate::process) struct Timers {
    pub(super) table: Mutex<Table>,
}

#[derive(Default)]
pub(super) struct Table {
    /// In the order of their numbers.
    pub(super) timers: Vec<Timer>,
    /// Those of real time that expire: when, and the number. The next is the last.
    due: Vec<(u64, i32)>,
    last_id: i32,
    /// The task that waits for them.
    pub(super) task: Option<AbortHandle>,
    /// Rung when another timer is the next; there since the task was started.
    pub(super) changed: Option<Arc<Doorbell>>,
}

impl Table {
    /// Room for one more, so that no later step needs memory.
    pub(super) fn reserve(&mut self) -> Result<(), OutOfMemory> {
        let count = self.timers.len();
        let timers = self.timers.try_reserve(1);
        let due = self.due.try_reserve(count + 1 - self.due.len().min(count));
        timers.and(due).map_err(|_| OutOfMemory)
    }

    /// Adds a timer, for which there is room.
    pub(super) fn add(&mut self, make: impl FnOnce(i32) -> Timer) -> i32 {
        let id = self.last_id;
        self.last_id = self.last_id.wrapping_add(1).max(0);
        self.timers.push(make(id));
        id
    }

    fn position(&self, id: i32) -> Option<usize> {
        self.timers.binary_search_by_key(&id, |timer| timer.id).ok()
    }

    pub(super) fn find(&mut self, id: i32) -> Option<&mut Timer> {
        let position = self.position(id)?;
        self.timers.get_mut(position)
    }

    /// Takes a timer out.
    pub(super) fn remove(&mut self, id: i32) -> Option<Timer> {
        let position = self.position(id)?;
        self.forget(id);
        Some(self.timers.remove(position))
    }

    /// Sets when a timer expires.
    pub(super) fn set(&mut self, id: i32, next: Option<u64>, interval: u64) {
        self.forget(id);
        if let Some(timer) = self.find(id) {
            timer.next = next;
            timer.interval = interval;
        }
        self.enter(id);
    }

    /// Takes it out of those that are due.
    fn forget(&mut self, id: i32) {
        let next = self.find(id).and_then(|timer| timer.next);
        if let Some(at) = next
            && let Ok(place) = self.place(at, id)
        {
            self.due.remove(place);
        }
    }

    /// Puts it where it is due, if it is one of real time that tells.
    fn enter(&mut self, id: i32) {
        let Some(timer) = self.find(id) else {
            return;
        };
        if timer.clock.counts_cpu_time() || matches!(timer.notify, Notify::Nothing) {
            return;
        }
        if let Some(at) = timer.next
            && let Err(place) = self.place(at, id)
        {
            // `reserve` has made room for all timers.
            self.due.insert(place, (at, id));
        }
    }

    fn place(&self, at: u64, id: i32) -> Result<usize, usize> {
        // From the last to expire to the first.
        self.due.binary_search_by(|entry| (at, id).cmp(entry))
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.last().map(|&(at, _)| at)
    }

    /// One that is due.
    pub(super) fn expire(&mut self, now: u64) -> Option<Expiration> {
        let &(_, id) = self.due.last().filter(|(at, _)| *at <= now)?;
        self.due.pop();
        let expiration = self.find(id)?.expire(now);
        self.enter(id);
        expiration
    }
}
