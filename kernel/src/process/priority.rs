//! How a thread is scheduled (sched(7)): its policy, nice value and real-time priority, and what the
//! executor makes of them (rule E6).

use core::sync::atomic::{AtomicU32, Ordering};
use executor::Share;
use linux_raw_sys::general as linux;

/// The weight of each nice value from -20 on, a tenth of the CPU from one to the next beside a thread
/// of the other: Linux's `sched_prio_to_weight` (kernel/sched/core.c).
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];
/// That of `SCHED_IDLE` (`WEIGHT_IDLEPRIO`, kernel/sched/sched.h).
const IDLE_WEIGHT: u32 = 3;

/// A scheduling policy (sched(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Policy {
    /// Time by weight.
    Other = linux::SCHED_NORMAL as u8,
    /// Real time, until the thread waits.
    Fifo = linux::SCHED_FIFO as u8,
    /// Real time, in turns.
    RoundRobin = linux::SCHED_RR as u8,
    /// As `Other`.
    Batch = linux::SCHED_BATCH as u8,
    /// The least weight, whatever the nice value.
    Idle = linux::SCHED_IDLE as u8,
}

impl Policy {
    /// The policy with this number; `None` also for `SCHED_DEADLINE`.
    pub fn new(number: u32) -> Option<Policy> {
        let all = [
            Policy::Other,
            Policy::Fifo,
            Policy::RoundRobin,
            Policy::Batch,
            Policy::Idle,
        ];
        all.into_iter().find(|&policy| policy as u32 == number)
    }

    /// Whether its threads have a real-time priority.
    pub fn is_real_time(self) -> bool {
        matches!(self, Policy::Fifo | Policy::RoundRobin)
    }
}

/// The highest real-time priority; the lowest is 1.
pub const HIGHEST: u8 = 99;

/// How a thread is scheduled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Priority {
    /// The policy.
    pub policy: Policy,
    /// From -20, the most time, to 19.
    pub nice: i8,
    /// From 1 to [`HIGHEST`] under a real-time policy, else 0.
    pub real_time: u8,
    /// A child does not inherit what took a privilege (`SCHED_RESET_ON_FORK`).
    pub resets_on_fork: bool,
}

impl Priority {
    /// That of a thread for which no program has asked.
    pub const USUAL: Priority = Priority {
        policy: Policy::Other,
        nice: 0,
        real_time: 0,
        resets_on_fork: false,
    };

    /// What the executor gives the thread.
    pub fn share(self) -> Share {
        match self.policy {
            Policy::Fifo | Policy::RoundRobin => Share::Urgent {
                level: self.real_time,
                takes_turns: self.policy == Policy::RoundRobin,
            },
            Policy::Idle => Share::Weight(IDLE_WEIGHT),
            Policy::Other | Policy::Batch => {
                let index = (i32::from(self.nice) + 20).clamp(0, 39);
                Share::Weight(WEIGHTS[index as usize])
            }
        }
    }

    /// What a child has.
    fn of_child(self) -> Priority {
        match self {
            parent if !parent.resets_on_fork => parent,
            parent if parent.policy.is_real_time() => Priority::USUAL,
            parent => Priority {
                nice: parent.nice.max(0),
                resets_on_fork: false,
                ..parent
            },
        }
    }

    /// The priority as proc(5) tells it: negative for real time.
    pub fn number(self) -> i32 {
        match self.policy.is_real_time() {
            true => -1 - i32::from(self.real_time),
            false => 20 + i32::from(self.nice),
        }
    }

    fn to_word(self) -> u32 {
        u32::from_ne_bytes([
            self.policy as u8,
            self.nice as u8,
            self.real_time,
            self.resets_on_fork.into(),
        ])
    }

    fn from_word(word: u32) -> Priority {
        let [policy, nice, real_time, resets_on_fork] = word.to_ne_bytes();
        Priority {
            policy: Policy::new(policy.into()).unwrap_or(Policy::Other),
            nice: nice as i8,
            real_time,
            resets_on_fork: resets_on_fork != 0,
        }
    }
}

/// The priority of a thread, where any thread may change it. Relaxed throughout: the word stands for
/// itself, and a change is followed by a signal wake-up of the thread.
pub(super) struct PriorityWord(AtomicU32);

impl PriorityWord {
    pub(super) fn new() -> PriorityWord {
        PriorityWord(AtomicU32::new(Priority::USUAL.to_word()))
    }

    pub(super) fn get(&self) -> Priority {
        Priority::from_word(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, priority: Priority) {
        self.0.store(priority.to_word(), Ordering::Relaxed);
    }

    /// Becomes what a child of a thread with that priority has.
    pub(super) fn inherit(&self, parent: &PriorityWord) {
        self.set(parent.get().of_child());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_it() {
        let priority = Priority {
            policy: Policy::RoundRobin,
            nice: -7,
            real_time: 42,
            resets_on_fork: true,
        };
        assert_eq!(Priority::from_word(priority.to_word()), priority);
        assert_eq!(priority.number(), -43);
    }

    #[test]
    fn a_child_keeps_no_privilege_if_so_told() {
        let nice = |nice| Priority {
            nice,
            resets_on_fork: true,
            ..Priority::USUAL
        };
        assert_eq!(nice(-5).of_child(), Priority::USUAL);
        assert_eq!(nice(5).of_child().nice, 5);
        let real_time = Priority {
            policy: Policy::Fifo,
            real_time: 3,
            ..nice(-5)
        };
        assert_eq!(real_time.of_child(), Priority::USUAL);
        let kept = Priority {
            resets_on_fork: false,
            ..real_time
        };
        assert_eq!(kept.of_child(), kept);
    }

    #[test]
    fn ten_percent_from_one_nice_value_to_the_next() {
        let weight = |nice| match (Priority {
            nice,
            ..Priority::USUAL
        })
        .share()
        {
            Share::Weight(weight) => f64::from(weight),
            Share::Urgent { .. } => 0.0,
        };
        for nice in -20..19 {
            let ratio = weight(nice) / weight(nice + 1);
            assert!((1.18..1.32).contains(&ratio), "{nice}: {ratio}");
        }
    }
}
