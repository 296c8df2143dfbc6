//! A database that saves itself: it forks, the child reads all of the memory as it was, and the
//! parent goes on writing. What counts is how long a write can be held up.

use user::random::Random;
use user::sys::process::{self, Forked};
use user::sys::signal::Signal;
use user::testing::{Explain, Verdict};

use crate::bench::Bench;
use crate::output::Unit;
use crate::region::Region;

const MIB: usize = 64;
/// Writes in one round: about every second one meets a page for the first time.
const WRITES: usize = 16 * 1024;

/// The latency of random writes while a forked child reads everything.
pub fn writes(bench: &mut Bench) -> Verdict {
    let region = Region::touched(MIB)?;
    let series = bench.series()?;
    let mut random = Random::new(1);
    // Two rounds fill the series.
    for _ in 0..bench.times(2) {
        let pid = match process::fork().or_fail("fork")? {
            // Again and again: the child must not be done before the parent.
            Forked::Child => loop {
                (0..region.pages()).for_each(|page| {
                    region.read(page);
                });
            },
            Forked::Parent(pid) => pid,
        };
        for _ in 0..WRITES {
            let page = random.below(region.pages() as u64) as usize;
            bench.time(&series, || region.write(page, 2));
        }
        process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        process::wait_for(pid).or_fail("wait")?;
    }
    bench.report(Unit::Time, &series)
}
