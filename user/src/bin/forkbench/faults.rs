//! Page faults, one by one.

use user::sys::file;
use user::sys::process::{self, Pid};
use user::testing::vmstat;
use user::testing::{Explain, Failure, Verdict};

use crate::bench::Bench;
use crate::output::Unit;
use crate::region::Region;

/// Pages a round: those of one table.
const PAGES: usize = 512;

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

/// First writes to pages whose other holder has ended: each is taken over as it is.
pub fn take_over(bench: &mut Bench) -> Verdict {
    let series = bench.series()?;
    for _ in 0..bench.times(20) {
        let region = Region::fresh(PAGES)?;
        region.touch_all();
        Sleeper::start()?.end()?;
        // The kernel may let go of what the child held in the background.
        vmstat::settle();
        for page in 0..PAGES {
            bench.time(&series, || region.write(page, 2));
        }
    }
    bench.report(Unit::Time, &series)
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

/// A child that does nothing and keeps what it shares.
struct Sleeper {
    pid: Pid,
    gate: file::Pipe,
}

impl Sleeper {
    fn start() -> Result<Self, Failure> {
        let gate = file::pipe().or_fail("pipe")?;
        let pid = process::spawn(|| {
            // The read ends when the last writer is gone, and that is the parent.
            let _ = file::close(gate.write);
            i32::from(file::read(gate.read, &mut [0]).is_err())
        })
        .or_fail("fork")?;
        // The child is asleep before anything is measured.
        user::sys::system::sleep_ms(2);
        Ok(Self { pid, gate })
    }

    fn end(self) -> Verdict {
        file::close(self.gate.write).or_fail("close")?;
        file::close(self.gate.read).or_fail("close")?;
        process::wait_for(self.pid).or_fail("wait")?;
        Ok(())
    }
}
