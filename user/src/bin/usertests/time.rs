//! Clocks and sleep.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::process::Pid;
use user::sys::system::{self, CLOCK_REALTIME};
use user::testing::child;
use user::testing::failure::expect_error;
use user::testing::{Case, Channel, Explain, Verdict};

pub const CASES: &[Case] = cases![
    forward => "time-forward",
    forward_together => "time-forward-together",
    realtime => "time-realtime",
    sleep => "time-sleep",
    sleep_together => "time-sleep-together",
    sleep_nothing => "time-sleep-nothing",
    no_clock => "time-no-clock",
    random => "random-bytes",
    names => "names",
    cpus => "cpus",
];

const MS: u64 = 1_000_000;

fn forward() -> Verdict {
    let mut last = system::now();
    ensure!(last > 0, "there is no monotonic clock");
    for _ in 0..20_000 {
        let now = system::now();
        ensure!(now >= last, "the clock went from {last} to {now}");
        last = now;
    }
    Ok(())
}

/// What one process has seen, no other sees an earlier time after, on whichever CPU.
fn forward_together() -> Verdict {
    const COUNT: usize = 4;
    const LAPS: usize = 200;
    let mut storage = [const { None }; COUNT];
    for slot in &mut storage {
        *slot = Some(Channel::new()?);
    }
    let link = |number: usize| storage.get(number % COUNT).and_then(Option::as_ref);
    let mut pids = [Pid(0); COUNT];
    for (number, pid) in pids.iter_mut().enumerate() {
        *pid = child::start(|| {
            let (Some(input), Some(output)) = (link(number), link(number + 1)) else {
                return Ok(());
            };
            for _ in 0..LAPS {
                let before = input.receive()?;
                let now = system::now();
                ensure!(now >= before, "another saw {before}, and now it is {now}");
                output.send(now)?;
            }
            Ok(())
        })?;
    }
    if let Some(first) = link(0) {
        first.send(0)?;
        pids.into_iter().try_for_each(child::finish)?;
        first.receive()?;
    }
    Ok(())
}

fn realtime() -> Verdict {
    let (real, monotonic) = (
        system::clock(CLOCK_REALTIME).or_fail("clock")?,
        system::now(),
    );
    system::sleep_ms(30);
    let real = system::clock(CLOCK_REALTIME)
        .or_fail("clock")?
        .saturating_sub(real);
    let monotonic = system::now() - monotonic;
    // They run at the same pace, unless the time of day is set just now.
    ensure!(
        real >= 25 * MS && real <= monotonic + 5_000 * MS,
        "{real} and {monotonic} ns went by"
    );
    Ok(())
}

fn sleep() -> Verdict {
    for ms in [1, 5, 20] {
        let start = system::now();
        system::sleep(ms * MS).or_fail("nanosleep")?;
        let took = system::now() - start;
        ensure!(took >= ms * MS, "a sleep of {ms} ms took {took} ns");
    }
    Ok(())
}

/// Many sleepers wake each at its time: together they take as long as the longest.
fn sleep_together() -> Verdict {
    const COUNT: usize = 30;
    let start = system::now();
    let mut pids = [Pid(0); COUNT];
    for (number, pid) in (0..).zip(&mut pids) {
        *pid = child::start(|| {
            let ms = 50 + 7 * (number * 13 % COUNT as u64);
            let start = system::now();
            system::sleep(ms * MS).or_fail("nanosleep")?;
            let took = system::now() - start;
            ensure!(took >= ms * MS, "a sleep of {ms} ms took {took} ns");
            Ok(())
        })?;
    }
    pids.into_iter().try_for_each(child::finish)?;
    let took = system::now() - start;
    // One after the other they would take more than four seconds.
    ensure!(took < 4_000 * MS, "together they took {took} ns");
    Ok(())
}

fn sleep_nothing() -> Verdict {
    (0..100).try_for_each(|_| system::sleep(0).or_fail("nanosleep"))
}

fn no_clock() -> Verdict {
    expect_error("clock 999", system::clock(999), Errno::EINVAL)
}

fn random() -> Verdict {
    let (mut one, mut other) = ([0; 64], [0; 64]);
    for bytes in [&mut one, &mut other] {
        let count = system::random(bytes).or_fail("getrandom")?;
        ensure!(count == 64, "{count} random bytes");
    }
    ensure!(one != other && one != [0; 64], "they are not random");
    Ok(())
}

fn names() -> Verdict {
    let names = system::uname().or_fail("uname")?;
    ensure!(
        names.system() == b"Linux",
        "the system is {}",
        names.system().escape_ascii()
    );
    ensure!(
        names.machine() == b"x86_64",
        "the machine is {}",
        names.machine().escape_ascii()
    );
    ensure!(
        !names.release().is_empty() && !names.version().is_empty(),
        "no release or version"
    );
    Ok(())
}

fn cpus() -> Verdict {
    let count = system::cpus().or_fail("sched_getaffinity")?;
    ensure!((1..=1024).contains(&count), "{count} CPUs");
    Ok(())
}
