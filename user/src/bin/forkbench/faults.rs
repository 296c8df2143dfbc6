//! Page faults, one by one.

use core::hint;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use alloc::vec::Vec;
use user::fail;
use user::random::Random;
use user::sys::system;
use user::testing::{Explain, Verdict, vmstat};
use user::thread;

use crate::bench::Bench;
use crate::clock;
use crate::output::Unit;
use crate::region::Region;
use crate::series::Series;
use crate::sleeper::Sleeper;

/// Pages a round: as many as one table maps.
const PAGES: usize = 512;
/// How many tables single pages are spread over.
const TABLES: usize = 32;

/// First writes to pages that a child shares: each copies one.
pub fn copy(bench: &mut Bench) -> Verdict {
    let series = bench.series()?;
    for _ in 0..bench.times(20) {
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

/// Pages of the two orders, so many that their tables do not stay in the CPU's caches.
const MANY: usize = 8 * PAGES;

/// First writes to shared pages one after the other, and in random order.
pub fn copy_in_order(bench: &mut Bench) -> Verdict {
    let (sequential, scattered) = (bench.series()?, bench.series()?);
    let mut order: Vec<usize> = (0..MANY).collect();
    let mut random = Random::new(1);
    for _ in 0..bench.times(5) {
        copy_all(bench, &sequential, 0..MANY)?;
        // Fisher and Yates.
        for end in (1..MANY).rev() {
            order.swap(end, random.below(end as u64 + 1) as usize);
        }
        copy_all(bench, &scattered, order.iter().copied())?;
    }
    bench.report(Unit::Time, &sequential)?;
    bench.report(Unit::Time, &scattered)
}

fn copy_all(bench: &Bench, series: &Series, pages: impl Iterator<Item = usize>) -> Verdict {
    let region = Region::fresh(MANY)?;
    region.touch_all();
    let child = Sleeper::start()?;
    pages.for_each(|page| bench.time(series, || region.write(page, 2)));
    child.end()
}

/// First writes to shared pages while another thread of the process reads all of them.
pub fn copy_beside_reader(bench: &mut Bench) -> Verdict {
    if system::cpus().or_fail("sched_getaffinity")? < 2 {
        fail!("there is one CPU");
    }
    let series = bench.series()?;
    for _ in 0..bench.times(4) {
        let region = Region::fresh(PAGES)?;
        region.touch_all();
        let child = Sleeper::start()?;
        let (reading, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let read = || {
            while !stop.load(Relaxed) {
                (0..PAGES).for_each(|page| {
                    region.read(page);
                });
                reading.store(true, Relaxed);
            }
        };
        thread::scope(|scope| {
            let started = scope.spawn(read).map(drop);
            while started.is_ok() && !reading.load(Relaxed) {
                hint::spin_loop();
            }
            for page in 0..PAGES {
                bench.time(&series, || region.write(page, 2));
            }
            stop.store(true, Relaxed);
            started
        })
        .or_fail("clone")?;
        child.end()?;
    }
    bench.report(Unit::Time, &series)
}

/// First writes to pages whose other holder has ended: each is reused as it is. Once all pages
/// of a table, per page, as a kernel may reuse the table with all of them; and once single
/// pages far from each other, each in a table of its own.
pub fn reuse(bench: &mut Bench) -> Verdict {
    let (dense, single) = (bench.series()?, bench.series()?);
    for _ in 0..bench.times(20) {
        let region = Region::fresh(PAGES)?;
        region.touch_all();
        Sleeper::start()?.end()?;
        // The kernel may let go of what the child held in the background.
        vmstat::quiesce();
        let start = clock::now();
        region.touch_all();
        dense.push_batch(clock::between(start, clock::now()), PAGES as u64);

        let region = Region::fresh(TABLES * PAGES)?;
        let pages = || (0..TABLES * PAGES).step_by(PAGES);
        pages().for_each(|page| region.write(page, 1));
        Sleeper::start()?.end()?;
        vmstat::quiesce();
        for page in pages() {
            bench.time(&single, || region.write(page, 2));
        }
    }
    bench.report(Unit::Time, &dense)?;
    bench.report(Unit::Time, &single)
}

/// First write, and first read, of fresh memory.
pub fn first_touch(bench: &mut Bench) -> Verdict {
    let (writes, reads) = (bench.series()?, bench.series()?);
    for _ in 0..bench.times(20) {
        let region = Region::fresh(PAGES)?;
        for page in 0..PAGES {
            bench.time(&writes, || region.write(page, 1));
        }
        let region = Region::fresh(PAGES)?;
        for page in 0..PAGES {
            bench.time(&reads, || region.read(page));
        }
    }
    bench.report(Unit::Time, &writes)?;
    bench.report(Unit::Time, &reads)
}
