//! Many holders of one page: the count is exact all the time (rule M1).
//!
//! A count that is too low gives the page away while others still have it; one that is too
//! high never gives it back. Counts that were not wide enough, or not taken in one step, are a class
//! of defects of their own: Linux's `page->_refcount` could be driven over its end by a user
//! (CVE-2019-11487, mended by 15fab63e1e57).
//!
//! Thousands of children share a page, each holding it by a table of its own. While one of them is
//! there the parent's write goes to another frame. When all are gone, the parent is the only holder
//! again: its write leaves the page in its frame. That is seen where `/proc/self/pagemap` shows
//! frames.
//!
//! Seen to catch, planted in cowfork: a table that is copied without a reference to one of its
//! children (the kernel itself notices the count that goes below zero).

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use user::ensure;
use user::sync::{wait_while, wake_all};
use user::sys::{Errno, process, system};
use user::testing::pagemap::{self, Frame};
use user::testing::{Explain, Failure, Mapping, shared};

use crate::case::Case;
use crate::trial::{Ended, Trial};

pub const CASES: &[Case] = &[Case {
    name: "thousand-forks",
    summary: "thousands of forks share a page: at the end its owner is the only one",
    outcomes: &["children", "pages that came back to their owner"],
    run: thousand_forks,
}];

/// The most children at a time.
const CHILDREN: usize = 3000;

struct Board {
    /// How many children have looked.
    looked: AtomicU32,
    /// They may end.
    released: AtomicU32,
}

/// Words of the first page, which are not written while it is shared, and of the second one.
const FIRST: u64 = 0x1234_5678;

fn thousand_forks(trial: &Trial) -> Ended {
    let board = shared::place(Board {
        looked: AtomicU32::new(0),
        released: AtomicU32::new(0),
    })?;
    let mut most = 250 * (trial.seconds() as usize + 1);
    let mut round = 0;
    while trial.goes_on() {
        round += 1;
        most = most.min(CHILDREN);
        generation(trial, board, FIRST + round, most)?;
        trial.count(1);
    }
    Ok(())
}

/// One page's life with so many children.
fn generation(trial: &Trial, board: &Board, value: u64, most: usize) -> Ended {
    let area = Mapping::private(3)?;
    area.set(0, 0, value);
    area.set(1, 0, value);
    area.set(2, 0, value);
    let frame = area.frame(0)?;
    board.looked.store(0, Relaxed);
    board.released.store(0, Relaxed);
    let mut children = 0;
    while children < most && (children < 16 || trial.goes_on()) {
        match process::fork() {
            Ok(process::Forked::Child) => child(trial, board, &area, value),
            Ok(process::Forked::Parent(_)) => children += 1,
            Err(Errno::EAGAIN | Errno::ENOMEM) => break,
            Err(errno) => Err(errno).or_fail("fork")?,
        }
        trial.saw(0);
    }
    trial.wait_until(|| board.looked.load(Acquire) as usize == children);
    // Another process has the second page, so this one is not written in place.
    let before = area.frame(1)?;
    area.set(1, 0, value + 1);
    if children > 0 {
        pagemap::expect_different(
            "a page that children share, written",
            before,
            area.frame(1)?,
        )?;
    }
    board.released.store(1, Release);
    wake_all(&board.released);
    let mut well = true;
    for _ in 0..children {
        let (_, status) = process::wait().or_fail("wait")?;
        well &= status == process::Status::Exited(0);
    }
    if !well {
        trial.stop();
        return Ok(());
    }
    // What the children have left is taken apart after their end; none of it is in a hurry.
    system::sleep_ms(50);
    pagemap::expect_same("a page that was not written", frame, area.frame(0)?)?;
    area.set(0, 0, value + 1);
    if let (Frame::Number(before), Frame::Number(after)) = (frame, area.frame(0)?) {
        ensure_same(before, after, children)?;
        trial.saw(1);
    }
    Ok(())
}

fn ensure_same(before: u64, after: u64, children: usize) -> Result<(), Failure> {
    ensure!(
        before == after,
        "after {children} children have gone, a write moved the page from frame {before:#x} to \
         {after:#x}: a holder is left"
    );
    Ok(())
}

/// A child: makes the table above the page its own, by a write beside it, so that it counts as a
/// holder of the page.
fn child(trial: &Trial, board: &Board, area: &Mapping, value: u64) -> ! {
    area.set(2, 0, value + 2);
    board.looked.fetch_add(1, AcqRel);
    wait_while(&board.released, 0);
    let seen = [area.get(0, 0), area.get(1, 0), area.get(2, 0)];
    let expected = [value, value, value + 2];
    if seen != expected {
        trial.fail(Failure::new(format_args!(
            "a child has {seen:x?} and not {expected:x?}"
        )));
        process::exit_now(1);
    }
    process::exit_now(0)
}
