//! Threads: making them, waking them, and what calls on the memory cost when others use it.

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use user::fail;
use user::sys::memory::{self, PAGE, Protection};
use user::sys::{Errno, Result as SysResult, futex, system};
use user::testing::{Explain, Verdict};
use user::thread;

use crate::bench::Bench;
use crate::clock;
use crate::output::Unit;
use crate::region::Region;
use crate::series::Series;
use crate::sleeper::Sleeper;

/// A thread that ends at once, with the mapping of its stack, until it was joined.
pub fn create_and_join(bench: &mut Bench) -> Verdict {
    let series = bench.series()?;
    for _ in 0..bench.times(400) {
        bench
            .time(&series, || {
                thread::scope(|scope| scope.spawn(|| ()).map(|thread| thread.join()))
            })
            .or_fail("clone")?;
    }
    bench.report(Unit::Time, &series)
}

/// Two threads that wake each other by turns.
pub fn wake_ups(bench: &mut Bench) -> Verdict {
    const END: u32 = u32::MAX;
    let rounds = bench.times(2000) as u32;
    let (there, back) = (AtomicU32::new(0), AtomicU32::new(0));
    let series = bench.series()?;
    let measured = thread::scope(|scope| -> SysResult<()> {
        let other = scope.spawn(|| {
            for round in 0.. {
                wait_while(&there, round)?;
                if there.load(Relaxed) == END {
                    break;
                }
                back.store(round + 1, Relaxed);
                futex::wake(&back, 1)?;
            }
            SysResult::Ok(())
        })?;
        let result = (0..rounds).try_for_each(|round| {
            let start = clock::now();
            there.store(round + 1, Relaxed);
            futex::wake(&there, 1)?;
            wait_while(&back, round)?;
            series.push(clock::between(start, clock::now()));
            Ok(())
        });
        there.store(END, Relaxed);
        // If there are no futexes the other one has ended already.
        let _ = futex::wake(&there, 1);
        other.join().unwrap_or(Ok(())).and(result)
    });
    measured.or_fail("clone and futex")?;
    bench.report(Unit::Time, &series)
}

/// Sleeps until the word is no longer `value`.
fn wait_while(word: &AtomicU32, value: u32) -> SysResult<()> {
    while word.load(Relaxed) == value {
        match futex::wait(word, value) {
            Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// `munmap` of a page, `mprotect` of one, and COW faults, while so many other threads of the
/// process are in user mode.
pub fn beside(bench: &mut Bench, others: usize) -> Verdict {
    if system::cpus().or_fail("sched_getaffinity")? <= others {
        fail!("there are too few CPUs");
    }
    let (running, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let spin = || {
        running.fetch_add(1, Relaxed);
        while !stop.load(Relaxed) {
            hint::spin_loop();
        }
    };
    thread::scope(|scope| {
        let started = (0..others).try_for_each(|_| scope.spawn(spin).map(drop));
        while started.is_ok() && (running.load(Relaxed) as usize) < others {
            hint::spin_loop();
        }
        let measured = started
            .or_fail("clone")
            .and_then(|()| measure_beside(bench));
        stop.store(true, Relaxed);
        measured
    })
}

fn measure_beside(bench: &mut Bench) -> Verdict {
    let series = bench.series()?;
    for _ in 0..bench.times(100) {
        unmap(&series)?;
    }
    bench.report(Unit::Time, &series)?;

    let series = bench.series()?;
    let region = Region::fresh(1)?;
    for _ in 0..bench.times(100) {
        flip(&region, &series)?;
    }
    bench.report(Unit::Time, &series)?;

    /// Linux waits for the other threads at each of them.
    const PAGES: usize = 50;
    let series = bench.series()?;
    for _ in 0..bench.times(4) {
        let region = Region::fresh(PAGES)?;
        region.touch_all();
        let child = Sleeper::start()?;
        for page in 0..PAGES {
            bench.time(&series, || region.write(page, 2));
        }
        child.end()?;
    }
    bench.report(Unit::Time, &series)
}

/// Unmaps a page that was written.
fn unmap(series: &Series) -> Verdict {
    let region = Region::fresh(2)?;
    region.touch_all();
    let start = clock::now();
    // SAFETY: the region's memory has no references to it, and this page is not used again.
    let result = unsafe { memory::unmap(region.address(0), PAGE) };
    series.push(clock::between(start, clock::now()));
    result.or_fail("munmap")
}

/// Makes a page that was written read-only, and writable again: the mean of the two calls.
fn flip(region: &Region, series: &Series) -> Verdict {
    region.write(0, 1);
    let start = clock::now();
    for rights in [Protection::READ, Protection::READ_WRITE] {
        // SAFETY: nothing is written to it meanwhile.
        unsafe { memory::protect(region.address(0), PAGE, rights) }.or_fail("mprotect")?;
    }
    series.push_batch(clock::between(start, clock::now()), 2);
    Ok(())
}
