//! System calls are given the addresses.

use core::mem::size_of;

use linux_raw_sys::general as numbers;

use user::sys::file::{self, O_CLOEXEC, O_DIRECTORY, O_RDONLY};
use user::sys::process::{self, Forked, Pid, Status};
use user::sys::{Errno, raw};
use user::testing::{Case, Explain, Failure, Verdict};
use user::{cases, ensure, fail};

use crate::places::{NOWHERE, Rights};

pub const CASES: &[Case] = cases![
    buffers_to_fill => "buffers-to-fill",
    buffers_to_read => "buffers-to-read",
    paths => "paths",
    structures_to_fill => "structures-to-fill",
    structures_to_read => "structures-to-read",
    read_only_to_fill => "read-only-to-fill",
    vectors => "vectors",
    lists_of_strings => "lists-of-strings",
    string_over_the_edge => "string-over-the-edge",
    read_over_the_edge => "read-over-the-edge",
    write_over_the_edge => "write-over-the-edge",
    status_of_a_child => "status-of-a-child",
    nothing_is_lost => "nothing-is-lost",
];

/// Makes a call that names a bad address.
fn bad_call(number: u32, arguments: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: only addresses where Rust has nothing are given to be written to.
    unsafe { raw::call(number, arguments) }
}

/// The call must fail with `EFAULT` for each bad address, put where the zero argument `at` is.
fn faults(name: &str, number: u32, at: usize, mut arguments: [usize; 6]) -> Verdict {
    for (place, address) in NOWHERE {
        arguments[at] = *address;
        match bad_call(number, arguments) {
            Err(Errno::EFAULT) => {}
            // Null means "none" to some calls, and those are tried with the rest.
            _ if *address == 0 => {}
            other => fail!("{name}, {place}: {other:?}"),
        }
    }
    Ok(())
}

/// Runs a check with a pipe that holds a few bytes.
fn with_pipe(check: impl FnOnce(usize, usize) -> Verdict) -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    file::write(pipe.write, b"some bytes").or_fail("write")?;
    let verdict = check(pipe.read.0 as usize, pipe.write.0 as usize);
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    verdict
}

fn buffers_to_fill() -> Verdict {
    with_pipe(|reader, _| faults("read", numbers::__NR_read, 1, [reader, 0, 10, 0, 0, 0]))?;
    faults("getrandom", numbers::__NR_getrandom, 0, [0, 64, 0, 0, 0, 0])?;
    faults("getcwd", numbers::__NR_getcwd, 0, [0, 4096, 0, 0, 0, 0])?;
    let root = file::open(c"/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0).or_fail("open /")?;
    let verdict = faults(
        "getdents64",
        numbers::__NR_getdents64,
        1,
        [root.0 as usize, 0, 4096, 0, 0, 0],
    );
    file::close(root).or_fail("close")?;
    verdict?;
    let zero = file::open(c"/dev/zero", O_RDONLY | O_CLOEXEC, 0).or_fail("open /dev/zero")?;
    let verdict = faults(
        "read of /dev/zero",
        numbers::__NR_read,
        1,
        [zero.0 as usize, 0, 64, 0, 0, 0],
    );
    file::close(zero).or_fail("close")?;
    verdict
}

fn buffers_to_read() -> Verdict {
    with_pipe(|_, writer| faults("write", numbers::__NR_write, 1, [writer, 0, 10, 0, 0, 0]))
}

fn paths() -> Verdict {
    let here = numbers::AT_FDCWD as isize as usize;
    faults("open", numbers::__NR_open, 0, [0, 0, 0, 0, 0, 0])?;
    faults("openat", numbers::__NR_openat, 1, [here, 0, 0, 0, 0, 0])?;
    faults("stat", numbers::__NR_stat, 0, [0, Stat::room(), 0, 0, 0, 0])?;
    faults("access", numbers::__NR_access, 0, [0, 0, 0, 0, 0, 0])?;
    faults("chdir", numbers::__NR_chdir, 0, [0, 0, 0, 0, 0, 0])?;
    faults("mkdir", numbers::__NR_mkdir, 0, [0, 0o755, 0, 0, 0, 0])?;
    faults("rmdir", numbers::__NR_rmdir, 0, [0, 0, 0, 0, 0, 0])?;
    faults("unlink", numbers::__NR_unlink, 0, [0, 0, 0, 0, 0, 0])?;
    faults(
        "rename from",
        numbers::__NR_rename,
        0,
        [0, c"/tmp/x".as_ptr() as usize, 0, 0, 0, 0],
    )?;
    faults("execve", numbers::__NR_execve, 0, [0, 0, 0, 0, 0, 0])
}

/// Room for what a call never comes to write, because another argument is bad.
struct Stat;

impl Stat {
    fn room() -> usize {
        static ROOM: [core::sync::atomic::AtomicU64; 32] =
            [const { core::sync::atomic::AtomicU64::new(0) }; 32];
        ROOM.as_ptr() as usize
    }
}

fn structures_to_fill() -> Verdict {
    faults("pipe", numbers::__NR_pipe, 0, [0; 6])?;
    faults("pipe2", numbers::__NR_pipe2, 0, [0; 6])?;
    faults("fstat", numbers::__NR_fstat, 1, [1, 0, 0, 0, 0, 0])?;
    faults(
        "stat",
        numbers::__NR_stat,
        1,
        [c"/".as_ptr() as usize, 0, 0, 0, 0, 0],
    )?;
    faults("uname", numbers::__NR_uname, 0, [0; 6])?;
    faults(
        "clock_gettime",
        numbers::__NR_clock_gettime,
        1,
        [1, 0, 0, 0, 0, 0],
    )?;
    faults("prlimit64", numbers::__NR_prlimit64, 3, [0, 3, 0, 0, 0, 0])?;
    faults(
        "sched_getaffinity",
        numbers::__NR_sched_getaffinity,
        2,
        [0, 128, 0, 0, 0, 0],
    )?;
    faults(
        "rt_sigprocmask",
        numbers::__NR_rt_sigprocmask,
        2,
        [0, 0, 0, 8, 0, 0],
    )?;
    faults(
        "rt_sigaction",
        numbers::__NR_rt_sigaction,
        2,
        [15, 0, 0, 8, 0, 0],
    )
}

fn structures_to_read() -> Verdict {
    faults("nanosleep", numbers::__NR_nanosleep, 0, [0; 6])?;
    faults(
        "rt_sigaction",
        numbers::__NR_rt_sigaction,
        1,
        [15, 0, 0, 8, 0, 0],
    )?;
    faults(
        "rt_sigprocmask",
        numbers::__NR_rt_sigprocmask,
        1,
        [0, 0, 0, 8, 0, 0],
    )?;
    faults("prlimit64", numbers::__NR_prlimit64, 2, [0, 3, 0, 0, 0, 0])
}

/// Pages that can be read are no place for a result: also not one of a kernel that ignores
/// write protection, or that looks for the page before it looks at the rights.
fn read_only_to_fill() -> Verdict {
    let rights = Rights::new()?;
    let code = read_only_to_fill as *const () as usize;
    for (name, address) in [
        ("read-only", rights.read_only()),
        ("no access", rights.no_access()),
        ("unmapped", rights.unmapped()),
        ("code", code),
    ] {
        let tries = [
            (
                "uname",
                bad_call(numbers::__NR_uname, [address, 0, 0, 0, 0, 0]),
            ),
            (
                "pipe",
                bad_call(numbers::__NR_pipe, [address, 0, 0, 0, 0, 0]),
            ),
            (
                "getrandom",
                bad_call(numbers::__NR_getrandom, [address, 8, 0, 0, 0, 0]),
            ),
            (
                "clock_gettime",
                bad_call(numbers::__NR_clock_gettime, [1, address, 0, 0, 0, 0]),
            ),
            (
                "fstat",
                bad_call(numbers::__NR_fstat, [1, address, 0, 0, 0, 0]),
            ),
        ];
        for (call, result) in tries {
            ensure!(result == Err(Errno::EFAULT), "{call}, {name}: {result:?}");
        }
    }
    with_pipe(|reader, _| {
        let result = bad_call(numbers::__NR_read, [reader, rights.read_only(), 4, 0, 0, 0]);
        ensure!(result == Err(Errno::EFAULT), "read, read-only: {result:?}");
        Ok(())
    })?;
    rights.check()
}

fn vectors() -> Verdict {
    with_pipe(|reader, writer| {
        faults(
            "writev, the vector",
            numbers::__NR_writev,
            1,
            [writer, 0, 2, 0, 0, 0],
        )?;
        faults(
            "readv, the vector",
            numbers::__NR_readv,
            1,
            [reader, 0, 2, 0, 0, 0],
        )?;
        for (place, address) in NOWHERE {
            let vector = [[*address, 8], [*address, 8]];
            for (call, number, fd) in [
                ("writev", numbers::__NR_writev, writer),
                ("readv", numbers::__NR_readv, reader),
            ] {
                let result = bad_call(number, [fd, vector.as_ptr() as usize, 2, 0, 0, 0]);
                ensure!(result == Err(Errno::EFAULT), "{call}, {place}: {result:?}");
            }
        }
        Ok(())
    })
}

/// The lists of `execve` and the strings in them. Null is an empty list to Linux.
fn lists_of_strings() -> Verdict {
    let path = c"/bin/true".as_ptr() as usize;
    for (place, address) in NOWHERE.iter().filter(|(_, address)| *address != 0) {
        let list = [*address, 0];
        let list = list.as_ptr() as usize;
        for (what, arguments, environment) in [
            ("the arguments", *address, 0),
            ("the environment", 0, *address),
            ("an argument", list, 0),
            ("a string of the environment", 0, list),
        ] {
            let result = bad_call(
                numbers::__NR_execve,
                [path, arguments, environment, 0, 0, 0],
            );
            ensure!(
                result == Err(Errno::EFAULT),
                "execve, {what}, {place}: {result:?}"
            );
        }
    }
    Ok(())
}

/// A path without an end, up to a page that is not there; and one that just fits.
fn string_over_the_edge() -> Verdict {
    let rights = Rights::new()?;
    let edge = rights.no_access();
    let result = bad_call(numbers::__NR_open, [edge - 4, 0, 0, 0, 0, 0]);
    ensure!(
        result == Err(Errno::EFAULT),
        "a path without an end: {result:?}"
    );
    let edge = rights.unmapped();
    let result = bad_call(numbers::__NR_chdir, [edge - 1, 0, 0, 0, 0, 0]);
    ensure!(
        result == Err(Errno::EFAULT),
        "a path on a page without access: {result:?}"
    );
    rights.check()
}

/// A read whose buffer begins well: what fits may come or not, but no byte beyond.
fn read_over_the_edge() -> Verdict {
    let rights = Rights::new()?;
    with_pipe(|reader, _| {
        let start = rights.read_only() - 4;
        match bad_call(numbers::__NR_read, [reader, start, 10, 0, 0, 0]) {
            Err(Errno::EFAULT) | Ok(0..=4) => Ok(()),
            other => fail!("read over the edge: {other:?}"),
        }
    })
}

fn write_over_the_edge() -> Verdict {
    let rights = Rights::new()?;
    with_pipe(|_, writer| {
        match bad_call(
            numbers::__NR_write,
            [writer, rights.no_access() - 4, 10, 0, 0, 0],
        ) {
            Err(Errno::EFAULT) | Ok(0..=4) => Ok(()),
            other => fail!("write over the edge: {other:?}"),
        }
    })
}

/// The child is reaped or it is not, but it is not lost half-way: at most one more wait finds it.
fn status_of_a_child() -> Verdict {
    for (place, address) in NOWHERE.iter().filter(|(_, address)| *address != 0) {
        let pid = match process::fork().or_fail("fork")? {
            Forked::Child => process::exit_now(3),
            Forked::Parent(pid) => pid,
        };
        let result = process::wait_into(pid, *address);
        ensure!(result == Err(Errno::EFAULT), "wait4, {place}: {result:?}");
        match process::wait_for(pid) {
            Err(Errno::ECHILD) | Ok((_, Status::Exited(3))) => {}
            other => fail!("wait4 again, {place}: {other:?}"),
        }
        ensure!(
            process::try_wait(Pid(-1)) == Err(Errno::ECHILD),
            "after {place} there is a child left"
        );
    }
    Ok(())
}

/// What a failed call would have made is not left behind: descriptors of a pipe, bytes of one.
fn nothing_is_lost() -> Verdict {
    for _ in 0..100 {
        let result = bad_call(numbers::__NR_pipe, [0x1234_5678_9000, 0, 0, 0, 0, 0]);
        ensure!(result == Err(Errno::EFAULT), "pipe: {result:?}");
    }
    let pipe = file::pipe().or_fail("pipe")?;
    ensure!(
        pipe.read.0 < 16 && pipe.write.0 < 16,
        "descriptors were left open: {pipe:?}"
    );
    file::write(pipe.write, b"kept").or_fail("write")?;
    let reader = pipe.read.0 as usize;
    let result = bad_call(numbers::__NR_read, [reader, 8, size_of::<u64>(), 0, 0, 0]);
    ensure!(result == Err(Errno::EFAULT), "read: {result:?}");
    let mut bytes = [0; 8];
    let count = file::read(pipe.read, &mut bytes).or_fail("read")?;
    let well = bytes.get(..count) == Some(b"kept");
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    if well {
        return Ok(());
    }
    Err(Failure::new(format_args!("{count} bytes were left of 4")))
}
