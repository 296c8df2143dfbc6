//! Two processes that share a frame: the one that leaves it sees nothing of what the other does to it.
//!
//! Suppose a thread of A writes a page that it shares with B: A gets a copy, and the reference to
//! the old frame is dropped. If it is dropped before all CPUs of A have forgotten the old frame, B
//! may be its only holder, take it over and write it in place, while another thread of A still
//! reads it: A reads what B has written (rule M2). To free a frame only after the flush is not
//! enough; Linux counts such pages until the flush of the `mmu_gather` is over for that reason.
//!
//! Seen to catch, planted in cowfork, on four emulated CPUs within seconds: references that are
//! dropped before the other CPUs have acknowledged; a copy that is writable before they have.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use user::ensure;
use user::random::Random;
use user::recover::load_two;
use user::testing::{Mapping, Verdict, shared};

use crate::case::Case;
use crate::shapes::delay;
use crate::trial::{Ended, Meeting, Trial};

pub const CASES: &[Case] = &[Case {
    name: "leave-by-write",
    summary: "two processes write a page that they share: no thread sees the other's write",
    outcomes: &["both old", "new before its flag", "both new"],
    run: leave_by_write,
}];

const PAGES: usize = 96;

#[derive(Default)]
struct Board {
    /// The page that is written next, by both.
    turn: AtomicU64,
    /// Whether this process has written it.
    written: AtomicU64,
    batch: AtomicU64,
    armed: Meeting,
    done: Meeting,
    /// Both processes begin.
    start: Meeting,
}

/// Values say which process wrote them and when.
const BY_CHILD: u64 = 1 << 63;

fn leave_by_write(trial: &Trial) -> Ended {
    let area = Mapping::private(PAGES)?;
    let board = shared::place(Board::default())?;
    // The last CPU is the child's.
    let readers = trial.others(2);
    let players = 1 + readers;

    let writer = |_| {
        let mut random = Random::new(7);
        let mut batch = 0;
        while trial.goes_on() {
            batch += 1;
            board.turn.store(0, Relaxed);
            board.written.store(0, Relaxed);
            board.batch.store(batch, Relaxed);
            let child = trial.process(trial.cpus() - 1, || other(trial, &area, board, batch))?;
            board.armed.wait(trial, players);
            if !board.start.wait(trial, 2) {
                break;
            }
            for page in 0..PAGES {
                board.turn.store(page as u64 + 1, Release);
                delay(random.below(60));
                area.atom(page, 1).store(batch, Relaxed);
                board.written.store(page as u64 + 1, Release);
                delay(random.below(200));
            }
            board.done.wait(trial, players);
            child.finish()?;
            trial.count(PAGES as u64);
        }
        Ok(())
    };
    let reader = |_| {
        while board.armed.wait(trial, players) {
            let batch = board.batch.load(Relaxed);
            watch_batch(trial, &area, board, batch)?;
            board.done.wait(trial, players);
        }
        Ok(())
    };
    trial.play(&[&writer], &reader, readers)
}

/// The child: writes each page at the time when its parent does.
fn other(trial: &Trial, area: &Mapping, board: &Board, batch: u64) -> Verdict {
    let mut random = Random::new(batch);
    board.start.wait(trial, 2);
    for page in 0..PAGES {
        if !trial.wait_until(|| board.turn.load(Acquire) > page as u64) {
            return Ok(());
        }
        delay(random.below(120));
        let seen = area.atom(page, 1).load(Relaxed);
        ensure!(
            seen == batch - 1,
            "the child finds {seen:#x} on page {page}, and {} was there at the fork",
            batch - 1
        );
        area.atom(page, 1).store(BY_CHILD | batch, Relaxed);
    }
    for page in 0..PAGES {
        let seen = area.atom(page, 1).load(Relaxed);
        ensure!(
            seen == BY_CHILD | batch,
            "the child finds {seen:#x} on page {page}, where it has written"
        );
    }
    Ok(())
}

/// Another thread of the parent: reads the page that is being written.
fn watch_batch(trial: &Trial, area: &Mapping, board: &Board, batch: u64) -> Verdict {
    for page in 0..PAGES {
        let _ = area.atom(page, 1).load(Relaxed);
    }
    let mut page = 0;
    let mut turns = 0u32;
    while page < PAGES && !trial.is_stopped() {
        let (written, data) = load_two(&board.written, area.atom(page, 1));
        ensure!(
            data == batch || data == batch - 1 && written <= page as u64,
            "page {page} has {data:#x}: {} and {batch} are this process's, {:#x} the other's; \
             {written} pages are written",
            batch - 1,
            BY_CHILD | batch
        );
        trial.saw(match (written > page as u64, data == batch) {
            (false, false) => 0,
            (false, true) => 1,
            (true, _) => 2,
        });
        page = page.max(written as usize);
        turns += 1;
        if turns.is_multiple_of(1000) {
            user::sys::process::sched_yield();
        }
    }
    Ok(())
}
