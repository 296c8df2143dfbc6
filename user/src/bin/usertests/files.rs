//! Regular files.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::file::{
    self, Fd, O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, R_OK, S_IFCHR,
    S_IFDIR, S_IFMT, S_IFREG, SEEK_CUR, SEEK_END, SEEK_SET, W_OK, X_OK,
};
use user::sys::process::Pid;
use user::testing::child;
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Verdict, in_child};

use crate::scratch::{Scratch, expect_contents, expect_rest, write_file};

pub const CASES: &[Case] = cases![
    create_and_read => "file-create-and-read",
    exclusive => "file-exclusive",
    truncate_at_open => "file-truncate-at-open",
    append => "file-append",
    seek => "file-seek",
    seek_errors => "file-seek-errors",
    overwrite => "file-overwrite",
    hole => "file-hole",
    truncate => "file-truncate",
    at_a_place => "file-at-a-place",
    large => "file-large",
    access_mode => "file-access-mode",
    unlinked_stays_open => "file-unlinked-stays-open",
    rename => "file-rename",
    rename_over => "file-rename-over",
    two_openings => "file-two-openings",
    position_is_inherited => "file-position-is-inherited",
    appenders => "file-appenders",
    missing => "file-missing",
    stat => "file-stat",
    permissions => "file-permissions",
    vectors => "file-vectors",
];

const TEXT: &[u8] = b"The quick brown fox";

fn create_and_read() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    expect_contents(c"text", TEXT)?;
    write_file(c"empty", b"", 0o644)?;
    expect_contents(c"empty", b"")
}

fn exclusive() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let flags = O_CREAT | O_EXCL | O_WRONLY;
    expect_error("open", file::open(c"text", flags, 0o644), Errno::EEXIST)?;
    expect_error("open of /", file::open(c"/", flags, 0o644), Errno::EEXIST)?;
    expect_contents(c"text", TEXT)
}

fn truncate_at_open() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_WRONLY | O_TRUNC, 0).or_fail("open")?;
    expect_contents(c"text", b"")?;
    file::write_all(fd, b"new").or_fail("write")?;
    file::close(fd).or_fail("close")?;
    expect_contents(c"text", b"new")?;
    // O_CREAT alone leaves what is there.
    let fd = file::open(c"text", O_WRONLY | O_CREAT, 0o644).or_fail("open")?;
    file::close(fd).or_fail("close")?;
    expect_contents(c"text", b"new")
}

fn append() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", b"one ", 0o644)?;
    let first = file::open(c"text", O_WRONLY | O_APPEND, 0).or_fail("open")?;
    let second = file::open(c"text", O_RDWR | O_APPEND, 0).or_fail("open")?;
    for (fd, word) in [(first, b"two "), (second, b"six "), (first, b"ten ")] {
        file::write_all(fd, word).or_fail("write")?;
    }
    // The position is for reading; writing goes to the end all the same.
    file::seek(second, 0, SEEK_SET).or_fail("lseek")?;
    file::write_all(second, b"end").or_fail("write")?;
    file::close(first).or_fail("close")?;
    file::close(second).or_fail("close")?;
    expect_contents(c"text", b"one two six ten end")
}

fn seek() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    for (offset, whence, place) in [
        (4, SEEK_SET, 4),
        (6, SEEK_CUR, 10),
        (-3, SEEK_END, 16),
        (-6, SEEK_CUR, 10),
    ] {
        let found = file::seek(fd, offset, whence).or_fail("lseek")?;
        ensure!(found == place, "the position is {found}, not {place}");
    }
    expect_rest(fd, b"brown fox")?;
    let place = file::seek(fd, 1000, SEEK_SET).or_fail("lseek beyond the end")?;
    ensure!(place == 1000, "the position is {place}");
    expect_rest(fd, b"")?;
    file::close(fd).or_fail("close")
}

fn seek_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    file::seek(fd, 5, SEEK_SET).or_fail("lseek")?;
    expect_error(
        "before the start",
        file::seek(fd, -1, SEEK_SET),
        Errno::EINVAL,
    )?;
    expect_error(
        "before the start",
        file::seek(fd, -6, SEEK_CUR),
        Errno::EINVAL,
    )?;
    expect_error(
        "before the start",
        file::seek(fd, -20, SEEK_END),
        Errno::EINVAL,
    )?;
    expect_error("no direction", file::seek(fd, 0, 99), Errno::EINVAL)?;
    let place = file::seek(fd, 0, SEEK_CUR).or_fail("lseek")?;
    ensure!(place == 5, "a failed seek moved the position to {place}");
    file::close(fd).or_fail("close")
}

fn overwrite() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDWR, 0).or_fail("open")?;
    file::seek(fd, 4, SEEK_SET).or_fail("lseek")?;
    file::write_all(fd, b"QUICK").or_fail("write")?;
    expect_rest(fd, b" brown fox")?;
    file::write_all(fd, b"!").or_fail("write")?;
    file::close(fd).or_fail("close")?;
    expect_contents(c"text", b"The QUICK brown fox!")
}

/// What was never written reads as zero, also when the file's pages were in use before.
fn hole() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = file::open(c"hole", O_RDWR | O_CREAT, 0o644).or_fail("open")?;
    file::write_all(fd, b"start").or_fail("write")?;
    file::seek(fd, 20_000, SEEK_SET).or_fail("lseek")?;
    file::write_all(fd, b"end").or_fail("write")?;
    file::seek(fd, 5, SEEK_SET).or_fail("lseek")?;
    let mut bytes = [1; 20_100];
    let count = file::read_full(fd, &mut bytes).or_fail("read")?;
    ensure!(count == 20_003 - 5, "read {count} bytes");
    let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
    ensure!(zeroes == 20_000 - 5, "{zeroes} zeroes");
    file::close(fd).or_fail("close")
}

fn truncate() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDWR, 0).or_fail("open")?;
    file::truncate(fd, 3).or_fail("ftruncate")?;
    expect_contents(c"text", b"The")?;
    // What comes back is not what was there.
    file::truncate(fd, 6).or_fail("ftruncate")?;
    expect_contents(c"text", b"The\0\0\0")?;
    file::truncate(fd, 0).or_fail("ftruncate")?;
    expect_contents(c"text", b"")?;
    file::close(fd).or_fail("close")?;
    let fd = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    expect_error(
        "ftruncate for reading",
        file::truncate(fd, 0),
        Errno::EINVAL,
    )?;
    file::close(fd).or_fail("close")
}

fn at_a_place() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDWR, 0).or_fail("open")?;
    let mut bytes = [0; 5];
    let count = file::pread(fd, &mut bytes, 4).or_fail("pread")?;
    ensure!(count == 5 && &bytes == b"quick", "pread gave {count} bytes");
    let count = file::pwrite(fd, b"QUICK", 4).or_fail("pwrite")?;
    ensure!(count == 5, "pwrite took {count} bytes");
    let count = file::pread(fd, &mut bytes, 1000).or_fail("pread beyond the end")?;
    ensure!(count == 0, "pread gave {count} bytes beyond the end");
    // The position has not moved.
    expect_rest(fd, b"The QUICK brown fox")?;
    file::close(fd).or_fail("close")
}

fn large() -> Verdict {
    const BLOCKS: usize = 300;
    let _scratch = Scratch::enter()?;
    let fd = file::open(c"large", O_RDWR | O_CREAT, 0o644).or_fail("open")?;
    for number in 0..BLOCKS {
        file::write_all(fd, &[number as u8; 3001]).or_fail("write")?;
    }
    let size = file::fstat(fd).or_fail("fstat")?.st_size;
    ensure!(size == 3001 * BLOCKS as i64, "the size is {size}");
    file::seek(fd, 0, SEEK_SET).or_fail("lseek")?;
    let mut block = [0; 3001];
    for number in 0..BLOCKS {
        let count = file::read_full(fd, &mut block).or_fail("read")?;
        let well = count == 3001 && block.iter().all(|byte| *byte == number as u8);
        ensure!(well, "block {number} is wrong");
    }
    ensure!(
        file::read(fd, &mut block) == Ok(0),
        "there is more than the end"
    );
    file::close(fd).or_fail("close")
}

fn access_mode() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    expect_error("write", file::write(fd, b"x"), Errno::EBADF)?;
    file::close(fd).or_fail("close")?;
    let fd = file::open(c"text", O_WRONLY, 0).or_fail("open")?;
    expect_error("read", file::read(fd, &mut [0]), Errno::EBADF)?;
    file::close(fd).or_fail("close")
}

fn unlinked_stays_open() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let fd = file::open(c"text", O_RDWR, 0).or_fail("open")?;
    file::unlink(c"text").or_fail("unlink")?;
    expect_error("stat", file::stat(c"text").map(drop), Errno::ENOENT)?;
    expect_error("unlink", file::unlink(c"text"), Errno::ENOENT)?;
    expect_rest(fd, TEXT)?;
    // Another one by the same name is another one.
    write_file(c"text", b"another", 0o644)?;
    file::pwrite(fd, b"!", 0).or_fail("pwrite")?;
    expect_contents(c"text", b"another")?;
    in_child(|| {
        let mut byte = [0];
        let count = file::pread(fd, &mut byte, 0).or_fail("pread")?;
        ensure!(count == 1 && byte == *b"!", "read {count} bytes");
        Ok(())
    })?;
    file::close(fd).or_fail("close")
}

fn rename() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"old", TEXT, 0o644)?;
    file::mkdir(c"inner", 0o755).or_fail("mkdir")?;
    file::rename(c"old", c"inner/new").or_fail("rename")?;
    expect_error("stat", file::stat(c"old").map(drop), Errno::ENOENT)?;
    expect_contents(c"inner/new", TEXT)?;
    file::rename(c"inner", c"outer").or_fail("rename of a directory")?;
    expect_contents(c"outer/new", TEXT)?;
    expect_error(
        "rename of nothing",
        file::rename(c"old", c"new"),
        Errno::ENOENT,
    )?;
    expect_error(
        "into itself",
        file::rename(c"outer", c"outer/inner"),
        Errno::EINVAL,
    )
}

fn rename_over() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"one", b"one", 0o644)?;
    write_file(c"two", b"two", 0o644)?;
    let fd = file::open(c"two", O_RDONLY, 0).or_fail("open")?;
    file::rename(c"one", c"two").or_fail("rename")?;
    expect_contents(c"two", b"one")?;
    expect_rest(fd, b"two")?;
    file::close(fd).or_fail("close")?;
    file::rename(c"two", c"two").or_fail("rename to itself")?;
    expect_contents(c"two", b"one")?;
    file::mkdir(c"directory", 0o755).or_fail("mkdir")?;
    expect_error(
        "file over directory",
        file::rename(c"two", c"directory"),
        Errno::EISDIR,
    )?;
    expect_error(
        "directory over file",
        file::rename(c"directory", c"two"),
        Errno::ENOTDIR,
    )
}

/// Two openings of a file have a position each, and one contents.
fn two_openings() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let reader = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    let writer = file::open(c"text", O_WRONLY, 0).or_fail("open")?;
    file::write_all(writer, b"THE").or_fail("write")?;
    expect_rest(reader, b"THE quick brown fox")?;
    file::close(reader).or_fail("close")?;
    file::close(writer).or_fail("close")
}

fn position_is_inherited() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = file::open(c"text", O_RDWR | O_CREAT, 0o644).or_fail("open")?;
    file::write_all(fd, b"parent ").or_fail("write")?;
    in_child(|| file::write_all(fd, b"child ").or_fail("write"))?;
    file::write_all(fd, b"parent").or_fail("write")?;
    file::close(fd).or_fail("close")?;
    expect_contents(c"text", b"parent child parent")
}

/// Records that several processes append at the same time are all there, each in one piece.
fn appenders() -> Verdict {
    const WRITERS: usize = 4;
    const RECORDS: usize = 60;
    let _scratch = Scratch::enter()?;
    write_file(c"log", b"", 0o644)?;
    let mut pids = [Pid(0); WRITERS];
    for (number, pid) in pids.iter_mut().enumerate() {
        *pid = child::start(|| {
            let fd = file::open(c"log", O_WRONLY | O_APPEND, 0).or_fail("open")?;
            (0..RECORDS).try_for_each(|_| file::write_all(fd, &[number as u8; 10]).or_fail("write"))
        })?;
    }
    pids.into_iter().try_for_each(child::finish)?;
    let fd = file::open(c"log", O_RDONLY, 0).or_fail("open")?;
    let (mut counts, mut record) = ([0; WRITERS], [0; 10]);
    while file::read_full(fd, &mut record).or_fail("read")? == record.len() {
        ensure!(
            record.iter().all(|byte| *byte == record[0]),
            "a record is mixed"
        );
        if let Some(count) = counts.get_mut(usize::from(record[0])) {
            *count += 1;
        }
    }
    file::close(fd).or_fail("close")?;
    ensure!(counts == [RECORDS; WRITERS], "the counts are {counts:?}");
    Ok(())
}

fn missing() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    let open = |path| file::open(path, O_RDWR, 0);
    expect_error("no file", open(c"missing"), Errno::ENOENT)?;
    expect_error("no directory", open(c"missing/text"), Errno::ENOENT)?;
    expect_error("no name", open(c""), Errno::ENOENT)?;
    expect_error("in a file", open(c"text/inner"), Errno::ENOTDIR)?;
    expect_error("a file as a directory", open(c"text/"), Errno::ENOTDIR)?;
    expect_error("a directory for writing", open(c"."), Errno::EISDIR)?;
    let create = |path| file::open(path, O_WRONLY | O_CREAT, 0o644);
    expect_error("create in nothing", create(c"missing/text"), Errno::ENOENT)?;
    expect_error("create in a file", create(c"text/inner"), Errno::ENOTDIR)?;
    let directory = file::open(c".", O_RDONLY, 0).or_fail("open")?;
    expect_error(
        "read of a directory",
        file::read(directory, &mut [0]),
        Errno::EISDIR,
    )?;
    file::close(directory).or_fail("close")
}

fn stat() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o640)?;
    let stat = file::stat(c"text").or_fail("stat")?;
    ensure!(stat.st_mode == S_IFREG | 0o640, "mode {:#o}", stat.st_mode);
    ensure!(
        stat.st_size == TEXT.len() as i64 && stat.st_nlink == 1,
        "size {}",
        stat.st_size
    );
    let fd = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    let same = file::fstat(fd).or_fail("fstat")?;
    ensure!(
        same.st_ino == stat.st_ino && same.st_dev == stat.st_dev,
        "stat and fstat differ"
    );
    file::close(fd).or_fail("close")?;
    write_file(c"other", b"", 0o600)?;
    let other = file::stat(c"other").or_fail("stat")?;
    ensure!(
        other.st_ino != stat.st_ino,
        "two files are both number {}",
        stat.st_ino
    );
    for (path, kind) in [(c".", S_IFDIR), (c"/", S_IFDIR), (c"/dev/null", S_IFCHR)] {
        let mode = file::stat(path).or_fail("stat")?.st_mode;
        ensure!(mode & S_IFMT == kind, "mode {mode:#o}");
    }
    Ok(())
}

fn permissions() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", TEXT, 0o644)?;
    write_file(c"program", TEXT, 0o755)?;
    file::access(c"text", R_OK).or_fail("access")?;
    file::access(c"text", W_OK).or_fail("access")?;
    // A file without an execute bit is not executed, by root neither.
    expect_error("access", file::access(c"text", X_OK), Errno::EACCES)?;
    file::access(c"program", X_OK).or_fail("access")?;
    expect_error("access", file::access(c"missing", 0), Errno::ENOENT)
}

fn vectors() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd: Fd = file::open(c"text", O_RDWR | O_CREAT, 0o644).or_fail("open")?;
    let count = file::writev(fd, &[b"The ", b"quick ", b"", b"brown fox"]).or_fail("writev")?;
    ensure!(count == TEXT.len(), "wrote {count} bytes");
    file::seek(fd, 0, SEEK_SET).or_fail("lseek")?;
    let (mut first, mut second) = ([0; 4], [0; 100]);
    let count = file::readv(fd, &mut [&mut first, &mut second]).or_fail("readv")?;
    ensure!(
        count == TEXT.len() && &first == b"The ",
        "read {count} bytes"
    );
    file::close(fd).or_fail("close")
}
