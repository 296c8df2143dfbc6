//! Directories and paths.

use alloc::format;
use alloc::vec::Vec;

use user::sys::Errno;
use user::sys::file::{self, O_CREAT, O_DIRECTORY, O_RDONLY, O_WRONLY};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Verdict, in_child};
use user::{cases, directory, ensure};

use crate::scratch::{Scratch, expect_contents, string, write_file};

pub const CASES: &[Case] = cases![
    make_and_remove => "directory-make-and-remove",
    errors => "directory-errors",
    entries => "directory-entries",
    many_entries => "directory-many-entries",
    small_buffer => "directory-small-buffer",
    removed_while_read => "directory-removed-while-read",
    current => "directory-current",
    current_is_private => "directory-current-is-private",
    relative_to_descriptor => "directory-relative-to-descriptor",
    dots => "directory-dots",
    deep => "directory-deep",
    long_names => "directory-long-names",
];

fn make_and_remove() -> Verdict {
    let _scratch = Scratch::enter()?;
    file::mkdir(c"one", 0o755).or_fail("mkdir")?;
    file::mkdir(c"one/two", 0o755).or_fail("mkdir")?;
    write_file(c"one/two/text", b"here", 0o644)?;
    expect_contents(c"one/two/text", b"here")?;
    expect_error("rmdir", file::rmdir(c"one"), Errno::ENOTEMPTY)?;
    file::unlink(c"one/two/text").or_fail("unlink")?;
    file::rmdir(c"one/two").or_fail("rmdir")?;
    file::rmdir(c"one").or_fail("rmdir")?;
    expect_error("stat", file::stat(c"one").map(drop), Errno::ENOENT)
}

fn errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    file::mkdir(c"one", 0o755).or_fail("mkdir")?;
    write_file(c"text", b"", 0o644)?;
    expect_error("mkdir again", file::mkdir(c"one", 0o755), Errno::EEXIST)?;
    expect_error(
        "mkdir over a file",
        file::mkdir(c"text", 0o755),
        Errno::EEXIST,
    )?;
    expect_error("mkdir of /", file::mkdir(c"/", 0o755), Errno::EEXIST)?;
    expect_error(
        "mkdir in nothing",
        file::mkdir(c"missing/one", 0o755),
        Errno::ENOENT,
    )?;
    expect_error(
        "mkdir in a file",
        file::mkdir(c"text/one", 0o755),
        Errno::ENOTDIR,
    )?;
    expect_error("rmdir of a file", file::rmdir(c"text"), Errno::ENOTDIR)?;
    expect_error("rmdir of nothing", file::rmdir(c"missing"), Errno::ENOENT)?;
    expect_error("rmdir of .", file::rmdir(c"one/."), Errno::EINVAL)?;
    expect_error("rmdir of ..", file::rmdir(c"one/.."), Errno::ENOTEMPTY)?;
    expect_error("unlink of a directory", file::unlink(c"one"), Errno::EISDIR)?;
    expect_error("chdir to a file", file::chdir(c"text"), Errno::ENOTDIR)?;
    expect_error("chdir to nothing", file::chdir(c"missing"), Errno::ENOENT)?;
    let flags = O_RDONLY | O_DIRECTORY;
    expect_error(
        "a file as a directory",
        file::open(c"text", flags, 0),
        Errno::ENOTDIR,
    )?;
    let fd = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    let result = file::getdents(fd, &mut [0; 512]);
    file::close(fd).or_fail("close")?;
    expect_error("getdents of a file", result, Errno::ENOTDIR)
}

fn entries() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"b-file", b"", 0o644)?;
    file::mkdir(c"a-directory", 0o755).or_fail("mkdir")?;
    let fd = file::open(c".", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    let all = directory::read_all(fd).or_fail("getdents64");
    file::close(fd).or_fail("close")?;
    let mut all = all?;
    all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&[u8]> = all.iter().map(|entry| entry.name.as_slice()).collect();
    let expected: [&[u8]; 4] = [b".", b"..", b"a-directory", b"b-file"];
    ensure!(names == expected, "there are {} entries", names.len());
    for entry in all.iter().skip(2) {
        let stat = file::stat(&string(entry.name.clone())).or_fail("stat")?;
        ensure!(
            stat.st_ino == entry.inode,
            "{} is number {}",
            entry.inode,
            stat.st_ino
        );
        // The kind is that of the mode, or not given (man 2 getdents64).
        let kind = (stat.st_mode >> 12) as u8;
        ensure!(
            entry.kind == kind || entry.kind == 0,
            "kind {}, mode {kind}",
            entry.kind
        );
    }
    Ok(())
}

fn many_entries() -> Verdict {
    const COUNT: usize = 200;
    let _scratch = Scratch::enter()?;
    for number in 0..COUNT {
        write_file(&string(format!("file-{number:04}")), b"", 0o644)?;
    }
    let all = directory::list(c".").or_fail("getdents64")?;
    ensure!(all.len() == COUNT, "{} entries of {COUNT}", all.len());
    for (number, entry) in all.iter().enumerate() {
        ensure!(
            entry.name == format!("file-{number:04}").as_bytes(),
            "entry {number} is wrong"
        );
    }
    for number in (0..COUNT).step_by(2) {
        file::unlink(&string(format!("file-{number:04}"))).or_fail("unlink")?;
    }
    let left = directory::list(c".").or_fail("getdents64")?.len();
    ensure!(left == COUNT / 2, "{left} entries are left");
    Ok(())
}

/// A buffer for one entry is enough; one for none is an error.
fn small_buffer() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"a-file-with-quite-a-long-name", b"", 0o644)?;
    let fd = file::open(c".", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    let tiny = file::getdents(fd, &mut [0; 8]);
    let mut count = 0;
    let mut buffer = [0; 64];
    let result = loop {
        match file::getdents(fd, &mut buffer) {
            Ok(0) => break Ok(()),
            Ok(_) => count += 1,
            Err(errno) => break Err(errno).or_fail("getdents64"),
        }
    };
    file::close(fd).or_fail("close")?;
    result?;
    expect_error("no room", tiny, Errno::EINVAL)?;
    ensure!(count >= 2, "{count} calls were enough for three entries");
    Ok(())
}

fn removed_while_read() -> Verdict {
    let _scratch = Scratch::enter()?;
    file::mkdir(c"gone", 0o755).or_fail("mkdir")?;
    let fd = file::open(c"gone", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    file::rmdir(c"gone").or_fail("rmdir")?;
    let result = file::openat(fd, c"text", O_WRONLY | O_CREAT, 0o644);
    file::close(fd).or_fail("close")?;
    expect_error("create in what is gone", result, Errno::ENOENT)
}

fn current() -> Verdict {
    let scratch = Scratch::enter()?;
    let expect = |path: &[u8]| {
        let mut buffer = [0; 300];
        let found = file::getcwd(&mut buffer).or_fail("getcwd")?.to_bytes();
        ensure!(
            found == path,
            "it is {}, not {}",
            found.escape_ascii(),
            path.escape_ascii()
        );
        Ok(())
    };
    let home = scratch.path().to_bytes();
    expect(home)?;
    file::mkdir(c"inner", 0o755).or_fail("mkdir")?;
    file::chdir(c"inner").or_fail("chdir")?;
    expect(&[home, b"inner"].join(&b'/'))?;
    file::chdir(c"..").or_fail("chdir")?;
    expect(home)?;
    file::chdir(c"./inner/.././inner//").or_fail("chdir")?;
    expect(&[home, b"inner"].join(&b'/'))?;
    expect_error("getcwd", file::getcwd(&mut [0; 5]).map(drop), Errno::ERANGE)?;
    file::chdir(c"/").or_fail("chdir")?;
    expect(b"/")?;
    file::chdir(c"..").or_fail("chdir")?;
    expect(b"/")
}

fn current_is_private() -> Verdict {
    let scratch = Scratch::enter()?;
    in_child(|| file::chdir(c"/dev").or_fail("chdir"))?;
    let mut buffer = [0; 300];
    let found = file::getcwd(&mut buffer).or_fail("getcwd")?;
    ensure!(
        found == scratch.path(),
        "it is {}",
        found.to_bytes().escape_ascii()
    );
    in_child(|| {
        Err(crate::helper::become_helper(&[
            c"directory",
            scratch.path(),
        ]))
    })
}

fn relative_to_descriptor() -> Verdict {
    let _scratch = Scratch::enter()?;
    file::mkdir(c"inner", 0o755).or_fail("mkdir")?;
    write_file(c"inner/text", b"inner", 0o644)?;
    write_file(c"text", b"outer", 0o644)?;
    let directory = file::open(c"inner", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    let result = file::openat(directory, c"text", O_RDONLY, 0).or_fail("openat");
    let absolute = file::openat(directory, c"/dev/null", O_RDONLY, 0).or_fail("openat");
    file::close(directory).or_fail("close")?;
    let fd = result?;
    crate::scratch::expect_rest(fd, b"inner")?;
    // It names no directory.
    let wrong = file::openat(fd, c"text", O_RDONLY, 0);
    file::close(fd).or_fail("close")?;
    file::close(absolute?).or_fail("close")?;
    expect_error("openat in a file", wrong, Errno::ENOTDIR)?;
    let closed = file::openat(fd, c"text", O_RDONLY, 0);
    expect_error("openat in what is closed", closed, Errno::EBADF)
}

fn dots() -> Verdict {
    let _scratch = Scratch::enter()?;
    file::mkdir(c"one", 0o755).or_fail("mkdir")?;
    write_file(c"text", b"here", 0o644)?;
    for path in [
        c"./text",
        c"one/../text",
        c".//./one/./../text",
        c"one/../one/../text",
    ] {
        expect_contents(path, b"here")?;
    }
    expect_error(
        "through nothing",
        file::stat(c"two/../text").map(drop),
        Errno::ENOENT,
    )?;
    expect_error(
        "through a file",
        file::stat(c"text/../text").map(drop),
        Errno::ENOTDIR,
    )?;
    let root = file::stat(c"/").or_fail("stat")?;
    let above = file::stat(c"/../..").or_fail("stat")?;
    ensure!(root.st_ino == above.st_ino, "/ and /.. are not the same");
    Ok(())
}

fn deep() -> Verdict {
    const LEVELS: usize = 40;
    let scratch = Scratch::enter()?;
    for _ in 0..LEVELS {
        file::mkdir(c"d", 0o755).or_fail("mkdir")?;
        file::chdir(c"d").or_fail("chdir")?;
    }
    write_file(c"text", b"deep", 0o644)?;
    file::chdir(scratch.path()).or_fail("chdir")?;
    let mut path = b"d/".repeat(LEVELS);
    path.extend_from_slice(b"text");
    expect_contents(&string(path), b"deep")
}

fn long_names() -> Verdict {
    let _scratch = Scratch::enter()?;
    let longest = string([b'n'; 255]);
    write_file(&longest, b"long", 0o644)?;
    expect_contents(&longest, b"long")?;
    let too_long = string([b'n'; 256]);
    let create = |path| file::open(path, O_WRONLY | O_CREAT, 0o644);
    expect_error("256 letters", create(&too_long), Errno::ENAMETOOLONG)?;
    expect_error(
        "256 letters",
        file::mkdir(&too_long, 0o755),
        Errno::ENAMETOOLONG,
    )?;
    // A path of 4,095 letters is one, whatever it names; one more and it is none.
    let path = |length: usize| {
        string(
            b"./"
                .repeat(length.div_ceil(2))
                .get(..length)
                .unwrap_or_default(),
        )
    };
    file::stat(&path(4095)).or_fail("stat of a long path")?;
    expect_error(
        "4,096 letters",
        file::stat(&path(4096)).map(drop),
        Errno::ENAMETOOLONG,
    )
}
