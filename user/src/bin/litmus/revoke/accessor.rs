//! The threads that use what is given and taken, and judge what their accesses come to.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use user::ensure;
use user::recover::{Fault, Recovery};
use user::sys::{process, system};
use user::testing::{Explain, Failure, Verdict};

use super::moment::{Board, Moment, Phase, value};
use super::{Between, Plan, Take};
use crate::shapes::MARK;
use crate::trial::Trial;

/// An accessor: uses the word all the time.
pub fn access(
    trial: &Trial,
    plan: &Plan,
    board: &Board,
    recovery: &Recovery,
    number: usize,
) -> Verdict {
    // What is dropped must not be written anew at once, so that zeroes can be told.
    let writes = plan.take != Take::Contents && number.is_multiple_of(2);
    let mut turns = 0u32;
    while !trial.is_stopped() {
        let start = board.now();
        let address = board.address();
        let (before, result) = recovery.load_both(&board.moment, address);
        let (before, after) = (Moment(before), board.now());
        // While pages are given the place of the word changes, and only a stranger's frame is wrong.
        let steady = start.phase() != Phase::Giving && start.round() == before.round();
        check_load(plan.take, steady, before, after, result, address)?;
        tell(trial, before, after, result.is_ok());
        let last = &board.accessed[number];
        // A thread that was refused writes no more in this round: what is found in the next
        // one is then of that round.
        if steady && before == after && last.load(Relaxed) != before.0 {
            if writes {
                let new = value(before.round(), number + 1);
                // SAFETY: the word is this case's own.
                let result = unsafe { recovery.store(address, new) };
                if board.now() == before {
                    check_store(plan.take, before, result, address)?;
                    last.store(before.0, SeqCst);
                }
            } else {
                last.store(before.0, SeqCst);
            }
        } else if writes && steady && before.phase() != Phase::Taken {
            // SAFETY: as above; what it comes to is looked at above.
            let _ = unsafe { recovery.store(address, value(before.round(), number + 1)) };
        }
        turns += 1;
        match plan.between {
            Between::Sleep if before.phase() == Phase::Given => {
                system::sleep(200_000).or_fail("sleep")?;
            }
            Between::Switch => process::sched_yield(),
            _ if turns.is_multiple_of(50) => process::sched_yield(),
            _ => {}
        }
    }
    Ok(())
}

fn tell(trial: &Trial, before: Moment, after: Moment, used: bool) {
    trial.saw(match (before == after, before.phase(), used) {
        (true, Phase::Given, _) => 0,
        (true, Phase::Taken, _) => 1,
        (_, _, true) => 2,
        (_, _, false) => 3,
    });
}

/// The fault that an access meets after the call has returned.
fn fault_code(take: Take) -> i32 {
    match take {
        Take::Unmap | Take::Place => Fault::NOT_MAPPED,
        _ => Fault::NOT_ALLOWED,
    }
}

fn check_load(
    take: Take,
    steady: bool,
    before: Moment,
    after: Moment,
    result: Result<u64, Fault>,
    address: usize,
) -> Verdict {
    if let Ok(found) = result {
        ensure!(
            found != MARK,
            "a read has found a frame of another process ({found:#x})"
        );
        let (first, last) = (before.round(), after.round());
        // In between there may be fresh zeroes already.
        let fresh = found == 0 && (before != after || before.phase() != Phase::Given);
        ensure!(
            !steady || fresh || (first..=last).contains(&(found >> 8)),
            "a read in round {first} has found {found:#x}, of round {}",
            found >> 8
        );
    }
    if !steady || before != after {
        return Ok(());
    }
    match (before.phase(), result) {
        (Phase::Giving | Phase::Taking, _) => Ok(()),
        (Phase::Given, Ok(_)) => Ok(()),
        (Phase::Given, Err(fault)) => Err(unexpected("a read of what is there", Err(fault))),
        (Phase::Taken, result) => match (take, result) {
            (Take::Write, Ok(_)) | (Take::Contents, Ok(0)) => Ok(()),
            (Take::Unmap | Take::Place | Take::Access, Err(fault))
                if fault.is(fault_code(take), address) =>
            {
                Ok(())
            }
            _ => Err(unexpected("a read after the call has returned", result)),
        },
    }
}

fn check_store(take: Take, moment: Moment, result: Result<(), Fault>, address: usize) -> Verdict {
    match (moment.phase(), result) {
        (Phase::Giving | Phase::Taking, _) | (Phase::Given, Ok(())) => Ok(()),
        (Phase::Taken, Err(fault)) if fault.is(fault_code(take), address) => Ok(()),
        (Phase::Given, _) => Err(unexpected("a write of what is there", result.map(|()| 0))),
        (Phase::Taken, _) => Err(unexpected(
            "a write after the call has returned",
            result.map(|()| 0),
        )),
    }
}

fn unexpected(what: &str, result: Result<u64, Fault>) -> Failure {
    match result {
        Ok(value) => Failure::new(format_args!("{what} worked (value {value:#x})")),
        Err(fault) => Failure::new(format_args!(
            "{what} met signal {}, code {}, address {:#x}",
            fault.signal.0, fault.code, fault.address
        )),
    }
}
