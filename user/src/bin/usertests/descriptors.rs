//! Descriptors: dup, fcntl, limits, close-on-exec.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::file::{self, FD_CLOEXEC, Fd, O_CLOEXEC, O_RDONLY, O_RDWR, O_WRONLY};
use user::sys::system::{self, RLIMIT_NOFILE};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Failure, Verdict, in_child};

use crate::helper;

pub const CASES: &[Case] = cases![
    lowest_number => "descriptor-lowest-number",
    dup2_replaces => "descriptor-dup2-replaces",
    dup2_to_itself => "descriptor-dup2-to-itself",
    dup_from => "descriptor-dup-from",
    not_open => "descriptor-not-open",
    close_twice => "descriptor-close-twice",
    shared_position => "descriptor-shared-position",
    private_table => "descriptor-private-table",
    access_mode => "descriptor-access-mode",
    close_on_exec => "descriptor-close-on-exec",
    limit => "descriptor-limit",
    devices => "descriptor-devices",
];

fn null() -> Result<Fd, Failure> {
    file::open(c"/dev/null", O_RDWR, 0).or_fail("open /dev/null")
}

fn lowest_number() -> Verdict {
    let (first, second) = (null()?, null()?);
    ensure!(
        first < second,
        "{first:?} was not the lowest when {second:?} was free"
    );
    file::close(first).or_fail("close")?;
    let third = file::dup(second).or_fail("dup")?;
    ensure!(third == first, "{first:?} was free, and dup took {third:?}");
    file::close(second).or_fail("close")?;
    file::close(third).or_fail("close")
}

fn dup2_replaces() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let other = null()?;
    // The only writing end goes by being replaced.
    let result = file::dup2(other, pipe.write).or_fail("dup2")?;
    ensure!(result == pipe.write, "dup2 gave {result:?}");
    let count = file::read(pipe.read, &mut [0]).or_fail("read")?;
    ensure!(count == 0, "read {count} bytes");
    file::write(pipe.write, b"to null").or_fail("write")?;
    for fd in [pipe.read, pipe.write, other] {
        file::close(fd).or_fail("close")?;
    }
    Ok(())
}

fn dup2_to_itself() -> Verdict {
    let fd = null()?;
    let same = file::dup2(fd, fd).or_fail("dup2")?;
    ensure!(same == fd, "dup2 gave {same:?}");
    expect_error("dup3", file::dup3(fd, fd, 0), Errno::EINVAL)?;
    file::close(fd).or_fail("close")?;
    expect_error("dup2 of what is closed", file::dup2(fd, fd), Errno::EBADF)
}

fn dup_from() -> Verdict {
    let fd = null()?;
    let high = file::dup_from(fd, 40).or_fail("F_DUPFD")?;
    let higher = file::dup_from(fd, 40).or_fail("F_DUPFD")?;
    ensure!(
        high == Fd(40) && higher == Fd(41),
        "got {high:?} and {higher:?}"
    );
    expect_error("F_DUPFD from -1", file::dup_from(fd, -1), Errno::EINVAL)?;
    for fd in [fd, high, higher] {
        file::close(fd).or_fail("close")?;
    }
    Ok(())
}

fn not_open() -> Verdict {
    for fd in [Fd(-1), Fd(50), Fd(1_000_000), Fd(i32::MAX), Fd(i32::MIN)] {
        expect_error("read", file::read(fd, &mut [0]), Errno::EBADF)?;
        expect_error("write", file::write(fd, b"x"), Errno::EBADF)?;
        expect_error("close", file::close(fd), Errno::EBADF)?;
        expect_error("dup", file::dup(fd), Errno::EBADF)?;
        expect_error("dup2", file::dup2(fd, Fd(51)), Errno::EBADF)?;
        expect_error("dup3", file::dup3(fd, Fd(51), 0), Errno::EBADF)?;
        expect_error("fstat", file::fstat(fd).map(drop), Errno::EBADF)?;
        expect_error("lseek", file::seek(fd, 0, 0), Errno::EBADF)?;
        expect_error("fcntl", file::descriptor_flags(fd), Errno::EBADF)?;
        expect_error("ftruncate", file::truncate(fd, 0), Errno::EBADF)?;
        expect_error("pread", file::pread(fd, &mut [0], 0), Errno::EBADF)?;
        expect_error("getdents", file::getdents(fd, &mut [0; 512]), Errno::EBADF)?;
        expect_error("writev", file::writev(fd, &[b"x"]), Errno::EBADF)?;
    }
    let fd = null()?;
    expect_error("dup2 to -1", file::dup2(fd, Fd(-1)), Errno::EBADF)?;
    expect_error(
        "dup2 beyond the limit",
        file::dup2(fd, Fd(i32::MAX)),
        Errno::EBADF,
    )?;
    file::close(fd).or_fail("close")
}

fn close_twice() -> Verdict {
    let fd = null()?;
    file::close(fd).or_fail("close")?;
    expect_error("close", file::close(fd), Errno::EBADF)
}

/// A copy and a child's copy have one position with the original.
fn shared_position() -> Verdict {
    let fd = file::open(c"/init", O_RDONLY, 0)
        .or_else(|_| file::open(c"/bin/sh", O_RDONLY, 0))
        .or_fail("open a program")?;
    let copy = file::dup(fd).or_fail("dup")?;
    let expect = |place| {
        let found = file::seek(fd, 0, file::SEEK_CUR).or_fail("lseek")?;
        ensure!(found == place, "the position is {found}, not {place}");
        Ok(())
    };
    file::read(fd, &mut [0; 10]).or_fail("read")?;
    file::read(copy, &mut [0; 5]).or_fail("read")?;
    expect(15)?;
    in_child(|| file::read(fd, &mut [0; 7]).or_fail("read").map(drop))?;
    expect(22)?;
    file::close(copy).or_fail("close")?;
    file::close(fd).or_fail("close")
}

/// What a child opens and closes is its own business.
fn private_table() -> Verdict {
    let fd = null()?;
    in_child(|| {
        file::close(fd).or_fail("close")?;
        for _ in 0..5 {
            null()?;
        }
        // A case looks for leaks only at its own end; these five go with the process.
        Ok(())
    })?;
    file::write(fd, b"x").or_fail("write")?;
    expect_error(
        "the child's",
        file::descriptor_flags(Fd(fd.0 + 1)),
        Errno::EBADF,
    )?;
    file::close(fd).or_fail("close")
}

fn access_mode() -> Verdict {
    for (flags, reads, writes) in [
        (O_RDONLY, true, false),
        (O_WRONLY, false, true),
        (O_RDWR, true, true),
    ] {
        let fd = file::open(c"/dev/null", flags, 0).or_fail("open")?;
        let found = file::file_flags(fd).or_fail("F_GETFL")?;
        ensure!(
            found & 3 == flags,
            "opened with {flags}, F_GETFL says {found:#x}"
        );
        let read = file::read(fd, &mut [0]);
        ensure!(read.is_ok() == reads, "opened with {flags}, read: {read:?}");
        let written = file::write(fd, b"x");
        ensure!(
            written.is_ok() == writes,
            "opened with {flags}, write: {written:?}"
        );
        file::close(fd).or_fail("close")?;
    }
    Ok(())
}

fn close_on_exec() -> Verdict {
    in_child(|| {
        let open = |number, flags| {
            let fd = file::open(c"/dev/null", O_RDWR | flags, 0).or_fail("open")?;
            file::dup3(fd, Fd(number), flags).or_fail("dup3")?;
            file::close(fd).or_fail("close")
        };
        open(20, 0)?;
        open(21, O_CLOEXEC)?;
        open(22, O_CLOEXEC)?;
        file::set_descriptor_flags(Fd(22), 0).or_fail("F_SETFD")?;
        open(23, 0)?;
        file::set_descriptor_flags(Fd(23), FD_CLOEXEC).or_fail("F_SETFD")?;
        // A copy does not have the flag of its original.
        file::dup2(Fd(21), Fd(24)).or_fail("dup2")?;
        in_child(|| {
            Err(helper::become_helper(&[
                c"open", c"0", c"1", c"2", c"20", c"22", c"24",
            ]))
        })?;
        Err(helper::become_helper(&[c"closed", c"21", c"23", c"25"]))
    })
}

fn limit() -> Verdict {
    in_child(|| {
        let mut limit = system::limit(RLIMIT_NOFILE).or_fail("prlimit64")?;
        limit.rlim_cur = 30;
        system::set_limit(RLIMIT_NOFILE, limit).or_fail("prlimit64")?;
        let mut last = Fd(0);
        loop {
            match file::open(c"/dev/null", O_RDONLY, 0) {
                Ok(fd) => last = fd,
                Err(errno) => {
                    ensure!(errno == Errno::EMFILE, "open: {errno:?}");
                    break;
                }
            }
            ensure!(last < Fd(30), "{last:?} is beyond the limit");
        }
        ensure!(last == Fd(29), "the last was {last:?}");
        expect_error("dup", file::dup(last), Errno::EMFILE)?;
        expect_error("pipe", file::pipe().map(drop), Errno::EMFILE)?;
        file::close(last).or_fail("close")?;
        // There is room for one end, and it must not be lost.
        expect_error("pipe", file::pipe().map(drop), Errno::EMFILE)?;
        let again = null()?;
        ensure!(again == last, "{last:?} was free, and open took {again:?}");
        Ok(())
    })
}

fn devices() -> Verdict {
    let fd = null()?;
    let count = file::read(fd, &mut [1; 8]).or_fail("read of /dev/null")?;
    ensure!(count == 0, "/dev/null gave {count} bytes");
    let count = file::write(fd, &[0; 1000]).or_fail("write to /dev/null")?;
    ensure!(count == 1000, "/dev/null took {count} bytes");
    file::close(fd).or_fail("close")?;
    let fd = file::open(c"/dev/zero", O_RDWR, 0).or_fail("open /dev/zero")?;
    let mut bytes = [1; 5000];
    let count = file::read(fd, &mut bytes).or_fail("read of /dev/zero")?;
    ensure!(
        count == 5000 && bytes.iter().all(|byte| *byte == 0),
        "/dev/zero gave {count} bytes"
    );
    let count = file::write(fd, &bytes).or_fail("write to /dev/zero")?;
    ensure!(count == 5000, "/dev/zero took {count} bytes");
    file::close(fd).or_fail("close")?;
    expect_error(
        "no device",
        file::open(c"/dev/nonexistent", O_RDONLY, 0),
        Errno::ENOENT,
    )
}
