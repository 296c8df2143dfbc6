//! Many children that live side by side: how soon all of them run, what each of them keeps of
//! the machine's memory, and how soon all are gone.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use user::fail;
use user::sys::file;
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::{process, system};
use user::testing::{Explain, Failure, Verdict, vmstat};

use crate::bench::Bench;
use crate::clock::{self, PARTS};
use crate::output::Unit;
use crate::region::Region;
use crate::series::Series;

/// What the parent has touched.
const MIB: usize = 1024;
const CHILDREN: usize = 1000;
/// What must be free to begin with: the parent's memory, and half as much for tables and for
/// the children. A kernel that copies the tables needs more, and fails with that.
const NEEDED_KIB: u64 = (MIB as u64) * 1024 * 3 / 2;

/// A parent that has touched 1 GiB forks children that stay alive.
pub fn alive(bench: &mut Bench) -> Verdict {
    if free_kib()? < NEEDED_KIB {
        fail!("it needs {} MiB of free memory", NEEDED_KIB / 1024);
    }
    let (started, kept, gone) = (bench.series()?, bench.series()?, bench.series()?);
    let children = bench.times(CHILDREN);
    let region = Region::touched(MIB)?;
    measure(children, &started, &kept, &gone)?;
    drop(region);
    bench.report(Unit::Time, &started)?;
    bench.report(Unit::Kibibytes, &kept)?;
    bench.report(Unit::Time, &gone)
}

fn measure(children: usize, started: &Series, kept: &Series, gone: &Series) -> Verdict {
    let running = shared_counter()?;
    let gate = file::pipe().or_fail("pipe")?;
    vmstat::quiesce();
    let free = free_kib()?;
    let start = clock::now();
    let mut forked = Ok(());
    let mut alive = 0;
    while alive < children && forked.is_ok() {
        let child = process::spawn(|| {
            // The read ends when the last writer is gone, and that is the parent.
            let _ = file::close(gate.write);
            running.fetch_add(1, Relaxed);
            i32::from(file::read(gate.read, &mut [0]).is_err())
        });
        forked = child.map(|_| alive += 1).or_fail("fork");
    }
    while (running.load(Relaxed) as usize) < alive {
        system::sleep_ms(1);
    }
    started.push(clock::between(start, clock::now()));
    let taken = free.saturating_sub(free_kib()?);
    kept.push_number(taken * PARTS / children as u64);

    let start = clock::now();
    file::close(gate.write).or_fail("close")?;
    for _ in 0..alive {
        process::wait().or_fail("wait")?;
    }
    gone.push(clock::between(start, clock::now()));
    file::close(gate.read).or_fail("close")?;
    forked
}

/// A counter that forks share, for the program's life.
fn shared_counter() -> Result<&'static AtomicU32, Failure> {
    let page = memory::map(PAGE, Protection::READ_WRITE, Sharing::Shared).or_fail("mmap")?;
    // SAFETY: fresh zeroed memory, aligned to a page and never unmapped; all access is atomic.
    Ok(unsafe { &*(page as *const AtomicU32) })
}

/// The memory that is free, as the kernel tells it.
pub fn free_kib() -> Result<u64, Failure> {
    let text = user::tool::text(c"/proc/meminfo").or_fail("/proc/meminfo")?;
    let free = text
        .lines()
        .find_map(|line| line.strip_prefix("MemFree:"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok());
    free.ok_or_else(|| Failure::new(format_args!("/proc/meminfo does not say")))
}
