//! One run of a case: which CPUs, how long, what was seen.
//!
//! What the players tell is in memory that all processes of the run share, so a violation that any
//! of them sees ends the run for all, and the numbers are there when the case's process is gone.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use user::sync::{Mutex, spin_until};
use user::sys::process::{self, Pid, Status};
use user::sys::{Errno, system, thread as bare};
use user::testing::{Explain, Failure, Verdict, shared};
use user::thread;

/// How many kinds of outcome a case may tell apart.
pub const OUTCOMES: usize = 12;

/// Why a run did not come to its end.
pub enum Stop {
    /// A violation, or something that no kernel should refuse.
    Failed(Failure),
    /// The kernel cannot run the case.
    Skipped(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What a case comes to.
pub type Ended = Result<(), Stop>;

/// What the case cannot do without: a system call that the kernel does not have is a reason to
/// skip the case.
pub trait Need<T> {
    fn or_skip(self, what: &str) -> Result<T, Stop>;
}

impl<T> Need<T> for user::sys::Result<T> {
    fn or_skip(self, what: &str) -> Result<T, Stop> {
        match self {
            Err(Errno::ENOSYS) => Err(Stop::Skipped(Failure::new(format_args!(
                "this kernel has no {what}"
            )))),
            other => Ok(other.or_fail(what)?),
        }
    }
}

/// In shared memory.
struct State {
    stopped: AtomicBool,
    rounds: AtomicU64,
    seen: [AtomicU64; OUTCOMES],
    witness: Mutex<Option<Failure>>,
}

/// What a player does; it is told its number.
pub type Role<'a> = &'a (dyn Fn(usize) -> Verdict + Sync);

#[derive(Clone, Copy)]
pub struct Trial {
    cpus: usize,
    nanoseconds: u64,
    deadline: u64,
    state: &'static State,
}

impl Trial {
    /// A run on so many CPUs for so long, to be [started](Self::start).
    pub fn new(cpus: usize, nanoseconds: u64) -> Result<Self, Failure> {
        let state = shared::place(State {
            stopped: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
            seen: [const { AtomicU64::new(0) }; OUTCOMES],
            witness: Mutex::new(None),
        })?;
        Ok(Self {
            cpus,
            nanoseconds,
            deadline: 0,
            state,
        })
    }

    /// The time runs from now on.
    pub fn start(mut self) -> Self {
        self.deadline = system::now() + self.nanoseconds;
        self
    }

    pub fn cpus(&self) -> usize {
        self.cpus
    }

    pub fn seconds(&self) -> u64 {
        self.nanoseconds / 1_000_000_000
    }

    /// Whether there is time for another round. A system call on some kernels: for the leaders.
    pub fn goes_on(&self) -> bool {
        !self.is_stopped() && system::now() < self.deadline
    }

    /// Whether the run is over. Every thread looks at this in all that may last.
    pub fn is_stopped(&self) -> bool {
        self.state.stopped.load(Relaxed)
    }

    pub fn stop(&self) {
        self.state.stopped.store(true, Relaxed);
    }

    /// Ends the run with a violation, unless there is one already.
    pub fn fail(&self, failure: Failure) {
        self.state.witness.lock().get_or_insert(failure);
        self.stop();
    }

    /// Takes the violation out, if there is one. A player that was killed may have left the lock.
    pub fn witness(&self) -> Option<Failure> {
        self.state.witness.try_lock()?.take()
    }

    /// Waits until `done`, actively; false when the run was stopped before.
    pub fn wait_until(&self, mut done: impl FnMut() -> bool) -> bool {
        let mut well = false;
        spin_until(|| {
            well = done();
            well || self.is_stopped()
        });
        well
    }

    /// Counts rounds.
    pub fn count(&self, rounds: u64) {
        self.state.rounds.fetch_add(rounds, Relaxed);
    }

    pub fn rounds(&self) -> u64 {
        self.state.rounds.load(Relaxed)
    }

    /// Counts an outcome, one of those that the case has named.
    pub fn saw(&self, outcome: usize) {
        if let Some(count) = self.state.seen.get(outcome) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub fn seen(&self, outcome: usize) -> u64 {
        self.state.seen.get(outcome).map_or(0, |n| n.load(Relaxed))
    }

    /// Puts this thread on one of the run's CPUs. Where that is not possible the case has to do
    /// with what the kernel chooses.
    pub fn pin(&self, index: usize) {
        let _ = bare::pin_to(index % self.cpus);
    }

    /// How many CPUs are left when so many players have one each; one at least.
    pub fn others(&self, taken: usize) -> usize {
        self.cpus.saturating_sub(taken).max(1)
    }

    /// Has each role played by a thread of its own on a CPU of its own, as far as there are enough,
    /// and `rest` by so many more. The run is over when the first role returns.
    pub fn play(&self, roles: &[Role<'_>], rest: Role<'_>, count: usize) -> Ended {
        let rest = core::iter::repeat_n(rest, count);
        self.play_all(roles.iter().copied().chain(rest))
    }

    /// As [`play`](Self::play), with just these roles.
    pub fn play_only(&self, roles: &[Role<'_>]) -> Ended {
        self.play_all(roles.iter().copied())
    }

    fn play_all<'a>(&self, roles: impl Iterator<Item = Role<'a>>) -> Ended {
        thread::scope(|scope| {
            for (number, role) in roles.enumerate() {
                let player = move || {
                    self.pin(number);
                    let verdict = role(number);
                    if let Err(failure) = verdict {
                        self.fail(failure);
                    }
                    if number == 0 {
                        self.stop();
                    }
                };
                if let Err(errno) = scope.spawn(player) {
                    self.stop();
                    return Err(errno).or_skip("threads");
                }
            }
            Ok(())
        })
    }

    /// Starts a process that plays along on that CPU.
    pub fn process(&self, cpu: usize, body: impl FnOnce() -> Verdict) -> Result<Player, Failure> {
        let pid = process::spawn(|| {
            self.pin(cpu);
            if let Err(failure) = body() {
                self.fail(failure);
            }
            0
        });
        Ok(Player(pid.or_fail("fork")?))
    }
}

/// A process that plays along.
#[must_use]
pub struct Player(Pid);

impl Player {
    /// Waits for its end; a violation that it saw is the run's already.
    pub fn finish(self) -> Verdict {
        let (_, status) = process::wait_for(self.0).or_fail("wait")?;
        match status {
            Status::Exited(0) => Ok(()),
            other => Err(Failure::new(format_args!("a process ended with {other}"))),
        }
    }
}

/// A point that some players pass together.
#[derive(Default)]
pub struct Meeting {
    arrived: AtomicU32,
    round: AtomicU32,
}

impl Meeting {
    pub const fn new() -> Self {
        Self {
            arrived: AtomicU32::new(0),
            round: AtomicU32::new(0),
        }
    }

    /// Waits actively for the others, all of which name the same number; false when the run was
    /// stopped before all had come.
    pub fn wait(&self, trial: &Trial, parties: usize) -> bool {
        let round = self.round.load(Relaxed);
        // AcqRel, Release, Acquire: what each did before comes before what all do after.
        if self
            .arrived
            .fetch_add(1, core::sync::atomic::Ordering::AcqRel)
            + 1
            == parties as u32
        {
            self.arrived.store(0, Relaxed);
            self.round.store(round.wrapping_add(1), Release);
            return true;
        }
        trial.wait_until(|| self.round.load(Acquire) != round)
    }
}
