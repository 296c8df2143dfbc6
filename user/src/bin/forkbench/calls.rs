//! System calls that have nothing to do with memory, for comparison; and the memory in use.

use user::fail;
use user::sys::file::{self, Fd};
use user::sys::process;
use user::sys::{system, thread};
use user::testing::{Explain, Verdict};

use crate::bench::Bench;
use crate::children::free_kib;
use crate::clock::{self, PARTS};
use crate::output::Unit;

/// `getppid`, so many in a row.
pub fn system_call(bench: &mut Bench) -> Verdict {
    const ROW: u64 = 100;
    let series = bench.series()?;
    for _ in 0..bench.times(1000) {
        let start = clock::now();
        for _ in 0..ROW {
            process::getppid();
        }
        series.push_batch(clock::between(start, clock::now()), ROW);
    }
    bench.report(Unit::Time, &series)
}

/// A byte to another process and back, both on one CPU or each on its own.
pub fn ping_pong(bench: &mut Bench, cpus: usize) -> Verdict {
    let present = system::cpus().or_fail("sched_getaffinity")?;
    if present < cpus {
        fail!("there is one CPU");
    }
    // On a machine with one CPU there is nothing to ask for.
    let pin = |cpu: usize| match present {
        1 => Ok(()),
        _ => thread::pin_to(cpu).or_fail("sched_setaffinity"),
    };
    let (there, back) = (file::pipe().or_fail("pipe")?, file::pipe().or_fail("pipe")?);
    let pid = process::spawn(|| {
        let echo = || -> Verdict {
            pin(cpus - 1)?;
            file::close(there.write).or_fail("close")?;
            file::close(back.read).or_fail("close")?;
            while receive(there.read)? {
                file::write(back.write, &[1]).or_fail("write")?;
            }
            Ok(())
        };
        i32::from(echo().is_err())
    })
    .or_fail("fork")?;
    // So that the end of the other one is seen.
    file::close(back.write).or_fail("close")?;
    let series = bench.series()?;
    let pinned = pin(0);
    if pinned.is_ok() {
        for round in 0..bench.times(2000) + 10 {
            let start = clock::now();
            file::write(there.write, &[1]).or_fail("write")?;
            if !receive(back.read)? {
                fail!("the other process has ended");
            }
            // The first ones warm up.
            if round >= 10 {
                series.push(clock::between(start, clock::now()));
            }
        }
    }
    file::close(there.write).or_fail("close")?;
    process::wait_for(pid).or_fail("wait")?;
    pinned?;
    bench.report(Unit::Time, &series)
}

/// Waits for a byte; false at the end.
fn receive(fd: Fd) -> Result<bool, user::testing::Failure> {
    Ok(file::read(fd, &mut [0]).or_fail("read")? == 1)
}

/// What is free when nothing runs but this program.
pub fn free_memory(bench: &mut Bench) -> Verdict {
    let free = free_kib()?;
    let series = bench.series()?;
    series.push_number(free * PARTS);
    bench.report(Unit::Kibibytes, &series)
}
