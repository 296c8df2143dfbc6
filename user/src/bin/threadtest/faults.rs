//! Faults that a handler survives.

use user::recover::{Fault, Recovery};
use user::sys::memory::{PAGE, Protection};
use user::sys::signal::Signal;
use user::testing::child::expect_signal;
use user::testing::{Case, Explain, Mapping, Verdict};
use user::{cases, ensure, thread};

pub const CASES: &[Case] = cases![
    what_a_fault_tells => "what-a-fault-tells",
    every_thread_has_its_own => "faults-of-every-thread",
    others_are_fatal => "other-faults-are-fatal",
];

/// Reads and writes of memory with each kind of right.
fn probe(area: &Mapping) -> Verdict {
    let recovery = Recovery::new().or_fail("a handler")?;
    let store = |page, value| {
        // SAFETY: no reference exists to the area.
        unsafe { recovery.store(area.page(page), value) }
    };
    for round in 0..100 {
        let result = store(0, round);
        ensure!(result.is_ok(), "a write: {result:?}");
        let result = recovery.load(area.page(0));
        ensure!(result == Ok(round), "a read: {result:?}");
        let result = store(1, round);
        let told = result.is_err_and(|fault| fault.is(Fault::NOT_ALLOWED, area.page(1)));
        ensure!(told, "a write of a read-only page: {result:?}");
        let result = recovery.load(area.page(1));
        ensure!(result == Ok(0), "a read of a read-only page: {result:?}");
        let result = recovery.load(area.page(2) + 8);
        let told = result.is_err_and(|fault| fault.is(Fault::NOT_ALLOWED, area.page(2) + 8));
        ensure!(told, "a read without a right: {result:?}");
        let result = recovery.load(area.page(3) + PAGE - 8);
        let told = result.is_err_and(|fault| fault.is(Fault::NOT_MAPPED, area.page(3) + PAGE - 8));
        ensure!(told, "a read of nothing: {result:?}");
    }
    Ok(())
}

fn rights() -> Result<Mapping, user::testing::Failure> {
    let area = Mapping::private(4)?;
    area.protect(1, 1, Protection::READ)?;
    area.protect(2, 1, Protection::NONE)?;
    area.unmap(3, 1)?;
    Ok(area)
}

fn what_a_fault_tells() -> Verdict {
    probe(&rights()?)
}

fn every_thread_has_its_own() -> Verdict {
    const THREADS: usize = 4;
    let areas = [rights()?, rights()?, rights()?, rights()?];
    thread::scope(|scope| {
        let mut running = [const { None }; THREADS];
        for (slot, area) in running.iter_mut().zip(&areas) {
            *slot = Some(scope.spawn(|| probe(area)).or_fail("a thread")?);
        }
        let mut threads = running.into_iter().flatten();
        threads.try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

fn others_are_fatal() -> Verdict {
    expect_signal(Signal::SIGSEGV, || {
        let recovery = Recovery::new();
        // SAFETY: it ends the process.
        unsafe { (16 as *mut u64).write_volatile(1) };
        drop(recovery);
    })
}
