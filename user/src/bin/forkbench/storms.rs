//! Several processes that fork at once: what the machine gets done in a second.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use user::fail;
use user::sys::process::{self, Pid};
use user::sys::system;
use user::sys::thread::{self, CpuSet};
use user::testing::{Explain, Failure, Verdict, shared};

use crate::bench::Bench;
use crate::clock::PARTS;
use crate::output::Unit;
use crate::region::Region;

/// Most forkers at once.
const MOST: usize = 8;
/// Counters are so far apart that no two are in one cache line.
const APART: usize = 8;

const WINDOW_NS: u64 = 200_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// What forkers and their overseer share: a count of each, then how many are ready, then the sign to
/// stop.
type Board = [AtomicU64; (MOST + 2) * APART];

fn ready(board: &Board) -> &AtomicU64 {
    &board[MOST * APART]
}

fn stop(board: &Board) -> &AtomicU64 {
    &board[(MOST + 1) * APART]
}

/// What the forkers are.
#[derive(Clone, Copy)]
pub struct Storm {
    pub forkers: usize,
    /// How much memory each has touched.
    pub mib: usize,
    /// How many CPUs they may use; all, if that is `None`.
    pub cpus: Option<usize>,
}

impl Storm {
    /// So many small forkers, on all CPUs.
    pub const fn of(forkers: usize) -> Self {
        Self {
            forkers,
            mib: 0,
            cpus: None,
        }
    }

    pub const fn of_64_mib(self) -> Self {
        Self { mib: 64, ..self }
    }

    pub const fn on(self, cpus: usize) -> Self {
        Self {
            cpus: Some(cpus),
            ..self
        }
    }
}

/// Forks, exits and waits in a second.
pub fn forkers(bench: &mut Bench, storm: Storm) -> Verdict {
    let count = storm.forkers;
    if storm.cpus > Some(system::cpus().or_fail("sched_getaffinity")?) {
        fail!("there are too few CPUs");
    }
    if storm.cpus.is_some() {
        // Asks for nothing new, to see whether it can be asked for.
        thread::allowed_cpus()
            .and_then(|cpus| thread::run_on(&cpus))
            .or_fail("sched_setaffinity")?;
    }
    let board: &Board = shared::counters()?;
    let mut pids = [Pid(0); MOST];
    for (index, pid) in pids.iter_mut().enumerate().take(count) {
        *pid =
            process::spawn(|| i32::from(forker(board, index, storm).is_err())).or_fail("fork")?;
    }
    let series = bench.series()?;
    let watched = watch(bench, board, count, &series);
    stop(board).store(1, Relaxed);
    for pid in pids.iter().take(count) {
        let (_, status) = process::wait_for(*pid).or_fail("wait")?;
        if status.code() != 0 {
            fail!("a forker ended with {status}");
        }
    }
    watched?;
    bench.report(Unit::PerSecond, &series)
}

/// Takes the rate of some windows of time.
fn watch(bench: &Bench, board: &Board, count: usize, series: &crate::series::Series) -> Verdict {
    let deadline = system::now() + 60 * SECOND_NS;
    while ready(board).load(Relaxed) < count as u64 {
        if system::now() > deadline {
            fail!("not all forkers came up");
        }
        system::sleep_ms(1);
    }
    let total = || -> u64 {
        let counts = board.iter().step_by(APART).take(count);
        counts.map(|count| count.load(Relaxed)).sum()
    };
    for _ in 0..bench.times(10).max(3) {
        let (start, before) = (system::now(), total());
        system::sleep(WINDOW_NS).or_fail("nanosleep")?;
        let (end, after) = (system::now(), total());
        let time = end.saturating_sub(start).max(1);
        series.push_number((after - before) * PARTS * SECOND_NS / time);
    }
    Ok(())
}

fn forker(board: &Board, index: usize, storm: Storm) -> Result<(), Failure> {
    if let Some(cpus) = storm.cpus {
        let set = (0..cpus).fold(CpuSet::EMPTY, CpuSet::with);
        thread::run_on(&set).or_fail("sched_setaffinity")?;
    }
    let _region = Region::touched(storm.mib)?;
    ready(board).fetch_add(1, Relaxed);
    while stop(board).load(Relaxed) == 0 {
        let pid = process::spawn(|| 0).or_fail("fork")?;
        process::wait_for(pid).or_fail("wait")?;
        board[index * APART].fetch_add(1, Relaxed);
    }
    Ok(())
}
