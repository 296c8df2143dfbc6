//! Memory that runs out in the middle of a call, at each allocation in turn (rule M10).
//!
//! `/proc/self/fail-nth` makes the N-th allocation of the next calls fail (Linux:
//! Documentation/fault-injection; cowfork: with the kernel parameter `fail_nth`, and all that follow
//! in the same call, so that trying again does not help). Each call is tried
//! with N = 1, 2, 3, ... until it needs no N-th allocation, over pages and tables that a child
//! shares, while another thread writes. A call that fails has an error and has changed nothing:
//! the pages hold what they held, the same call works the next time, the child sees nothing, and
//! the other thread loses no write. Half-done work that is not undone shows later, or in the
//! kernel's audit. No kernel gets this right by itself: paths that are hardly ever taken are hardly
//! ever right, and Linux has this file for that reason.
//!
//! Cowfork has `/proc/self/fail-fault` besides, for the faults of the program itself: it is killed, and
//! its parent goes on.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use user::sys::file::{self, Fd, O_RDWR};
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::process::{self, Forked, Status};
use user::sys::signal::Signal;
use user::sys::{Errno, raw, system};
use user::testing::{Explain, Failure, Mapping, Verdict};
use user::thread;

use crate::case::Case;
use crate::shapes::Holders;
use crate::trial::{Ended, Need, Stop, Trial};

pub const CASES: &[Case] = &[Case {
    name: "fail-nth",
    summary: "calls fail at each of their allocations in turn: nothing is changed or lost",
    outcomes: &[
        "fork refused",
        "clone of a thread refused",
        "mmap refused",
        "writes by the kernel refused",
        "mprotect refused",
        "munmap refused",
        "mremap refused",
        "MADV_DONTNEED refused",
        "execve refused",
        "faults that killed",
        "calls that worked all the same",
        "not reached",
    ],
    run: fail_nth,
}];

/// Outcomes that come after those of `CALLS`.
const EXECVE_REFUSED: usize = CALLS.len();
const FAULT_KILLED: usize = EXECVE_REFUSED + 1;
const WORKED: usize = FAULT_KILLED + 1;
const NOT_REACHED: usize = WORKED + 1;

/// More allocations than any of the calls makes.
const MOST: usize = 300;
const PAGES: usize = 8;
/// The page that calls work on, and the pattern of all.
const PAGE_OF_CALLS: usize = 3;
const PATTERN: u64 = 77;
/// Far from the area, so that a move needs tables.
const ELSEWHERE: usize = 0x3000_0000_0000;

/// A call under test; it leaves all as it was when it works.
struct Call {
    name: &'static str,
    call: fn(&Mapping) -> Result<(), Errno>,
    undo: fn(&Mapping) -> Verdict,
}

/// In the order of their outcomes.
const CALLS: &[Call] = &[
    Call {
        name: "fork",
        call: forks,
        undo: |_| Ok(()),
    },
    Call {
        name: "clone",
        call: starts_a_thread,
        undo: |_| Ok(()),
    },
    Call {
        name: "mmap",
        call: maps,
        undo: unmaps_again,
    },
    Call {
        name: "a write by the kernel",
        call: kernel_writes,
        undo: refill,
    },
    Call {
        name: "mprotect",
        call: protects,
        undo: unprotects,
    },
    Call {
        name: "munmap",
        call: unmaps,
        undo: maps_again,
    },
    Call {
        name: "mremap",
        call: moves,
        undo: moves_back,
    },
    Call {
        name: "MADV_DONTNEED",
        call: drops,
        undo: refill,
    },
];

/// A bystander's word.
const OWN_WORD: usize = 511;

fn fail_nth(trial: &Trial) -> Ended {
    let control = match file::open(c"/proc/self/fail-nth", O_RDWR, 0) {
        Ok(fd) => fd,
        Err(_) => {
            let reason = Failure::new(format_args!("this kernel has no /proc/self/fail-nth"));
            return Err(Stop::Skipped(reason));
        }
    };
    let area = Mapping::private(PAGES)?;
    area.fill_all(PATTERN);
    let other = Mapping::private(1)?;
    let stop = AtomicU32::new(0);
    let holders = Holders::new()?;
    thread::scope(|scope| {
        scope
            .spawn(|| bystander(trial, &other, &stop))
            .or_skip("threads")?;
        let mut verdict = Ok(());
        while verdict.is_ok() && trial.goes_on() {
            for (refused, call) in CALLS.iter().enumerate() {
                let each = || each_in_turn(trial, control, &holders, &area, call, refused);
                verdict = verdict.and_then(|()| each());
            }
            verdict = verdict.and_then(|()| executes_in_turn(trial));
            if system::on_cowfork() {
                verdict = verdict.and_then(|()| faults_in_turn(trial, &area));
            }
            trial.count(1);
        }
        stop.store(1, Relaxed);
        Ok(verdict?)
    })
}

/// Writes all the time, and looks whether what it wrote is there.
fn bystander(trial: &Trial, area: &Mapping, stop: &AtomicU32) {
    let word = area.atom(0, OWN_WORD);
    let mut value = 0;
    while stop.load(Relaxed) == 0 && !trial.is_stopped() {
        let seen = word.load(Relaxed);
        if seen != value {
            trial.fail(Failure::new(format_args!(
                "another thread wrote {value} and finds {seen}"
            )));
        }
        value += 1;
        word.store(value, Relaxed);
    }
}

/// Fails a call at its first allocation, its second, ..., until it has no such one.
fn each_in_turn(
    trial: &Trial,
    control: Fd,
    holders: &Holders,
    area: &Mapping,
    call: &Call,
    refused: usize,
) -> Verdict {
    let in_call = |failure| Failure::new(format_args!("{}: {failure}", call.name));
    for number in 1..=MOST {
        let holder = holders.hold(trial, || area.check_all(PATTERN))?;
        // What waits to be given back would make up for what fails, and the call would work.
        system::sleep_ms(1);
        set(control, number)?;
        let result = (call.call)(area);
        let left = get(control)?;
        set(control, 0)?;
        match result {
            Ok(()) => {
                trial.saw(if left == 0 { WORKED } else { NOT_REACHED });
                (call.undo)(area)?;
            }
            Err(Errno::ENOMEM | Errno::EAGAIN | Errno::EFAULT) if left == 0 => trial.saw(refused),
            Err(errno) => {
                return Err(Failure::new(format_args!(
                    "{}: {errno:?} with {left} allocations to go of {number}",
                    call.name
                )));
            }
        }
        area.check_all(PATTERN).map_err(in_call)?;
        if result.is_err() {
            (call.call)(area).or_fail(call.name)?;
            (call.undo)(area)?;
            area.check_all(PATTERN).map_err(in_call)?;
        }
        holder.release()?;
        if left != 0 {
            return Ok(());
        }
    }
    Err(Failure::new(format_args!(
        "{} makes more than {MOST} allocations",
        call.name
    )))
}

/// Says which allocation is to fail; none for 0.
fn set(control: Fd, number: usize) -> Verdict {
    let digits = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit as u8);
    file::pwrite(control, &digits, 0).or_fail("write to fail-nth")?;
    Ok(())
}

/// How many allocations are left until the one that fails; none when it has failed.
fn get(control: Fd) -> Result<u64, Failure> {
    let mut text = [0; 16];
    let count = file::pread(control, &mut text, 0).or_fail("read of fail-nth")?;
    let digits = text.iter().take(count).filter(|byte| byte.is_ascii_digit());
    Ok(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn forks(area: &Mapping) -> Result<(), Errno> {
    match process::fork()? {
        Forked::Child => {
            let well = area.check_all(PATTERN).is_ok();
            area.fill(0, 5);
            process::exit_now(i32::from(!well))
        }
        Forked::Parent(pid) => match process::wait_for(pid)? {
            (_, Status::Exited(0)) => Ok(()),
            _ => Err(Errno::ECHILD),
        },
    }
}

fn starts_a_thread(_: &Mapping) -> Result<(), Errno> {
    thread::scope(|scope| scope.spawn(|| ()).map(drop))
}

fn maps(_: &Mapping) -> Result<(), Errno> {
    let rights = Protection::READ_WRITE;
    // SAFETY: nothing of this program is elsewhere.
    unsafe { memory::map_at(ELSEWHERE, PAGE, rights, Sharing::Private) }.map(drop)
}

fn unmaps_again(_: &Mapping) -> Verdict {
    // SAFETY: as above.
    unsafe { memory::unmap(ELSEWHERE, PAGE) }.or_fail("munmap")
}

/// `clock_gettime`, into a page that has to be copied.
fn kernel_writes(area: &Mapping) -> Result<(), Errno> {
    let arguments = [0, area.page(PAGE_OF_CALLS), 0, 0, 0, 0];
    // SAFETY: the area has no references to it.
    unsafe { raw::call(linux_raw_sys::general::__NR_clock_gettime, arguments) }.map(drop)
}

fn refill(area: &Mapping) -> Verdict {
    area.fill(PAGE_OF_CALLS, PATTERN);
    Ok(())
}

fn protects(area: &Mapping) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { memory::protect(area.page(PAGE_OF_CALLS), PAGE, Protection::READ) }
}

fn unprotects(area: &Mapping) -> Verdict {
    area.protect(PAGE_OF_CALLS, 1, Protection::READ_WRITE)
}

fn unmaps(area: &Mapping) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { memory::unmap(area.page(PAGE_OF_CALLS), PAGE) }
}

fn maps_again(area: &Mapping) -> Verdict {
    let (place, rights) = (area.page(PAGE_OF_CALLS), Protection::READ_WRITE);
    // SAFETY: as above.
    unsafe { memory::map_at(place, PAGE, rights, Sharing::Private) }.or_fail("mmap")?;
    refill(area)
}

fn moves(area: &Mapping) -> Result<(), Errno> {
    // SAFETY: as above, and nothing of this program is elsewhere.
    unsafe { memory::move_to(area.page(PAGE_OF_CALLS), PAGE, ELSEWHERE, PAGE) }
}

fn moves_back(area: &Mapping) -> Verdict {
    let place = area.page(PAGE_OF_CALLS);
    // SAFETY: as above.
    unsafe { memory::move_to(ELSEWHERE, PAGE, place, PAGE) }.or_fail("mremap back")
}

fn drops(area: &Mapping) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { memory::advise(area.page(PAGE_OF_CALLS), PAGE, memory::MADV_DONTNEED) }
}

/// How many allocations of an `execve` fail, one after the other. What is beyond its last one is
/// not told apart, as a program that was replaced cannot tell.
const EXECS: usize = 40;
/// The exit status of a child whose `execve` was refused.
const REFUSED: u8 = 50;

/// A child replaces its program, or is still there to say that it could not.
fn executes_in_turn(trial: &Trial) -> Verdict {
    for number in 1..=EXECS {
        let pid = process::spawn(|| {
            let control = file::open(c"/proc/self/fail-nth", O_RDWR, 0);
            match control
                .or_fail("open")
                .and_then(|control| set(control, number))
            {
                Ok(()) if process::execute(c"/bin/true", &[c"true"]) == Errno::ENOMEM => {
                    i32::from(REFUSED)
                }
                _ => 1,
            }
        });
        let (_, status) = process::wait_for(pid.or_fail("fork")?).or_fail("wait")?;
        match status {
            Status::Exited(0) => trial.saw(NOT_REACHED),
            Status::Exited(REFUSED) => trial.saw(EXECVE_REFUSED),
            other => {
                return Err(Failure::new(format_args!(
                    "execve with failing allocation {number}: {other}"
                )));
            }
        }
    }
    Ok(())
}

/// A child writes a page that it shares, and is killed when there is no memory for that.
fn faults_in_turn(trial: &Trial, area: &Mapping) -> Verdict {
    for number in 1..=MOST {
        let pid = process::spawn(|| {
            let done = file::open(c"/proc/self/fail-fault", O_RDWR, 0)
                .or_fail("open")
                .and_then(|control| {
                    set(control, number)?;
                    area.fill(PAGE_OF_CALLS, 5);
                    set(control, 0)
                });
            i32::from(done.is_err())
        });
        let (_, status) = process::wait_for(pid.or_fail("fork")?).or_fail("wait")?;
        area.check_all(PATTERN)?;
        match status {
            Status::Exited(0) => {
                trial.saw(NOT_REACHED);
                return Ok(());
            }
            Status::Killed(Signal::SIGKILL) => trial.saw(FAULT_KILLED),
            other => {
                return Err(Failure::new(format_args!(
                    "a fault with failing allocation {number}: {other}"
                )));
            }
        }
    }
    Err(Failure::new(format_args!(
        "a fault makes more than {MOST} allocations"
    )))
}
