//! Choosing the next task for a CPU.
//!
//! Interactive tasks (slot, ring, inbox, injection) come before background tasks, and take
//! turns with pinned ones. So that none of these queues starves beside another that is never
//! empty, each has picks of its own, in which it is looked at first. They repeat every
//! [`ROUND`] picks, and no two queues share one:
//!
//! | pick of the round | goes first |
//! |---|---|
//! | 0, 8 | background |
//! | the other even ones | pinned |
//! | 7 | the inbox |
//! | 15 | the injection queue |
//! | the other odd ones | slot and ring |
//!
//! A queue whose turn finds it empty leaves the pick to the usual order.

use super::fair::Fair;
use super::injector::Injector;
use super::ring::CAPACITY;
use super::shared::Shared;
use super::worker::Worker;
use crate::facade::atomic::Ordering;
use crate::platform::Platform;
use crate::task::Runnable;

/// Tasks out of the slot in a row before the ring has its turn.
const SLOT_STREAK: u8 = 3;
/// The picks after which the turns begin again.
const ROUND: u32 = 16;
/// Every so many picks a background task goes first, if there is one: a
/// twelve percent share under load.
const BACKGROUND_EVERY: u32 = 8;
/// How many tasks are taken out of a shared queue at once.
const BATCH: usize = 32;

impl<P: Platform> Shared<P> {
    /// The next task for `cpu`, if its own queues or the injection have one. The time is that of the
    /// stats.
    ///
    /// # Safety
    ///
    /// This runs on `cpu`, whose worker is `worker`.
    pub(super) unsafe fn next_task(
        &self,
        cpu: usize,
        worker: &Worker,
        now: u64,
    ) -> Option<Runnable> {
        // SAFETY: on our own CPU; the closure calls nothing.
        let tick = unsafe {
            worker.local(|local| {
                local.tick = local.tick.wrapping_add(1);
                local.tick
            })
        };
        if let Some(fair) = &worker.fair {
            return self.next_in_fairness(cpu, fair, tick, now);
        }
        if let Some(queue) = self.queue_of_turn(worker, tick)
            && !queue.is_empty()
            && let Some(task) = queue.pop().task()
        {
            return Some(task);
        }
        // SAFETY: on our own CPU.
        unsafe { self.next_interactive(worker) }
            .or_else(|| worker.pinned.pop().task())
            .or_else(|| worker.background.pop().task())
    }

    /// The task that has had least, or an urgent one. The injection queue, whose tasks have had nothing
    /// yet, goes first once a round, and when there is no other task.
    fn next_in_fairness(&self, cpu: usize, fair: &Fair, tick: u32, now: u64) -> Option<Runnable> {
        let injected = || {
            let task = self.injection.pop().task()?;
            fair.push(task, false);
            Some(())
        };
        if tick.is_multiple_of(ROUND) && !self.injection.is_empty() {
            let _ = injected();
        }
        if let Some(task) = self.more_urgent_elsewhere(cpu, fair) {
            return Some(task);
        }
        fair.pop(now).or_else(|| {
            injected()?;
            fair.pop(now)
        })
    }

    /// An urgent task that waits behind another on its own CPU, if this one has nothing as urgent.
    fn more_urgent_elsewhere(&self, cpu: usize, fair: &Fair) -> Option<Runnable> {
        // Relaxed: a hint; the task is in its own CPU's queue anyway.
        if !self.has_urgent.load(Ordering::Relaxed) {
            return None;
        }
        let others = self.workers.iter().enumerate();
        let others = others.filter(|&(other, _)| other != cpu);
        let waiting = others.filter_map(|(_, worker)| worker.fair.as_deref());
        let victim = waiting.max_by_key(|other| other.urgent_in_wait())?;
        let level = victim.urgent_in_wait();
        if level == 0 || fair.has_more_urgent(level - 1) {
            return None;
        }
        victim.steal_urgent(fair)
    }

    /// The queue that goes first in this pick; `None` for slot and ring.
    fn queue_of_turn<'a>(&'a self, worker: &'a Worker, tick: u32) -> Option<&'a Injector> {
        match tick % ROUND {
            turn if turn % BACKGROUND_EVERY == 0 => Some(&worker.background),
            turn if turn % 2 == 0 => Some(&worker.pinned),
            7 => Some(&worker.inbox),
            15 => Some(&self.injection),
            _ => None,
        }
    }

    /// Slot, ring, inbox, injection.
    ///
    /// # Safety
    ///
    /// As for [`next_task`](Self::next_task).
    unsafe fn next_interactive(&self, worker: &Worker) -> Option<Runnable> {
        // SAFETY: on our own CPU; the closure calls nothing that gets here
        // again.
        let slot = unsafe {
            worker.local(|local| {
                let task = local.slot.take();
                match task {
                    Some(task) if local.slot_streak < SLOT_STREAK => {
                        local.slot_streak += 1;
                        Ok(task)
                    }
                    other => {
                        local.slot_streak = 0;
                        Err(other)
                    }
                }
            })
        };
        match slot {
            Ok(task) => return Some(task),
            // The slot was first often enough: the task goes behind those in the ring.
            // SAFETY: on our own CPU.
            Err(Some(task)) => unsafe { worker.push_local(task) },
            Err(None) => {}
        }
        // Tasks that other CPUs sent join the ring before it is served, so that a remote wake-up
        // does not wait for a full round; unless the ring is long.
        if !worker.inbox.is_empty() && worker.ring.len() <= CAPACITY / 2 {
            worker.inbox.pop_some(BATCH.min(CAPACITY / 2), |task| {
                // SAFETY: on our own CPU. The ring has room for these.
                unsafe { worker.push_local(task) }
            });
        }
        // SAFETY: on our own CPU.
        if let Some(task) = unsafe { worker.ring.pop() } {
            return Some(task);
        }
        if self.injection.is_empty() {
            return None;
        }
        let mut first = None;
        self.injection.pop_some(self.injection_share(), |task| {
            if first.is_none() {
                first = Some(task);
            } else {
                // SAFETY: on our own CPU. The ring is empty, so it has room.
                unsafe { worker.push_local(task) }
            }
        });
        first
    }

    /// How much of the injection queue one CPU takes at once.
    fn injection_share(&self) -> usize {
        if self.workers.len() == 1 {
            BATCH.min(CAPACITY)
        } else {
            (BATCH / 2).min(CAPACITY / 2)
        }
    }

    /// Takes tasks from the queues of another CPU, the first that has any.
    ///
    /// # Safety
    ///
    /// As for [`next_task`](Self::next_task), and the CPU's own ring is empty.
    pub(super) unsafe fn steal(&self, cpu: usize, worker: &Worker) -> Option<Runnable> {
        // SAFETY: on our own CPU; the closure calls nothing.
        let random = unsafe {
            worker.local(|local| {
                // Marsaglia's xorshift, 32 bits.
                local.random ^= local.random << 13;
                local.random ^= local.random >> 17;
                local.random ^= local.random << 5;
                local.random
            })
        };
        let cpus = self.workers.len();
        let start = random as usize % cpus;
        for offset in 0..cpus {
            let victim = (start + offset) % cpus;
            if victim == cpu {
                continue;
            }
            // SAFETY: on our own CPU, with an empty ring.
            if let Some(task) = unsafe { self.steal_from(worker, victim) } {
                return Some(task);
            }
        }
        None
    }

    /// Half of the victim's ring, or some of its inbox, or a background task.
    ///
    /// # Safety
    ///
    /// As for [`steal`](Self::steal).
    unsafe fn steal_from(&self, worker: &Worker, number: usize) -> Option<Runnable> {
        let victim = self.workers.get(number)?;
        if let (Some(theirs), Some(ours)) = (&victim.fair, &worker.fair) {
            let task = theirs.steal(ours)?;
            worker.tally.steals.add(1);
            worker.tally.stolen.add(1);
            self.platform.stole(number, 1);
            return Some(task);
        }
        let before = worker.ring.len();
        // SAFETY: on our own CPU, with an empty ring.
        let mut first = unsafe { victim.ring.steal_into(&worker.ring) };
        if first.is_none() && !victim.inbox.is_empty() {
            victim.inbox.pop_some(BATCH.min(CAPACITY / 2), |task| {
                if first.is_none() {
                    first = Some(task);
                } else {
                    // SAFETY: on our own CPU; the ring has room for these.
                    unsafe { worker.push_local(task) }
                }
            });
        }
        if first.is_none() && !victim.background.is_empty() {
            first = victim.background.pop().task();
        }
        if first.is_some() {
            let moved = worker.ring.len().saturating_sub(before) + 1;
            worker.tally.steals.add(1);
            worker.tally.stolen.add(moved as u64);
            self.platform.stole(number, moved);
        }
        first
    }
}
