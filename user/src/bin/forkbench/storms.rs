//! Several processes that fork at once: what the machine gets done in a second.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use user::fail;
use user::sys::process::{self, Pid};
use user::sys::system;
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

/// What forkers and their overseer share: a count of each, then who is ready, then the sign to
/// stop.
type Board = [AtomicU64; (MOST + 2) * APART];

fn ready(board: &Board) -> &AtomicU64 {
    &board[MOST * APART]
}

fn stop(board: &Board) -> &AtomicU64 {
    &board[(MOST + 1) * APART]
}

/// So many forkers, each with so much memory touched: forks, exits and waits in a second.
pub fn forkers(bench: &mut Bench, count: usize, mib: usize) -> Verdict {
    let board: &Board = shared::counters()?;
    let mut pids = [Pid(0); MOST];
    for (index, pid) in pids.iter_mut().enumerate().take(count) {
        *pid = process::spawn(|| i32::from(forker(board, index, mib).is_err())).or_fail("fork")?;
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

fn forker(board: &Board, index: usize, mib: usize) -> Result<(), Failure> {
    let _region = Region::touched(mib)?;
    ready(board).fetch_add(1, Relaxed);
    while stop(board).load(Relaxed) == 0 {
        let pid = process::spawn(|| 0).or_fail("fork")?;
        process::wait_for(pid).or_fail("wait")?;
        board[index * APART].fetch_add(1, Relaxed);
    }
    Ok(())
}
