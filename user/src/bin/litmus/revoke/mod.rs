//! A right that is taken is gone when the call returns, on every CPU (rule M5).
//!
//! One thread takes pages away from the others, by `munmap`, `mremap`, `mprotect` or `madvise`, and
//! says so when the call has returned. From then on every access faults, with the right `si_code`
//! and `si_addr`, or shows what the call promises. Until then it may do either, but an access never
//! reaches a frame of another process: a stranger in another process fills every fresh frame
//! with its mark, and looks whether the mark stays.
//!
//! ```text
//!  Giving ──map, fill──> Given ──all have used it──> Taking ──the call returns──> Taken ──all were refused──> Giving
//! ```
//!
//! The phase is one word together with the number of the round. An accessor reads it before and
//! after the access; when both are the same, it knows what the access must have come to.
//!
//! What others got wrong here:
//! - CVE-2018-18281: Linux's `mremap` let go of the page tables' locks before it flushed. A
//!   thread that wrote by the old address wrote to the page after it had been freed from the new
//!   place, and the frame was a stranger's (`mremap`).
//! - 3ea277194daa: Linux's `mprotect` found an entry that another thread had changed and not flushed
//!   yet, had nothing to do, flushed nothing, and returned too early (`mprotect-twice`).
//! - 60bae7370896: the same with `MADV_DONTNEED` (`dontneed`, `dontneed-twice`). Two
//!   threads that drop overlapping ranges are the same once more (`munmap-overlapping`).
//!
//! Seen to catch, planted in cowfork, on four emulated CPUs within seconds: an `munmap` that does
//! not wait for the other CPUs (`munmap`, `munmap-tables`, `munmap-overlapping`); an `mremap` that
//! does not (`mremap`); an `mprotect` that does not flush (all three); references that are dropped
//! before the acknowledgements (`munmap`, `dontneed`: the stranger's mark is read).
//!
mod accessor;
mod leader;
mod moment;

use user::recover::Recovery;
use user::sys::memory::{self, MADV_DONTNEED, PAGE};
use user::sys::{self, process};
use user::testing::{Explain, Verdict, shared};

use crate::case::Case;
use crate::shapes::stranger;
use crate::trial::{Ended, Need, Trial};
use moment::{ACCESSORS, Board, HERE, THERE};

const OUTCOMES: &[&str] = &[
    "used",
    "refused",
    "used while it was taken",
    "refused while",
];

pub const CASES: &[Case] = &[
    Case {
        name: "munmap",
        summary: "munmap against accessors: gone when it returns, and no other process's frame is reached",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Unmap)),
    },
    Case {
        name: "munmap-tables",
        summary: "the same with so much memory that page tables are freed",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Unmap).sizes(LARGE)),
    },
    Case {
        name: "munmap-overlapping",
        summary: "two threads drop overlapping ranges: what is in both is gone when one returns",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Unmap).twice()),
    },
    Case {
        name: "mprotect-none",
        summary: "mprotect to no access against accessors",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Access)),
    },
    Case {
        name: "mprotect-read",
        summary: "mprotect to read-only against writers: nothing changes afterwards",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Write)),
    },
    Case {
        name: "mprotect-twice",
        summary: "two threads at once: the one that finds it done returns no earlier (3ea277194daa)",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Write).twice()),
    },
    Case {
        name: "mremap",
        summary: "a mapping moves away under hot writers, and its frames go on (CVE-2018-18281)",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Place)),
    },
    Case {
        name: "dontneed",
        summary: "MADV_DONTNEED against readers: only zeroes afterwards",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Contents)),
    },
    Case {
        name: "dontneed-twice",
        summary: "two threads at once: the one that finds nothing returns no earlier (60bae7370896)",
        outcomes: OUTCOMES,
        run: |trial| run(trial, Plan::of(Take::Contents).twice()),
    },
];

/// What is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The mapping, by `munmap`.
    Unmap,
    /// The mapping, by `mremap`.
    Place,
    /// All rights.
    Access,
    /// The right to write.
    Write,
    /// What was written, by `MADV_DONTNEED`.
    Contents,
}

/// What the accessors do between two accesses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// Nothing.
    Nothing,
    /// They sleep, so that their CPUs idle.
    Sleep,
    /// They let another process have the CPU, so that each access follows a switch of address
    /// spaces.
    Switch,
}

/// What is raced in a case.
pub struct Plan {
    take: Take,
    /// Two threads take at the same time.
    twice: bool,
    between: Between,
    /// How many pages are mapped, in turn. The one in the middle is accessed.
    sizes: &'static [usize],
}

/// A page, a few, and more than most kernels flush one by one.
const SMALL: &[usize] = &[1, 3, 40];
/// Two leaf tables' worth of pages: the tables go as well.
pub const LARGE: &[usize] = &[1024];

impl Plan {
    pub const fn of(take: Take) -> Self {
        Self {
            take,
            twice: false,
            between: Between::Nothing,
            sizes: SMALL,
        }
    }

    pub const fn between(self, between: Between) -> Self {
        Self { between, ..self }
    }

    /// By two threads at once.
    pub const fn twice(self) -> Self {
        Self {
            twice: true,
            ..self
        }
    }

    pub const fn sizes(self, sizes: &'static [usize]) -> Self {
        Self { sizes, ..self }
    }
}

/// Races as planned.
pub fn run(trial: &Trial, plan: Plan) -> Ended {
    drop(Recovery::new().or_skip("handlers for SIGSEGV")?);
    probe(plan.take)?;
    let board = shared::place(Board::new())?;
    let first = 1 + usize::from(plan.twice);
    let accessors = trial.others(first).min(ACCESSORS);
    let players = first + accessors;
    let mut strangers = [const { None }; 2 * ACCESSORS];
    strangers[0] = Some(stranger(trial, trial.cpus() - 1)?);
    if plan.between == Between::Switch {
        for (slot, cpu) in strangers.iter_mut().skip(1).zip(first..players) {
            *slot = Some(trial.process(cpu, || rival(trial))?);
        }
    }

    let revoker = |_| {
        board.ready.wait(trial, players);
        leader::lead(trial, &plan, board, accessors)
    };
    let second = |_| {
        board.ready.wait(trial, players);
        leader::take_as_well(trial, &plan, board)
    };
    let user = |number: usize| {
        let recovery = Recovery::new().or_fail("a handler")?;
        board.ready.wait(trial, players);
        accessor::access(trial, &plan, board, &recovery, number - first)
    };
    let ended = match plan.twice {
        false => trial.play(&[&revoker], &user, accessors),
        true => trial.play(&[&revoker, &second], &user, accessors),
    };
    for player in strangers.into_iter().flatten() {
        player.finish()?;
    }
    ended
}

/// Whether the kernel has the call.
fn probe(take: Take) -> Ended {
    // SAFETY: nothing is there; where a call does not mind, nothing changes.
    let result = unsafe {
        match take {
            Take::Place => memory::move_to(HERE, PAGE, THERE, PAGE),
            Take::Contents => memory::advise(HERE, PAGE, MADV_DONTNEED),
            Take::Unmap | Take::Access | Take::Write => Ok(()),
        }
    };
    match result {
        Err(sys::Errno::ENOSYS) => result.or_skip("call for it"),
        _ => Ok(()),
    }
}

/// Another address space, for the accessors' CPUs to switch to.
fn rival(trial: &Trial) -> Verdict {
    while !trial.is_stopped() {
        process::sched_yield();
    }
    Ok(())
}
