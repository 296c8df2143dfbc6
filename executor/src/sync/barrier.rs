//! Waiting until all have come.

use super::wait_queue::WaitQueue;
use crate::facade::{Lock, const_unless_loom};
use crate::task::Label;
use core::fmt;

static LABEL: Label = Label("barrier");

/// Lets tasks wait for each other: the last one to come lets all go on. Can be
/// used again at once.
///
/// ```
/// # let runtime = executor::host::Runtime::new(2);
/// # let executor = runtime.executor();
/// use executor::sync::Barrier;
/// static BARRIER: Barrier = Barrier::new(2);
/// let other = executor.spawn("other", BARRIER.wait());
/// let leads = runtime.block_on(BARRIER.wait());
/// assert_ne!(runtime.block_on(other).unwrap(), leads);
/// ```
pub struct Barrier {
    size: usize,
    rounds: Lock<Rounds>,
    waiting: WaitQueue,
}

struct Rounds {
    /// How many have come in this round.
    arrived: usize,
    round: u64,
}

impl Barrier {
    const_unless_loom! {
        /// A barrier for `size` tasks; 0 counts as 1.
        pub const fn new(size: usize) -> Self {
            Self {
                size,
                rounds: Lock::new(Rounds { arrived: 0, round: 0 }),
                waiting: WaitQueue::labelled(&LABEL),
            }
        }
    }

    /// Waits until all have come. True for one of them.
    ///
    /// Cancellation-safe: a task that is dropped before the last has come does not
    /// count.
    pub async fn wait(&self) -> bool {
        let round = self.rounds.with(|rounds| {
            rounds.arrived += 1;
            if rounds.arrived < self.size {
                return Some(rounds.round);
            }
            rounds.arrived = 0;
            rounds.round += 1;
            None
        });
        let Some(round) = round else {
            self.waiting.wake_all();
            return true;
        };
        let arrival = Arrival {
            barrier: self,
            round,
        };
        self.waiting
            .wait_until(|| {
                self.rounds
                    .with(|rounds| (rounds.round != round).then_some(()))
            })
            .await;
        drop(arrival);
        false
    }
}

/// A task that has come. Dropping this in the same round takes it back.
struct Arrival<'a> {
    barrier: &'a Barrier,
    round: u64,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.barrier.rounds.with(|rounds| {
            if rounds.round == self.round {
                rounds.arrived -= 1;
            }
        });
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
