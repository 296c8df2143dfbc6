//! Page faults, one by one.

use user::testing::{Verdict, vmstat};

use crate::bench::Bench;
use crate::clock;
use crate::output::Unit;
use crate::region::Region;
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

/// First writes to pages whose other holder has ended: each is taken over as it is. Once all pages
/// of a table, per page, as a kernel may take the table over with all of them; and once single
/// pages far from each other, each in a table of its own.
pub fn take_over(bench: &mut Bench) -> Verdict {
    let (dense, single) = (bench.series()?, bench.series()?);
    for _ in 0..bench.times(20) {
        let region = Region::fresh(PAGES)?;
        region.touch_all();
        Sleeper::start()?.end()?;
        // The kernel may let go of what the child held in the background.
        vmstat::settle();
        let start = clock::now();
        region.touch_all();
        dense.push_batch(clock::between(start, clock::now()), PAGES as u64);

        let region = Region::fresh(TABLES * PAGES)?;
        let pages = || (0..TABLES * PAGES).step_by(PAGES);
        pages().for_each(|page| region.write(page, 1));
        Sleeper::start()?.end()?;
        vmstat::settle();
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
