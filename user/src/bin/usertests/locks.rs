//! Locks on files: flock(2), and fcntl(2) for ranges.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::file::{self, Fd, O_CREAT, O_RDONLY, O_RDWR};
use user::sys::process;
use user::sys::storage::{
    self, F_GETLK, F_OFD_SETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB,
    LOCK_SH, LOCK_UN, RecordLock,
};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Verdict, in_child};

use crate::scratch::Scratch;

pub const CASES: &[Case] = cases![
    whole => "lock-whole",
    whole_errors => "lock-whole-errors",
    whole_ends_with_the_last_close => "lock-whole-ends-with-the-last-close",
    ranges => "lock-ranges",
    ranges_are_told => "lock-ranges-are-told",
    any_close_releases => "lock-any-close-releases",
    end_releases => "lock-end-releases",
    waits => "lock-waits",
    deadlock => "lock-deadlock",
    of_an_open_file => "lock-of-an-open-file",
    range_errors => "lock-range-errors",
];

fn open() -> Result<Fd, user::testing::failure::Failure> {
    file::open(c"locked", O_RDWR | O_CREAT, 0o644).or_fail("open")
}

fn set(fd: Fd, kind: u32, start: i64, length: i64) -> user::sys::Result<()> {
    storage::record_lock(fd, F_SETLK, &mut RecordLock::new(kind, start, length))
}

fn whole() -> Verdict {
    let _scratch = Scratch::enter()?;
    let (one, two) = (open()?, open()?);
    let call = storage::flock;
    call(one, LOCK_SH).or_fail("flock")?;
    call(two, LOCK_SH | LOCK_NB).or_fail("two shared ones")?;
    expect_error(
        "an exclusive one",
        call(two, LOCK_EX | LOCK_NB),
        Errno::EAGAIN,
    )?;
    call(one, LOCK_UN).or_fail("unlock")?;
    call(two, LOCK_EX | LOCK_NB).or_fail("the only one")?;
    expect_error("a shared one", call(one, LOCK_SH | LOCK_NB), Errno::EAGAIN)?;
    call(two, LOCK_SH | LOCK_NB).or_fail("back to shared")?;
    call(one, LOCK_SH | LOCK_NB).or_fail("shared again")?;
    // Locks on ranges are others.
    set(one, F_WRLCK, 0, 0).or_fail("a range")?;
    file::close(one).or_fail("close")?;
    file::close(two).or_fail("close")
}

fn whole_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    let call = storage::flock;
    expect_error("nothing", call(fd, 0), Errno::EINVAL)?;
    expect_error("both", call(fd, LOCK_SH | LOCK_EX), Errno::EINVAL)?;
    expect_error("no file", call(Fd(-1), LOCK_SH), Errno::EBADF)?;
    call(fd, LOCK_UN).or_fail("nothing to unlock")?;
    file::close(fd).or_fail("close")
}

fn whole_ends_with_the_last_close() -> Verdict {
    let _scratch = Scratch::enter()?;
    let (one, two) = (open()?, open()?);
    let copy = file::dup(one).or_fail("dup")?;
    let call = storage::flock;
    call(one, LOCK_EX).or_fail("flock")?;
    file::close(one).or_fail("close")?;
    expect_error("it is kept", call(two, LOCK_EX | LOCK_NB), Errno::EAGAIN)?;
    file::close(copy).or_fail("close")?;
    call(two, LOCK_EX | LOCK_NB).or_fail("it is released")?;
    file::close(two).or_fail("close")
}

fn ranges() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    set(fd, F_WRLCK, 10, 10).or_fail("lock")?;
    set(fd, F_RDLCK, 100, 0).or_fail("lock to the end")?;
    in_child(|| {
        expect_error("the same", set(fd, F_WRLCK, 10, 10), Errno::EAGAIN)?;
        expect_error("its last byte", set(fd, F_RDLCK, 19, 5), Errno::EAGAIN)?;
        set(fd, F_WRLCK, 0, 10).or_fail("before it")?;
        set(fd, F_WRLCK, 20, 80).or_fail("behind it")?;
        set(fd, F_RDLCK, 1000, 5).or_fail("shared")?;
        expect_error("exclusive", set(fd, F_WRLCK, 1_000_000, 1), Errno::EAGAIN)
    })?;
    // A hole in the middle of ours.
    set(fd, F_UNLCK, 14, 2).or_fail("unlock")?;
    in_child(|| {
        set(fd, F_WRLCK, 14, 2).or_fail("the hole")?;
        expect_error("before it", set(fd, F_WRLCK, 13, 1), Errno::EAGAIN)?;
        expect_error("behind it", set(fd, F_WRLCK, 16, 1), Errno::EAGAIN)
    })?;
    file::close(fd).or_fail("close")
}

fn ranges_are_told() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    set(fd, F_WRLCK, 10, 10).or_fail("lock")?;
    let own = process::getpid();
    in_child(|| {
        let mut lock = RecordLock::new(F_RDLCK, 0, 0);
        storage::record_lock(fd, F_GETLK, &mut lock).or_fail("F_GETLK")?;
        ensure!(
            (u32::from(lock.kind), lock.start, lock.length) == (F_WRLCK, 10, 10),
            "told {lock:?}"
        );
        ensure!(lock.pid == own.0, "of process {}, not {}", lock.pid, own.0);
        let mut lock = RecordLock::new(F_RDLCK, 20, 0);
        storage::record_lock(fd, F_GETLK, &mut lock).or_fail("F_GETLK")?;
        ensure!(u32::from(lock.kind) == F_UNLCK, "told {lock:?}");
        Ok(())
    })?;
    file::close(fd).or_fail("close")
}

fn any_close_releases() -> Verdict {
    let _scratch = Scratch::enter()?;
    let (one, two) = (open()?, open()?);
    set(one, F_WRLCK, 0, 0).or_fail("lock")?;
    in_child(|| expect_error("it is there", set(two, F_WRLCK, 0, 1), Errno::EAGAIN))?;
    file::close(two).or_fail("close")?;
    in_child(|| set(one, F_WRLCK, 0, 1).or_fail("it is released"))?;
    file::close(one).or_fail("close")
}

fn end_releases() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    in_child(|| set(fd, F_WRLCK, 0, 0).or_fail("lock of a child"))?;
    set(fd, F_WRLCK, 0, 0).or_fail("lock when it is gone")?;
    file::close(fd).or_fail("close")
}

fn waits() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    let pipe = file::pipe().or_fail("pipe")?;
    let child = user::testing::child::start(|| {
        set(fd, F_WRLCK, 0, 1).or_fail("lock")?;
        file::write_all(pipe.write, b"x").or_fail("write")?;
        user::sys::system::sleep_ms(20);
        set(fd, F_UNLCK, 0, 1).or_fail("unlock")
    })?;
    let mut byte = [0];
    file::read_full(pipe.read, &mut byte).or_fail("read")?;
    let mut lock = RecordLock::new(F_WRLCK, 0, 1);
    storage::record_lock(fd, F_SETLKW, &mut lock).or_fail("F_SETLKW")?;
    user::testing::child::finish(child)?;
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    file::close(fd).or_fail("close")
}

fn deadlock() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    set(fd, F_WRLCK, 0, 1).or_fail("lock")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let child = user::testing::child::start(|| {
        set(fd, F_WRLCK, 1, 1).or_fail("lock")?;
        file::write_all(pipe.write, b"x").or_fail("write")?;
        let mut lock = RecordLock::new(F_WRLCK, 0, 1);
        storage::record_lock(fd, F_SETLKW, &mut lock).or_fail("F_SETLKW")
    })?;
    let mut byte = [0];
    file::read_full(pipe.read, &mut byte).or_fail("read")?;
    user::sys::system::sleep_ms(50);
    let mut lock = RecordLock::new(F_WRLCK, 1, 1);
    let circle = storage::record_lock(fd, F_SETLKW, &mut lock);
    expect_error("a circle", circle, Errno::EDEADLK)?;
    set(fd, F_UNLCK, 0, 1).or_fail("unlock")?;
    user::testing::child::finish(child)?;
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    file::close(fd).or_fail("close")
}

fn of_an_open_file() -> Verdict {
    let _scratch = Scratch::enter()?;
    let (one, two) = (open()?, open()?);
    let call = |fd, kind| storage::record_lock(fd, F_OFD_SETLK, &mut RecordLock::new(kind, 0, 5));
    call(one, F_WRLCK).or_fail("lock")?;
    expect_error("another open file", call(two, F_WRLCK), Errno::EAGAIN)?;
    expect_error("the process", set(two, F_WRLCK, 0, 1), Errno::EAGAIN)?;
    // A child has the same open file.
    in_child(|| call(one, F_UNLCK).or_fail("unlock of a child"))?;
    call(two, F_WRLCK).or_fail("lock")?;
    let mut lock = RecordLock::new(F_WRLCK, 0, 5);
    lock.pid = 1;
    let named = storage::record_lock(one, F_OFD_SETLK, &mut lock);
    expect_error("a process is named", named, Errno::EINVAL)?;
    file::close(one).or_fail("close")?;
    file::close(two).or_fail("close")
}

fn range_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = open()?;
    let read_only = file::open(c"locked", O_RDONLY, 0).or_fail("open")?;
    expect_error("no such kind", set(fd, 9, 0, 1), Errno::EINVAL)?;
    expect_error("before the start", set(fd, F_WRLCK, -1, 1), Errno::EINVAL)?;
    expect_error("back before it", set(fd, F_WRLCK, 5, -6), Errno::EINVAL)?;
    expect_error("too far", set(fd, F_WRLCK, i64::MAX, 2), Errno::EOVERFLOW)?;
    expect_error("read only", set(read_only, F_WRLCK, 0, 1), Errno::EBADF)?;
    set(read_only, F_RDLCK, 0, 1).or_fail("to be read")?;
    set(fd, F_WRLCK, 5, -5).or_fail("back to it")?;
    expect_error("no file", set(Fd(-1), F_WRLCK, 0, 1), Errno::EBADF)?;
    file::close(fd).or_fail("close")?;
    file::close(read_only).or_fail("close")
}
