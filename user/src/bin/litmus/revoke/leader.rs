//! The thread that gives and takes, and the second one that takes as well.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

use user::ensure;
use user::sys::memory::{self, MADV_DONTNEED, PAGE, Protection, Sharing};
use user::testing::{Explain, Verdict};

use super::moment::{Board, HERE, Moment, Phase, THERE, value};
use super::{Plan, Take};
use crate::trial::Trial;

/// The thread that gives and takes rights.
pub fn lead(trial: &Trial, plan: &Plan, board: &Board, accessors: usize) -> Verdict {
    let enter = |moment: Moment| board.moment.store(moment.0, SeqCst);
    let all_in = |moment: Moment| {
        let there = || board.accessed.iter().take(accessors);
        trial.wait_until(|| there().all(|last| last.load(Acquire) == moment.0))
    };
    let mut round = 0;
    while trial.goes_on() {
        round += 1;
        let size = plan.sizes[round as usize % plan.sizes.len()];
        enter(Moment::new(round, Phase::Giving));
        board.size.store(size as u64, Relaxed);
        give(plan, board, round)?;
        let given = Moment::new(round, Phase::Given);
        enter(given);
        if !all_in(given) {
            break;
        }
        enter(Moment::new(round, Phase::Taking));
        take(
            plan.take,
            HERE,
            if plan.twice { size.max(2) - 1 } else { size },
        )?;
        board.taken(round);
        quiesce(trial, plan, board, round, &all_in)?;
        trial.count(1);
    }
    Ok(())
}

/// After the call: looks that nothing changes any more, and waits until all were refused.
fn quiesce(
    trial: &Trial,
    plan: &Plan,
    board: &Board,
    round: u64,
    all_in: &dyn Fn(Moment) -> bool,
) -> Verdict {
    let word = match plan.take {
        Take::Place => Some(board.address() - HERE + THERE),
        Take::Write => Some(board.address()),
        _ => None,
    };
    // SAFETY: the page is there and can be read.
    let look = || word.map(|word| unsafe { (word as *const u64).read_volatile() });
    let before = look();
    // Every other time the moved frames are given up at once.
    let at_once = plan.take == Take::Place && round.is_multiple_of(2);
    let unmap_there = || {
        // SAFETY: the mapping there is this case's own.
        unsafe { memory::unmap(THERE, board.size() * PAGE) }.or_fail("munmap")
    };
    if at_once {
        unmap_there()?;
    }
    let second_is_done = || !plan.twice || board.taken_twice.load(Acquire) == round;
    if !all_in(Moment::new(round, Phase::Taken)) || !trial.wait_until(second_is_done) {
        return Ok(());
    }
    if !at_once {
        let after = look();
        ensure!(
            before == after,
            "after the call the page had {before:x?}, and then {after:x?}: a thread still writes"
        );
        if plan.take == Take::Place {
            unmap_there()?;
        }
    }
    Ok(())
}

/// Makes the pages, or what was taken from them, be there again.
fn give(plan: &Plan, board: &Board, round: u64) -> Verdict {
    let size = board.size();
    let all = Protection::READ_WRITE;
    // SAFETY: this part of the address space is this case's own.
    unsafe { memory::map_at(HERE, size * PAGE, all, Sharing::Private) }.or_fail("mmap")?;
    for page in (0..size).step_by(64) {
        // SAFETY: just mapped.
        unsafe { ((HERE + page * PAGE) as *mut u64).write_volatile(value(round, 0)) };
    }
    // SAFETY: just mapped. Those that are too early use atomics or assembler.
    unsafe { AtomicU64::from_ptr(board.address() as *mut u64) }.store(value(round, 0), Relaxed);
    if plan.take != Take::Unmap && plan.take != Take::Place && size == 1 {
        // Also the other way back: a right is given to a page that is there.
        // SAFETY: as above.
        unsafe { memory::protect(HERE, PAGE, Protection::READ) }.or_fail("mprotect")?;
        // SAFETY: as above.
        unsafe { memory::protect(HERE, PAGE, all) }.or_fail("mprotect")?;
    }
    Ok(())
}

fn take(what: Take, start: usize, pages: usize) -> Verdict {
    let length = pages * PAGE;
    // SAFETY: this part of the address space is this case's own, and a thread that still uses it is ready
    // for faults.
    unsafe {
        match what {
            Take::Unmap => memory::unmap(start, length).or_fail("munmap"),
            Take::Place => memory::move_to(start, length, THERE, length).or_fail("mremap"),
            Take::Access => memory::protect(start, length, Protection::NONE).or_fail("mprotect"),
            Take::Write => memory::protect(start, length, Protection::READ).or_fail("mprotect"),
            Take::Contents => memory::advise(start, length, MADV_DONTNEED).or_fail("madvise"),
        }
    }
}

/// The second thread: takes another range, with the page in the middle in both.
pub fn take_as_well(trial: &Trial, plan: &Plan, board: &Board) -> Verdict {
    let mut round = 0;
    loop {
        round += 1;
        let taking = Moment::new(round, Phase::Taking).0;
        if !trial.wait_until(|| board.now().0 >= taking) {
            return Ok(());
        }
        let skip = usize::from(board.size() > 1);
        take(plan.take, HERE + skip * PAGE, board.size() - skip)?;
        board.taken(round);
        board.taken_twice.store(round, SeqCst);
    }
}
