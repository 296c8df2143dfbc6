//! When there is no more of something: an error, and all is well again afterwards (rule M10).

use user::cases;
use user::ensure;
use user::sys::file::{self, Fd, O_NONBLOCK, O_RDONLY, Pipe};
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::sys::{Errno, system};
use user::testing::child::{self, expect_status};
use user::testing::failure::expect_error;
use user::testing::vmstat::{counter, quiesce};
use user::testing::{Case, Explain, Failure, Mapping, Verdict, in_child};

pub const CASES: &[Case] = cases![
    descriptors => "exhaustion-descriptors",
    pipes => "exhaustion-pipes",
    address_space => "exhaustion-address-space",
    many_children => "exhaustion-many-children",
    zombies => "exhaustion-zombies",
    sharers => "exhaustion-sharers",
    memory_for_one => "exhaustion-memory",
    memory_for_children => "exhaustion-memory-of-children",
    nothing_is_kept => "exhaustion-nothing-is-kept",
];

/// Opens until there are no more descriptors, in a child that then ends with all of them.
fn descriptors() -> Verdict {
    for _ in 0..3 {
        in_child(|| {
            let mut count = 0;
            loop {
                match file::open(c"/dev/null", O_RDONLY, 0) {
                    Ok(_) => count += 1,
                    Err(Errno::EMFILE) => break,
                    Err(errno) => return Err(errno).or_fail("open"),
                }
                ensure!(count < 2_000_000, "there is no limit");
            }
            ensure!(count >= 16, "only {count} descriptors");
            expect_error("pipe", file::pipe().map(drop), Errno::EMFILE)?;
            in_child(|| expect_error("dup", file::dup(Fd(1)), Errno::EMFILE))
        })?;
    }
    Ok(())
}

/// Many pipes, each full.
fn pipes() -> Verdict {
    const COUNT: usize = 20;
    in_child(|| {
        let mut all: [Option<Pipe>; COUNT] = [None; COUNT];
        let block = [9; 4096];
        for slot in &mut all {
            let pipe = file::pipe2(O_NONBLOCK).or_fail("pipe2")?;
            *slot = Some(pipe);
            loop {
                match file::write(pipe.write, &block) {
                    Ok(_) => {}
                    Err(Errno::EAGAIN | Errno::ENOMEM) => break,
                    Err(errno) => return Err(errno).or_fail("write"),
                }
            }
        }
        let mut buffer = [0; 4096];
        for pipe in all.iter().flatten() {
            let count = file::read(pipe.read, &mut buffer).or_fail("read")?;
            ensure!(
                count > 0 && buffer.iter().take(count).all(|byte| *byte == 9),
                "wrong bytes"
            );
        }
        Ok(())
    })
}

fn address_space() -> Verdict {
    in_child(|| {
        const STEP: usize = 1 << 40;
        let mut places = [0; 200];
        let mut count = 0;
        let refusal = loop {
            match memory::map(STEP, Protection::NONE, Sharing::Private) {
                Ok(place) => {
                    let Some(slot) = places.get_mut(count) else {
                        break None;
                    };
                    *slot = place;
                    count += 1;
                }
                Err(errno) => break Some(errno),
            }
        };
        ensure!(
            refusal == Some(Errno::ENOMEM),
            "after {count} TiB: {refusal:?}"
        );
        ensure!(count < 128, "{count} TiB in a space of 128");
        for place in places.iter().take(count) {
            // SAFETY: it is not in use.
            unsafe { memory::unmap(*place, STEP) }.or_fail("munmap")?;
        }
        let area = Mapping::private(10)?;
        area.fill_all(1);
        area.check_all(1)
    })
}

/// Some hundred children at the same time, each with memory of its own.
fn many_children() -> Verdict {
    const COUNT: usize = 200;
    for _ in 0..2 {
        let gate = file::pipe().or_fail("pipe")?;
        let area = Mapping::private(4)?;
        area.fill_all(1);
        let mut pids = [Pid(0); COUNT];
        let mut made = 0;
        for (number, pid) in pids.iter_mut().enumerate() {
            match process::spawn(|| {
                area.fill(1, 100 + number as u64);
                let closed = file::close(gate.write).is_ok();
                let ended = file::read(gate.read, &mut [0]) == Ok(0);
                let mine = area.check(1, 100 + number as u64).is_ok() && area.check(2, 1).is_ok();
                i32::from(!(closed && ended && mine))
            }) {
                Ok(child) => *pid = child,
                Err(Errno::EAGAIN | Errno::ENOMEM) => break,
                Err(errno) => return Err(errno).or_fail("fork"),
            }
            made += 1;
        }
        file::close(gate.write).or_fail("close")?;
        file::close(gate.read).or_fail("close")?;
        ensure!(made >= 50, "only {made} children");
        pids.iter()
            .take(made)
            .try_for_each(|pid| child::finish(*pid))?;
        area.check_all(1)?;
    }
    Ok(())
}

fn zombies() -> Verdict {
    const COUNT: usize = 500;
    let mut made = 0;
    for _ in 0..COUNT {
        match process::spawn(|| 0) {
            Ok(_) => made += 1,
            Err(Errno::EAGAIN | Errno::ENOMEM) => break,
            Err(errno) => return Err(errno).or_fail("fork"),
        }
    }
    ensure!(made >= 100, "only {made} children");
    for _ in 0..made {
        let (_, status) = process::wait().or_fail("wait")?;
        ensure!(status == Status::Exited(0), "a child ended with {status}");
    }
    expect_error("wait", process::wait(), Errno::ECHILD)
}

/// One page in as many hands as there may be processes in a chain: each forks the next and lives
/// on (rule M1: a count of holders does not wrap).
fn sharers() -> Verdict {
    fn next(area: &Mapping, left: u32) -> i32 {
        if area.check(0, 1).is_err() {
            return 1;
        }
        if left == 0 {
            return 0;
        }
        match process::spawn(|| next(area, left - 1)) {
            Ok(pid) => match process::wait_for(pid) {
                Ok((_, Status::Exited(code))) => i32::from(code),
                _ => 2,
            },
            Err(Errno::EAGAIN | Errno::ENOMEM) => 0,
            Err(_) => 3,
        }
    }
    let area = Mapping::private(1)?;
    area.fill_all(1);
    child::expect_exit(0, || next(&area, 300))
}

/// Memory that can be used up: what a small machine has, and only where no other program suffers.
/// In MiB.
const SMALL_MACHINE: u64 = 300;

/// Whether this is a machine on which memory may be used up.
fn may_use_up_memory() -> bool {
    let free = counter("nr_free_pages").unwrap_or(u64::MAX);
    system::on_cowfork() && free < (SMALL_MACHINE << 20) / PAGE as u64
}

/// Touches memory until an error; or else the kernel ends the process.
fn use_up() -> i32 {
    loop {
        match Mapping::private(64) {
            Ok(area) => {
                (0..64).for_each(|page| area.set(page, 0, 1));
                core::mem::forget(area);
            }
            Err(_) => return 5,
        }
    }
}

fn expect_starved(pid: Pid) -> Verdict {
    let (_, status) = process::wait_for(pid).or_fail("wait")?;
    let known = [
        Status::Exited(5),
        Status::Killed(Signal::SIGKILL),
        Status::Killed(Signal::SIGSEGV),
        Status::Killed(Signal::SIGBUS),
    ];
    match known.contains(&status) {
        true => Ok(()),
        false => Err(Failure::new(format_args!(
            "the process that used it up ended with {status}"
        ))),
    }
}

fn memory_for_one() -> Verdict {
    if !may_use_up_memory() {
        return Ok(());
    }
    for _ in 0..2 {
        expect_starved(process::spawn(use_up).or_fail("fork")?)?;
        quiesce();
        let area = Mapping::private(256)?;
        area.fill_all(1);
        area.check_all(1)?;
    }
    Ok(())
}

/// Copies are memory too: children that write all that they share, until there is no more.
fn memory_for_children() -> Verdict {
    if !may_use_up_memory() {
        return Ok(());
    }
    let pages = counter("nr_free_pages").unwrap_or(0) as usize / 4;
    let area = Mapping::private(pages)?;
    (0..pages).for_each(|page| area.set(page, 0, 1));
    let mut pids = [Pid(0); 6];
    let mut made = 0;
    for pid in &mut pids {
        match process::spawn(|| {
            (0..pages).for_each(|page| area.set(page, 1, 2));
            system::sleep_ms(200);
            5
        }) {
            Ok(child) => *pid = child,
            Err(Errno::ENOMEM | Errno::EAGAIN) => break,
            Err(errno) => return Err(errno).or_fail("fork"),
        }
        made += 1;
    }
    pids.iter()
        .take(made)
        .try_for_each(|pid| expect_starved(*pid))?;
    quiesce();
    for page in 0..pages {
        ensure!(
            area.get(page, 0) == 1 && area.get(page, 1) == 0,
            "page {page} is wrong"
        );
    }
    Ok(())
}

/// After much coming and going there are as many free pages as before (rule M11), where no other program
/// else takes any meanwhile.
fn nothing_is_kept() -> Verdict {
    if !system::on_cowfork() {
        return Ok(());
    }
    let work = || {
        for round in 0..20 {
            let area = Mapping::private(50)?;
            area.fill_all(round);
            let mut pids = [Pid(0); 4];
            for pid in &mut pids {
                *pid = child::start(|| {
                    area.fill_all(99);
                    Ok(())
                })?;
            }
            pids.into_iter()
                .try_for_each(|pid| expect_status(pid, Status::Exited(0)))?;
        }
        quiesce();
        Ok(())
    };
    // The first round fills caches that may grow once.
    work()?;
    let before = counter("nr_free_pages").unwrap_or(0);
    for _ in 0..5 {
        work()?;
    }
    let after = counter("nr_free_pages").unwrap_or(0);
    ensure!(
        after + 16 >= before,
        "{before} free pages have become {after}"
    );
    Ok(())
}
