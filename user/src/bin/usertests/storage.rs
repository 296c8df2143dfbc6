//! File systems, sparse files, and bytes that go from file to file without the program.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::file::{
    self, Fd, O_APPEND, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_SET,
};
use user::sys::storage::{
    self, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, POSIX_FADV_RANDOM, RENAME_EXCHANGE,
    RENAME_NOREPLACE, SEEK_DATA, SEEK_HOLE, SPLICE_NONBLOCK,
};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Verdict};

use crate::scratch::{Scratch, expect_contents, write_file};

pub const CASES: &[Case] = cases![
    file_system => "storage-file-system",
    sync => "storage-sync",
    advice => "storage-advice",
    sparse => "storage-sparse",
    punch => "storage-punch",
    allocate => "storage-allocate",
    allocate_errors => "storage-allocate-errors",
    send => "storage-send",
    send_errors => "storage-send-errors",
    copy_range => "storage-copy-range",
    copy_range_errors => "storage-copy-range-errors",
    splice_from_file => "storage-splice-from-file",
    splice_to_file => "storage-splice-to-file",
    splice_between_pipes => "storage-splice-between-pipes",
    splice_errors => "storage-splice-errors",
    tee => "storage-tee",
    exchange => "storage-exchange",
    listing_ends => "storage-listing-ends",
];

const PAGE: u64 = 4096;
const PIPE_MAGIC: i64 = 0x5049_5045;
const PROC_MAGIC: i64 = 0x9fa0;

fn close_all(fds: &[Fd]) -> Verdict {
    fds.iter()
        .try_for_each(|&fd| file::close(fd).or_fail("close"))
}

fn file_system() -> Verdict {
    let _scratch = Scratch::enter()?;
    let here = storage::statfs(c".").or_fail("statfs")?;
    ensure!(here.f_bsize >= 512, "a block of {}", here.f_bsize);
    ensure!(here.f_namelen == 255, "names of {}", here.f_namelen);
    ensure!(
        here.f_blocks >= here.f_bfree && here.f_bfree >= here.f_bavail,
        "{} blocks, {} free, {} available",
        here.f_blocks,
        here.f_bfree,
        here.f_bavail
    );
    let proc_ = storage::statfs(c"/proc").or_fail("statfs of /proc")?;
    ensure!(proc_.f_type == PROC_MAGIC, "/proc is {:x}", proc_.f_type);
    expect_error("statfs", storage::statfs(c"none").map(drop), Errno::ENOENT)?;
    expect_error(
        "statfs of no file",
        storage::fstatfs(Fd(-1)).map(drop),
        Errno::EBADF,
    )?;
    let pipe = file::pipe().or_fail("pipe")?;
    let told = storage::fstatfs(pipe.read).or_fail("fstatfs")?;
    ensure!(told.f_type == PIPE_MAGIC, "a pipe is {:x}", told.f_type);
    close_all(&[pipe.read, pipe.write])
}

fn sync() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", b"text", 0o644)?;
    let directory = file::open(c".", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    let text = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    for fd in [directory, text] {
        storage::fsync(fd).or_fail("fsync")?;
        storage::fdatasync(fd).or_fail("fdatasync")?;
        storage::syncfs(fd).or_fail("syncfs")?;
    }
    let pipe = file::pipe().or_fail("pipe")?;
    expect_error("fsync of a pipe", storage::fsync(pipe.write), Errno::EINVAL)?;
    expect_error("fsync of no file", storage::fsync(Fd(-1)), Errno::EBADF)?;
    close_all(&[directory, text, pipe.read, pipe.write])
}

fn advice() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    storage::fadvise(fd, 100, POSIX_FADV_RANDOM).or_fail("fadvise")?;
    expect_error(
        "no such advice",
        storage::fadvise(fd, 100, 77),
        Errno::EINVAL,
    )?;
    expect_error(
        "a negative length",
        storage::fadvise(fd, -1, 0),
        Errno::EINVAL,
    )?;
    let pipe = file::pipe().or_fail("pipe")?;
    expect_error(
        "of a pipe",
        storage::fadvise(pipe.read, 1, 0),
        Errno::ESPIPE,
    )?;
    close_all(&[fd, pipe.read, pipe.write])
}

/// Blocks of 512 bytes that a file takes.
fn blocks(fd: Fd) -> Result<i64, user::testing::failure::Failure> {
    Ok(file::fstat(fd).or_fail("fstat")?.st_blocks)
}

fn sparse() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    file::truncate(fd, 100 * PAGE).or_fail("ftruncate")?;
    ensure!(
        blocks(fd)? == 0,
        "an empty file takes {} blocks",
        blocks(fd)?
    );
    expect_error("no data", file::seek(fd, 0, SEEK_DATA), Errno::ENXIO)?;
    ensure!(
        file::seek(fd, 5, SEEK_HOLE) == Ok(5),
        "the hole begins elsewhere"
    );
    file::pwrite(fd, b"x", 40 * PAGE + 7).or_fail("pwrite")?;
    ensure!(blocks(fd)? == 8, "one page takes {} blocks", blocks(fd)?);
    ensure!(
        file::seek(fd, 0, SEEK_DATA) == Ok(40 * PAGE),
        "data is elsewhere"
    );
    let inside = 40 * PAGE as i64 + 9;
    ensure!(
        file::seek(fd, inside, SEEK_DATA) == Ok(inside as u64),
        "data ends before its page"
    );
    ensure!(
        file::seek(fd, inside, SEEK_HOLE) == Ok(41 * PAGE),
        "the hole is elsewhere"
    );
    expect_error(
        "none behind",
        file::seek(fd, 41 * PAGE as i64, SEEK_DATA),
        Errno::ENXIO,
    )?;
    expect_error(
        "behind the end",
        file::seek(fd, 100 * PAGE as i64, SEEK_HOLE),
        Errno::ENXIO,
    )?;
    file::truncate(fd, 10).or_fail("ftruncate")?;
    ensure!(blocks(fd)? == 0, "a cut file takes {} blocks", blocks(fd)?);
    close_all(&[fd])
}

fn punch() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    let full = [7; 4096];
    for page in 0..8 {
        file::pwrite(fd, &full, page * PAGE).or_fail("pwrite")?;
    }
    let mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    let (start, length) = (PAGE as i64 + 10, 2 * PAGE as i64);
    storage::fallocate(fd, mode, start, length).or_fail("fallocate")?;
    ensure!(blocks(fd)? == 7 * 8, "{} blocks are left", blocks(fd)?);
    let mut bytes = [0; 3 * 4096];
    file::pread(fd, &mut bytes, PAGE).or_fail("pread")?;
    for (at, byte) in bytes.iter().enumerate() {
        let hole = (10..10 + 2 * 4096).contains(&at);
        ensure!(*byte == if hole { 0 } else { 7 }, "byte {at} is {byte}");
    }
    storage::fallocate(fd, mode, 0, 1 << 40).or_fail("fallocate of all")?;
    ensure!(blocks(fd)? == 0, "{} blocks are left", blocks(fd)?);
    let size = file::fstat(fd).or_fail("fstat")?.st_size;
    ensure!(size == 8 * PAGE as i64, "it is {size} bytes long");
    close_all(&[fd])
}

fn allocate() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    storage::fallocate(fd, 0, 100, 3 * PAGE as i64).or_fail("fallocate")?;
    let stat = file::fstat(fd).or_fail("fstat")?;
    ensure!(
        (stat.st_size, stat.st_blocks) == (100 + 3 * PAGE as i64, 4 * 8),
        "{} bytes, {} blocks",
        stat.st_size,
        stat.st_blocks
    );
    storage::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 9 * PAGE as i64).or_fail("fallocate")?;
    let stat = file::fstat(fd).or_fail("fstat")?;
    ensure!(
        stat.st_size == 100 + 3 * PAGE as i64,
        "it has become {} bytes long",
        stat.st_size
    );
    close_all(&[fd])
}

fn allocate_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", b"text", 0o644)?;
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    let read_only = file::open(c"text", O_RDONLY, 0).or_fail("open")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let call = storage::fallocate;
    expect_error("no length", call(fd, 0, 0, 0), Errno::EINVAL)?;
    expect_error("a negative offset", call(fd, 0, -1, 5), Errno::EINVAL)?;
    expect_error("no such mode", call(fd, 1 << 20, 0, 5), Errno::EOPNOTSUPP)?;
    let punch = call(fd, FALLOC_FL_PUNCH_HOLE, 0, 5);
    expect_error("a hole that may cut", punch, Errno::EOPNOTSUPP)?;
    expect_error("too long", call(fd, 0, i64::MAX, 5), Errno::EFBIG)?;
    expect_error("read only", call(read_only, 0, 0, 5), Errno::EBADF)?;
    expect_error("a pipe", call(pipe.write, 0, 0, 5), Errno::ESPIPE)?;
    close_all(&[fd, read_only, pipe.read, pipe.write])
}

fn send() -> Verdict {
    let from = storage::memfd(0).or_fail("memfd_create")?;
    let to = storage::memfd(0).or_fail("memfd_create")?;
    let mut text = [0; 10_000];
    for (at, byte) in text.iter_mut().enumerate() {
        *byte = (at % 251) as u8;
    }
    file::write_all(from, &text).or_fail("write")?;
    let mut offset = 1000;
    let sent = storage::sendfile(to, from, Some(&mut offset), 5000).or_fail("sendfile")?;
    ensure!(
        (sent, offset) == (5000, 6000),
        "sent {sent}, then at {offset}"
    );
    let kept = file::seek(from, 0, SEEK_CUR);
    ensure!(kept == Ok(10_000), "the position has become {kept:?}");
    file::seek(from, 9000, SEEK_SET).or_fail("seek")?;
    let sent = storage::sendfile(to, from, None, 5000).or_fail("sendfile")?;
    ensure!(sent == 1000, "sent {sent} of the last 1000");
    let mut got = [0; 6000];
    file::pread(to, &mut got, 0).or_fail("pread")?;
    ensure!(got[..5000] == text[1000..6000], "the first part is another");
    ensure!(got[5000..] == text[9000..], "the second part is another");
    let pipe = file::pipe().or_fail("pipe")?;
    let mut offset = 0;
    let sent =
        storage::sendfile(pipe.write, from, Some(&mut offset), 10_000).or_fail("sendfile")?;
    ensure!(sent == 10_000, "sent {sent} into a pipe");
    let mut got = [0; 10_000];
    file::read_full(pipe.read, &mut got).or_fail("read")?;
    ensure!(got == text, "others came out of the pipe");
    close_all(&[from, to, pipe.read, pipe.write])
}

fn send_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    let flags = O_CREAT | O_WRONLY | O_APPEND;
    let append = file::open(c"append", flags, 0o644).or_fail("open")?;
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let mut offset = 0;
    let call = storage::sendfile;
    expect_error("no input", call(fd, Fd(-1), None, 1), Errno::EBADF)?;
    expect_error("no output", call(Fd(-1), fd, None, 1), Errno::EBADF)?;
    expect_error("not readable", call(fd, append, None, 1), Errno::EBADF)?;
    expect_error("not writable", call(pipe.read, fd, None, 1), Errno::EBADF)?;
    expect_error("at the end", call(append, fd, None, 1), Errno::EINVAL)?;
    let placed = call(fd, pipe.read, Some(&mut offset), 1);
    expect_error("a place in a pipe", placed, Errno::ESPIPE)?;
    close_all(&[append, fd, pipe.read, pipe.write])
}

fn copy_range() -> Verdict {
    let from = storage::memfd(0).or_fail("memfd_create")?;
    let to = storage::memfd(0).or_fail("memfd_create")?;
    file::write_all(from, b"0123456789").or_fail("write")?;
    let (mut start, mut target) = (2, 100);
    let copied = storage::copy_file_range((from, Some(&mut start)), (to, Some(&mut target)), 5)
        .or_fail("copy_file_range")?;
    ensure!(
        (copied, start, target) == (5, 7, 105),
        "copied {copied}, then at {start} and {target}"
    );
    let mut bytes = [9; 8];
    file::pread(to, &mut bytes, 98).or_fail("pread")?;
    ensure!(bytes == *b"\0\x0023456\x09", "got {bytes:?}");
    // What is behind the end is not there.
    let mut start = 8;
    let copied =
        storage::copy_file_range((from, Some(&mut start)), (to, None), 5).or_fail("a short one")?;
    ensure!(copied == 2, "copied {copied} of 2");
    let mut start = 10;
    let copied =
        storage::copy_file_range((from, Some(&mut start)), (to, None), 5).or_fail("at the end")?;
    ensure!(copied == 0, "copied {copied} from the end");
    close_all(&[from, to])
}

fn copy_range_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    let directory = file::open(c".", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    file::write_all(fd, b"0123456789").or_fail("write")?;
    let append = O_CREAT | O_RDWR | O_APPEND;
    let append = file::open(c"append", append, 0o644).or_fail("open")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let call = |from, to| {
        let (mut start, mut target) = (0, 2);
        storage::copy_file_range((from, Some(&mut start)), (to, Some(&mut target)), 5)
    };
    expect_error("over itself", call(fd, fd), Errno::EINVAL)?;
    expect_error("a directory", call(directory, fd), Errno::EISDIR)?;
    expect_error("no input", call(Fd(-1), fd), Errno::EBADF)?;
    expect_error("at the end", call(append, append), Errno::EBADF)?;
    let piped = storage::copy_file_range((pipe.read, None), (fd, None), 5);
    expect_error("a pipe", piped, Errno::EINVAL)?;
    close_all(&[directory, fd, append, pipe.read, pipe.write])
}

fn splice_from_file() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    file::write_all(fd, b"0123456789").or_fail("write")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let mut offset = 3;
    let moved =
        storage::splice((fd, Some(&mut offset)), (pipe.write, None), 4, 0).or_fail("splice")?;
    ensure!((moved, offset) == (4, 7), "moved {moved}, then at {offset}");
    let mut bytes = [0; 4];
    file::read_full(pipe.read, &mut bytes).or_fail("read")?;
    ensure!(bytes == *b"3456", "got {bytes:?}");
    let mut offset = 10;
    let moved =
        storage::splice((fd, Some(&mut offset)), (pipe.write, None), 4, 0).or_fail("at the end")?;
    ensure!(moved == 0, "moved {moved} from the end");
    close_all(&[fd, pipe.read, pipe.write])
}

fn splice_to_file() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let empty = storage::splice((pipe.read, None), (fd, None), 4, SPLICE_NONBLOCK);
    expect_error("an empty pipe", empty, Errno::EAGAIN)?;
    file::write_all(pipe.write, b"0123456789").or_fail("write")?;
    let mut offset = 2;
    let moved =
        storage::splice((pipe.read, None), (fd, Some(&mut offset)), 6, 0).or_fail("splice")?;
    ensure!((moved, offset) == (6, 8), "moved {moved}, then at {offset}");
    let mut bytes = [0; 8];
    file::pread(fd, &mut bytes, 0).or_fail("pread")?;
    ensure!(bytes == *b"\0\x00012345", "got {bytes:?}");
    let mut rest = [0; 4];
    file::read_full(pipe.read, &mut rest).or_fail("read")?;
    ensure!(rest == *b"6789", "{rest:?} is left");
    file::close(pipe.write).or_fail("close")?;
    let moved = storage::splice((pipe.read, None), (fd, None), 4, 0).or_fail("of no writer")?;
    ensure!(moved == 0, "moved {moved} from a pipe without a writer");
    close_all(&[fd, pipe.read])
}

fn splice_between_pipes() -> Verdict {
    let (one, two) = (file::pipe().or_fail("pipe")?, file::pipe().or_fail("pipe")?);
    file::write_all(one.write, b"0123456789").or_fail("write")?;
    let moved = storage::splice((one.read, None), (two.write, None), 7, 0).or_fail("splice")?;
    ensure!(moved == 7, "moved {moved}");
    let mut bytes = [0; 7];
    file::read_full(two.read, &mut bytes).or_fail("read")?;
    ensure!(bytes == *b"0123456", "got {bytes:?}");
    let mut bytes = [0; 3];
    file::read_full(one.read, &mut bytes).or_fail("read")?;
    ensure!(bytes == *b"789", "{bytes:?} is left");
    close_all(&[one.read, one.write, two.read, two.write])
}

fn splice_errors() -> Verdict {
    let fd = storage::memfd(0).or_fail("memfd_create")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let mut offset = 0;
    let call = storage::splice;
    expect_error("no pipe", call((fd, None), (fd, None), 1, 0), Errno::EINVAL)?;
    let same = call((pipe.read, None), (pipe.write, None), 1, 0);
    expect_error("one pipe", same, Errno::EINVAL)?;
    let placed = call((pipe.read, Some(&mut offset)), (fd, None), 1, 0);
    expect_error("a place in a pipe", placed, Errno::ESPIPE)?;
    let flags = call((pipe.read, None), (fd, None), 1, 1 << 9);
    expect_error("no such flag", flags, Errno::EINVAL)?;
    let wrong = call((pipe.write, None), (fd, None), 1, 0);
    expect_error("the wrong end", wrong, Errno::EBADF)?;
    close_all(&[fd, pipe.read, pipe.write])
}

fn tee() -> Verdict {
    let (one, two) = (file::pipe().or_fail("pipe")?, file::pipe().or_fail("pipe")?);
    let empty = storage::tee(one.read, two.write, 5, SPLICE_NONBLOCK);
    expect_error("an empty pipe", empty, Errno::EAGAIN)?;
    file::write_all(one.write, b"0123456789").or_fail("write")?;
    let copied = storage::tee(one.read, two.write, 5, 0).or_fail("tee")?;
    ensure!(copied == 5, "copied {copied}");
    let mut bytes = [0; 5];
    file::read_full(two.read, &mut bytes).or_fail("read")?;
    ensure!(bytes == *b"01234", "got {bytes:?}");
    let mut bytes = [0; 10];
    file::read_full(one.read, &mut bytes).or_fail("read")?;
    ensure!(bytes == *b"0123456789", "{bytes:?} is left");
    let same = storage::tee(one.read, one.write, 5, SPLICE_NONBLOCK);
    expect_error("one pipe", same, Errno::EINVAL)?;
    close_all(&[one.read, one.write, two.read, two.write])
}

fn exchange() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"one", b"one", 0o644)?;
    write_file(c"two", b"two", 0o644)?;
    storage::rename_with(c"one", c"two", RENAME_EXCHANGE).or_fail("renameat2")?;
    expect_contents(c"one", b"two")?;
    expect_contents(c"two", b"one")?;
    let call = storage::rename_with;
    expect_error(
        "none there",
        call(c"one", c"none", RENAME_EXCHANGE),
        Errno::ENOENT,
    )?;
    expect_error(
        "one there",
        call(c"one", c"two", RENAME_NOREPLACE),
        Errno::EEXIST,
    )?;
    let both = call(c"one", c"two", RENAME_EXCHANGE | RENAME_NOREPLACE);
    expect_error("both flags", both, Errno::EINVAL)?;
    file::mkdir(c"directory", 0o755).or_fail("mkdir")?;
    call(c"one", c"directory", RENAME_EXCHANGE).or_fail("of a directory and a file")?;
    expect_contents(c"directory", b"two")?;
    file::rmdir(c"one").or_fail("rmdir")
}

/// A program that removes entries as it reads sees each of them.
fn listing_ends() -> Verdict {
    let _scratch = Scratch::enter()?;
    const COUNT: usize = 300;
    for number in 0..COUNT {
        let name = crate::scratch::string(alloc::format!("entry-{number}"));
        write_file(&name, b"", 0o644)?;
    }
    let directory = file::open(c".", O_RDONLY | O_DIRECTORY, 0).or_fail("open")?;
    let mut removed = 0;
    let mut buffer = [0; 512];
    loop {
        let count = file::getdents(directory, &mut buffer).or_fail("getdents64")?;
        if count == 0 {
            break;
        }
        let mut rest = buffer.get(..count).unwrap_or_default();
        while let [.., _] = rest {
            let length = match rest {
                [
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    low,
                    high,
                    ..,
                ] => usize::from(u16::from_ne_bytes([*low, *high])),
                _ => 0,
            };
            let record = rest.get(..length).unwrap_or_default();
            let name = record.get(19..).unwrap_or_default();
            let name = core::ffi::CStr::from_bytes_until_nul(name);
            let name = name.map_err(|_| Errno::EINVAL).or_fail("a record")?;
            if name.to_bytes().starts_with(b"entry-") {
                file::unlink(name).or_fail("unlink")?;
                removed += 1;
            }
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
    ensure!(removed == COUNT, "{removed} of {COUNT} were seen");
    close_all(&[directory])
}
