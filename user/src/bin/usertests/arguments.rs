//! System calls with arguments that make no sense. Bad addresses are the business of
//! `badaccess`.

use linux_raw_sys::general as numbers;

use user::cases;
use user::ensure;
use user::random::Random;
use user::sys::file::{self, O_RDWR};
use user::sys::process::{self, Pid};
use user::sys::signal::Signal;
use user::sys::{Errno, raw, system};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Mapping, Verdict, in_child};

pub const CASES: &[Case] = cases![
    no_such_call => "arguments-no-such-call",
    wrong_flags => "arguments-wrong-flags",
    wrong_values => "arguments-wrong-values",
    huge_counts => "arguments-huge-counts",
    vectors => "arguments-vectors",
    high_bits => "arguments-high-bits",
    at_random => "arguments-at-random",
];

/// Makes a call that does no harm: it fails, or only changes what the case owns.
fn call(number: usize, arguments: &[usize]) -> Result<usize, Errno> {
    let mut all = [0; 6];
    for (slot, argument) in all.iter_mut().zip(arguments) {
        *slot = *argument;
    }
    // SAFETY: see above.
    unsafe { raw::call(number as u32, all) }
}

fn no_such_call() -> Verdict {
    for number in [1000, 5000, 0x7fff_ffff, 0xffff_ffff] {
        expect_error("a call", call(number, &[1, 2, 3, 4, 5, 6]), Errno::ENOSYS)?;
    }
    Ok(())
}

fn wrong_flags() -> Verdict {
    let pid = process::getpid().0 as usize;
    let room = [0u64; 32];
    let room = room.as_ptr() as usize;
    let fails = |name, number: u32, arguments: &[usize]| {
        expect_error(name, call(number as usize, arguments), Errno::EINVAL)
    };
    fails("wait4", numbers::__NR_wait4, &[usize::MAX, 0, 0x100, 0])?;
    fails("pipe2", numbers::__NR_pipe2, &[room, 0x40])?;
    fails("dup3", numbers::__NR_dup3, &[1, 40, 0x40])?;
    fails("getrandom", numbers::__NR_getrandom, &[room, 8, 0x80])?;
    fails("fcntl", numbers::__NR_fcntl, &[1, 9999, 0])?;
    fails("lseek", numbers::__NR_lseek, &[1, 0, 77]).or_else(|failure| {
        // A terminal or a pipe cannot be sought in at all.
        match call(numbers::__NR_lseek as usize, &[1, 0, 77]) {
            Err(Errno::ESPIPE) => Ok(()),
            _ => Err(failure),
        }
    })?;
    fails(
        "rt_sigprocmask",
        numbers::__NR_rt_sigprocmask,
        &[77, room, 0, 8],
    )?;
    fails(
        "rt_sigprocmask, the size",
        numbers::__NR_rt_sigprocmask,
        &[0, room, 0, 4],
    )?;
    fails(
        "rt_sigaction, the size",
        numbers::__NR_rt_sigaction,
        &[15, 0, room, 4],
    )?;
    fails("arch_prctl", numbers::__NR_arch_prctl, &[0x9999, 0])?;
    fails("set_robust_list", numbers::__NR_set_robust_list, &[0, 5])?;
    fails("prlimit64", numbers::__NR_prlimit64, &[0, 999, 0, room])?;
    fails(
        "sched_getaffinity",
        numbers::__NR_sched_getaffinity,
        &[0, 1, room],
    )?;
    fails("kill", numbers::__NR_kill, &[pid, 65])?;
    fails("tgkill", numbers::__NR_tgkill, &[usize::MAX, 1, 0])?;
    fails(
        "access",
        numbers::__NR_access,
        &[c"/".as_ptr() as usize, 0xff],
    )
}

fn wrong_values() -> Verdict {
    for (seconds, nanoseconds) in [
        (0, -1),
        (0, 1_000_000_000),
        (-1, 0),
        (i64::MIN, 0),
        (0, i64::MAX),
    ] {
        let time = [seconds, nanoseconds];
        let result = call(
            numbers::__NR_nanosleep as usize,
            &[time.as_ptr() as usize, 0],
        );
        expect_error("nanosleep", result, Errno::EINVAL)?;
    }
    let room = [0u64; 2];
    let room = room.as_ptr() as usize;
    for clock in [50, 999, 0x7fff_ffff] {
        let result = call(numbers::__NR_clock_gettime as usize, &[clock, room]);
        expect_error("clock_gettime", result, Errno::EINVAL)?;
    }
    // Whatever they say, these change nothing for the caller.
    let unused = 0x7fff_fff0;
    expect_error(
        "tgkill",
        call(numbers::__NR_tgkill as usize, &[unused, unused, 0]),
        Errno::ESRCH,
    )?;
    expect_error(
        "prlimit64",
        call(numbers::__NR_prlimit64 as usize, &[unused, 3, 0, room]),
        Errno::ESRCH,
    )
}

/// Counts that reach beyond the user's half of the address space, from a good address.
fn huge_counts() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    file::write(pipe.write, b"some").or_fail("write")?;
    let room = [0u64; 8];
    let room = room.as_ptr() as usize;
    let (reader, writer) = (pipe.read.0 as usize, pipe.write.0 as usize);
    for count in [
        usize::MAX,
        usize::MAX - 4095,
        1 << 63,
        0xffff_8000_0000_0000,
    ] {
        for (name, number, fd) in [
            ("read", numbers::__NR_read, reader),
            ("write", numbers::__NR_write, writer),
        ] {
            let result = call(number as usize, &[fd, room, count]);
            expect_error(name, result, Errno::EFAULT)?;
        }
    }
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")
}

fn vectors() -> Verdict {
    let null = file::open(c"/dev/null", O_RDWR, 0).or_fail("open")?;
    let fd = null.0 as usize;
    let vector = [[0usize, 0]; 1030];
    let start = vector.as_ptr() as usize;
    for (name, number) in [
        ("readv", numbers::__NR_readv),
        ("writev", numbers::__NR_writev),
    ] {
        let number = number as usize;
        for count in [1025, 0x7fff_ffff, usize::MAX] {
            expect_error(name, call(number, &[fd, start, count]), Errno::EINVAL)?;
        }
        for count in [0, 1, 1024] {
            let result = call(number, &[fd, start, count]);
            ensure!(
                result == Ok(0),
                "{name} of {count} empty pieces: {result:?}"
            );
        }
        // A length that is negative, and a sum that is.
        let negative = [[start, usize::MAX]];
        let result = call(number, &[fd, negative.as_ptr() as usize, 1]);
        expect_error(name, result, Errno::EINVAL)?;
    }
    file::close(null).or_fail("close")
}

/// Descriptors, signals and flags are 32 bits wide; what is above is not looked at.
fn high_bits() -> Verdict {
    let null = file::open(c"/dev/null", O_RDWR, 0).or_fail("open")?;
    let fd = null.0 as usize | 0xdead_0000_0000;
    let byte = [1u8];
    let result = call(
        numbers::__NR_write as usize,
        &[fd, byte.as_ptr() as usize, 1],
    );
    ensure!(result == Ok(1), "write: {result:?}");
    let result = call(numbers::__NR_close as usize, &[fd]);
    ensure!(result == Ok(0), "close: {result:?}");
    let number = numbers::__NR_getpid as usize;
    let result = call(number, &[usize::MAX; 6]);
    ensure!(
        result == Ok(process::getpid().0 as usize),
        "getpid: {result:?}"
    );
    Ok(())
}

/// Calls that can only hurt the caller, with arguments that mean anything or nothing. The child
/// ends well or by a signal, and its parent goes on.
fn at_random() -> Verdict {
    const CALLS: [u32; 35] = [
        numbers::__NR_read,
        numbers::__NR_close,
        numbers::__NR_fstat,
        numbers::__NR_lseek,
        numbers::__NR_mmap,
        numbers::__NR_mprotect,
        numbers::__NR_munmap,
        numbers::__NR_brk,
        numbers::__NR_rt_sigaction,
        numbers::__NR_rt_sigprocmask,
        numbers::__NR_pread64,
        numbers::__NR_readv,
        numbers::__NR_pipe,
        numbers::__NR_pipe2,
        numbers::__NR_dup,
        numbers::__NR_dup2,
        numbers::__NR_dup3,
        numbers::__NR_getpid,
        numbers::__NR_getdents64,
        numbers::__NR_getcwd,
        numbers::__NR_getuid,
        numbers::__NR_getppid,
        numbers::__NR_arch_prctl,
        numbers::__NR_gettid,
        numbers::__NR_set_tid_address,
        numbers::__NR_clock_gettime,
        numbers::__NR_set_robust_list,
        numbers::__NR_getrandom,
        numbers::__NR_sched_yield,
        numbers::__NR_sched_getaffinity,
        numbers::__NR_uname,
        numbers::__NR_access,
        numbers::__NR_execve,
        numbers::__NR_newfstatat,
        numbers::__NR_wait4,
    ];
    for seed in 0..40 {
        let pid = process::spawn(|| {
            let Ok(area) = Mapping::private(4) else {
                return 0;
            };
            // Nothing that is read waits for a person.
            for fd in 0..3 {
                let _ = file::close(file::Fd(fd));
            }
            let mut random = Random::new(seed);
            for _ in 0..200 {
                let number = CALLS[random.below(CALLS.len() as u64) as usize];
                let mut arguments = [0; 6];
                for argument in &mut arguments {
                    *argument = match random.below(8) {
                        0 => 0,
                        1 => random.below(10) as usize,
                        2 => usize::MAX - random.below(10) as usize,
                        3 => area.page(random.below(4) as usize) + random.below(4096) as usize,
                        4 => random.below(1 << 20) as usize,
                        5 => random.draw() as usize,
                        6 => random.below(1 << 47) as usize & !0xfff,
                        _ => 1 << random.below(64),
                    };
                }
                // SAFETY: whatever it does to this process, it is there for nothing else.
                let _ = unsafe { raw::call(number, arguments) };
            }
            0
        })
        .or_fail("fork")?;
        finish(pid)?;
    }
    in_child(|| Ok(()))
}

/// Waits for a child that may have come to read from a pipe of its own, and ends it then.
fn finish(pid: Pid) -> Verdict {
    for _ in 0..50 {
        if process::try_wait(pid).or_fail("wait")?.is_some() {
            return Ok(());
        }
        system::sleep_ms(2);
    }
    process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
    process::wait_for(pid).or_fail("wait").map(drop)
}
