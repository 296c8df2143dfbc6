//! `fork`: by size of the process, and with what it leaves to be done later.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use user::sys::memory::{self, PAGE, Protection};
use user::sys::process::{self, Forked};
use user::sys::{futex, system};
use user::testing::{Explain, Verdict};
use user::thread;

use crate::bench::Bench;
use crate::clock;
use crate::output::Unit;
use crate::region::{PAGES_PER_MIB, Region};
use crate::series::Series;
use crate::sleeper::Sleeper;

/// `fork` alone, and `fork` with the child's exit and the wait for it, of a process that has
/// touched so much memory.
pub fn sized(bench: &mut Bench, mib: usize) -> Verdict {
    let region = Region::touched(mib)?;
    fork_and_wait(bench, mib, &region)
}

/// The same where the kernel may use huge pages.
pub fn huge(bench: &mut Bench, mib: usize) -> Verdict {
    let region = Region::fresh_huge(mib * PAGES_PER_MIB)?;
    region.touch_all();
    fork_and_wait(bench, mib, &region)
}

fn fork_and_wait(bench: &mut Bench, mib: usize, _region: &Region) -> Verdict {
    let (forks, waits) = (bench.series()?, bench.series()?);
    let times = if mib < 64 { 400 } else { 60 };
    // The first fork finds the kernel's caches cold and is not counted.
    fork_once(&bench.series()?, &bench.series()?)?;
    for _ in 0..bench.times(times) {
        fork_once(&forks, &waits)?;
    }
    bench.report(Unit::Time, &forks)?;
    bench.report(Unit::Time, &waits)
}

fn fork_once(forks: &Series, waits: &Series) -> Verdict {
    let start = clock::now();
    let pid = match process::fork().or_fail("fork")? {
        Forked::Child => process::exit_now(0),
        Forked::Parent(pid) => pid,
    };
    let forked = clock::now();
    process::wait_for(pid).or_fail("wait")?;
    let done = clock::now();
    forks.push(clock::between(start, forked));
    waits.push(clock::between(start, done));
    Ok(())
}

/// The same of a process with so many threads, all asleep.
pub fn with_threads(bench: &mut Bench, threads: usize) -> Verdict {
    let (ready, go) = (AtomicU32::new(0), AtomicU32::new(0));
    let sleep = || {
        ready.fetch_add(1, Relaxed);
        while go.load(Relaxed) == 0 {
            let _ = futex::wait(&go, 0);
        }
    };
    thread::scope(|scope| {
        let started = (0..threads).try_for_each(|_| scope.spawn(sleep).map(drop));
        while started.is_ok() && (ready.load(Relaxed) as usize) < threads {
            system::sleep_ms(1);
        }
        let measured = started
            .or_fail("clone")
            .and_then(|()| fork_and_wait(bench, 0, &Region::touched(0)?));
        go.store(1, Relaxed);
        futex::wake(&go, threads as u32).or_fail("futex")?;
        measured
    })
}

/// `fork` and the first `mmap` after it, of a process with so many areas, while the child
/// lives: a kernel that put off copying the areas does it now.
pub fn with_areas(bench: &mut Bench, areas: usize) -> Verdict {
    // Each page that is made read-only is an area, and so is the one before it.
    let region = Region::fresh(areas)?;
    for page in (1..areas).step_by(2) {
        // SAFETY: it is not written any more.
        unsafe { memory::protect(region.address(page), PAGE, Protection::READ) }
            .or_fail("mprotect")?;
    }
    let series = bench.series()?;
    for _ in 0..bench.times(60) {
        let start = clock::now();
        let child = Sleeper::fork()?;
        let page = Region::fresh(1)?;
        series.push(clock::between(start, clock::now()));
        drop(page);
        child.end()?;
    }
    bench.report(Unit::Time, &series)
}

const MIB: usize = 64;

/// `fork`, the child's writes to a part of the memory, its exit, and the wait for it: the whole
/// price, with what `fork` has put off.
pub fn touched_by_child(bench: &mut Bench) -> Verdict {
    let region = Region::touched(MIB)?;
    for percent in [1, 10, 100] {
        let series = bench.series()?;
        for _ in 0..bench.times(20) {
            let start = clock::now();
            let pid = process::spawn(|| {
                let pages = (0..region.pages()).step_by(100 / percent);
                pages.for_each(|page| region.write(page, 2));
                0
            })
            .or_fail("fork")?;
            process::wait_for(pid).or_fail("wait")?;
            series.push(clock::between(start, clock::now()));
        }
        bench.report(Unit::Time, &series)?;
    }
    Ok(())
}

/// What the parent pays afterwards: writing all its pages once, after a child that did nothing.
pub fn retouched_by_parent(bench: &mut Bench) -> Verdict {
    let region = Region::touched(MIB)?;
    let series = bench.series()?;
    for _ in 0..bench.times(20) {
        let pid = process::spawn(|| 0).or_fail("fork")?;
        process::wait_for(pid).or_fail("wait")?;
        bench.time(&series, || region.touch_all());
    }
    bench.report(Unit::Time, &series)
}
