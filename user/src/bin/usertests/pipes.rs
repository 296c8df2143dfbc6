//! Pipes.

use user::cases;
use user::ensure;
use user::random::{Random, mix};
use user::sys::Errno;
use user::sys::file::{
    self, FD_CLOEXEC, Fd, O_CLOEXEC, O_NONBLOCK, Pipe, S_IFIFO, S_IFMT, SEEK_CUR,
};
use user::sys::process::{self, Pid};
use user::sys::signal::{self, Disposition, Signal};
use user::sys::system;
use user::testing::child::{self, expect_signal};
use user::testing::failure::expect_error;
use user::testing::{Case, Channel, Explain, Verdict, in_child};

pub const CASES: &[Case] = cases![
    transfer => "pipe-transfer",
    end_of_file => "pipe-end-of-file",
    end_wakes_reader => "pipe-end-wakes-reader",
    broken => "pipe-broken",
    broken_wakes_writer => "pipe-broken-wakes-writer",
    capacity => "pipe-capacity",
    empty_does_not_block => "pipe-empty-does-not-block",
    reader_waits => "pipe-reader-waits",
    writer_waits => "pipe-writer-waits",
    large => "pipe-large",
    odd_pieces => "pipe-odd-pieces",
    small_writes_are_whole => "pipe-small-writes-are-whole",
    many_readers => "pipe-many-readers",
    chain => "pipe-chain",
    ring => "pipe-ring",
    wrong_end => "pipe-wrong-end",
    flags => "pipe-flags",
    nothing => "pipe-nothing",
    no_position => "pipe-no-position",
    copies_keep_it_open => "pipe-copies-keep-it-open",
    vectors => "pipe-vectors",
];

fn close(pipe: Pipe) -> Verdict {
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")
}

fn transfer() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    for text in [b"one".as_slice(), b"and another", b""] {
        let count = file::write(pipe.write, text).or_fail("write")?;
        ensure!(count == text.len(), "wrote {count} of {}", text.len());
    }
    let mut bytes = [0; 64];
    let count = file::read(pipe.read, &mut bytes).or_fail("read")?;
    ensure!(
        bytes.get(..count) == Some(b"oneand another".as_slice()),
        "read {count} others"
    );
    close(pipe)
}

fn end_of_file() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    file::write(pipe.write, b"last words").or_fail("write")?;
    file::close(pipe.write).or_fail("close")?;
    let mut bytes = [0; 64];
    let count = file::read(pipe.read, &mut bytes).or_fail("read")?;
    ensure!(count == 10, "read {count} bytes of 10");
    for _ in 0..3 {
        let count = file::read(pipe.read, &mut bytes).or_fail("read")?;
        ensure!(count == 0, "read {count} bytes after the end");
    }
    file::close(pipe.read).or_fail("close")
}

fn end_wakes_reader() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let pid = child::start(|| {
        file::close(pipe.write).or_fail("close")?;
        let count = file::read(pipe.read, &mut [0]).or_fail("read")?;
        ensure!(count == 0, "read {count} bytes");
        Ok(())
    })?;
    system::sleep_ms(10);
    close(pipe)?;
    child::finish(pid)
}

fn broken() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    file::close(pipe.read).or_fail("close")?;
    expect_signal(Signal::SIGPIPE, || {
        let _ = file::write(pipe.write, b"x");
    })?;
    in_child(|| {
        signal::set_disposition(Signal::SIGPIPE, Disposition::Ignore).or_fail("ignore")?;
        expect_error("write", file::write(pipe.write, b"x"), Errno::EPIPE)
    })?;
    file::close(pipe.write).or_fail("close")
}

fn broken_wakes_writer() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let started = Channel::new()?;
    let pid = child::start(|| {
        file::close(pipe.read).or_fail("close")?;
        signal::set_disposition(Signal::SIGPIPE, Disposition::Ignore).or_fail("ignore")?;
        started.send(0)?;
        let block = [1; 4096];
        loop {
            if let Err(errno) = file::write(pipe.write, &block) {
                ensure!(errno == Errno::EPIPE, "write: {errno:?}");
                return Ok(());
            }
        }
    })?;
    started.receive()?;
    system::sleep_ms(20);
    close(pipe)?;
    child::finish(pid)
}

fn capacity() -> Verdict {
    let pipe = file::pipe2(O_NONBLOCK).or_fail("pipe2")?;
    let block = [7; 512];
    let mut held = 0;
    loop {
        match file::write(pipe.write, &block) {
            Ok(count) => held += count,
            Err(Errno::EAGAIN) => break,
            Err(errno) => return Err(errno).or_fail("write"),
        }
        ensure!(held <= 16 << 20, "a pipe that holds {held} bytes");
    }
    // POSIX promises that writes of PIPE_BUF bytes are possible at all.
    ensure!(held >= 4096, "it holds only {held} bytes");
    let mut got = 0;
    let mut bytes = [0; 1000];
    loop {
        match file::read(pipe.read, &mut bytes) {
            Ok(count) => {
                let wrong = bytes.iter().take(count).filter(|byte| **byte != 7).count();
                ensure!(wrong == 0, "{wrong} wrong bytes at {got}");
                got += count;
            }
            Err(Errno::EAGAIN) => break,
            Err(errno) => return Err(errno).or_fail("read"),
        }
    }
    ensure!(got == held, "{held} bytes went in and {got} came out");
    close(pipe)
}

fn empty_does_not_block() -> Verdict {
    let pipe = file::pipe2(O_NONBLOCK).or_fail("pipe2")?;
    expect_error("read", file::read(pipe.read, &mut [0]), Errno::EAGAIN)?;
    file::close(pipe.write).or_fail("close")?;
    let count = file::read(pipe.read, &mut [0]).or_fail("read at the end")?;
    ensure!(count == 0, "read {count} bytes");
    file::close(pipe.read).or_fail("close")
}

fn reader_waits() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let pid = child::start(|| {
        system::sleep_ms(20);
        file::write(pipe.write, b"late").or_fail("write").map(drop)
    })?;
    let mut bytes = [0; 16];
    let count = file::read(pipe.read, &mut bytes).or_fail("read")?;
    ensure!(
        bytes.get(..count) == Some(b"late".as_slice()),
        "read {count} bytes"
    );
    child::finish(pid)?;
    close(pipe)
}

fn writer_waits() -> Verdict {
    const TOTAL: usize = 300_000;
    let pipe = file::pipe().or_fail("pipe")?;
    let pid = child::start(|| {
        file::close(pipe.read).or_fail("close")?;
        let block = [3; 3000];
        (0..TOTAL / block.len())
            .try_for_each(|_| file::write_all(pipe.write, &block).or_fail("write"))
    })?;
    file::close(pipe.write).or_fail("close")?;
    // The pipe fills up meanwhile.
    system::sleep_ms(20);
    let mut total = 0;
    let mut bytes = [0; 777];
    loop {
        match file::read(pipe.read, &mut bytes).or_fail("read")? {
            0 => break,
            count => total += count,
        }
    }
    file::close(pipe.read).or_fail("close")?;
    child::finish(pid)?;
    ensure!(total == TOTAL, "{total} bytes came of {TOTAL}");
    Ok(())
}

/// The byte at a place of a long stream.
fn stream(place: usize) -> u8 {
    mix(place as u64 / 8).to_le_bytes()[place % 8]
}

/// A long stream in pieces of sizes that the writer and the reader choose for themselves.
fn pieces(
    total: usize,
    mut next_write: impl FnMut() -> usize,
    mut next_read: impl FnMut() -> usize,
) -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let pid = child::start(|| {
        file::close(pipe.read).or_fail("close")?;
        let mut block = [0; 8192];
        let mut place = 0;
        while place < total {
            let length = next_write().clamp(1, block.len()).min(total - place);
            for (offset, byte) in block.iter_mut().take(length).enumerate() {
                *byte = stream(place + offset);
            }
            file::write_all(pipe.write, block.get(..length).unwrap_or_default())
                .or_fail("write")?;
            place += length;
        }
        Ok(())
    })?;
    file::close(pipe.write).or_fail("close")?;
    let mut block = [0; 8192];
    let mut place = 0;
    loop {
        let length = next_read().clamp(1, block.len());
        let room = block.get_mut(..length).unwrap_or_default();
        let count = file::read(pipe.read, room).or_fail("read")?;
        if count == 0 {
            break;
        }
        for byte in block.iter().take(count) {
            ensure!(*byte == stream(place), "byte {place} is wrong");
            place += 1;
        }
    }
    file::close(pipe.read).or_fail("close")?;
    child::finish(pid)?;
    ensure!(place == total, "{place} bytes came of {total}");
    Ok(())
}

fn large() -> Verdict {
    pieces(1 << 20, || 8192, || 8192)
}

fn odd_pieces() -> Verdict {
    let (mut one, mut other) = (Random::new(1), Random::new(2));
    pieces(
        200_000,
        || one.below(6000) as usize,
        || other.below(3000) as usize,
    )
}

/// Writes of at most PIPE_BUF bytes do not mix (POSIX, write).
fn small_writes_are_whole() -> Verdict {
    const WRITERS: usize = 4;
    const RECORDS: usize = 150;
    const SIZE: usize = 512;
    let pipe = file::pipe().or_fail("pipe")?;
    let mut pids = [Pid(0); WRITERS];
    for (number, pid) in pids.iter_mut().enumerate() {
        *pid = child::start(|| {
            (0..RECORDS).try_for_each(|record| {
                let bytes = [(number * RECORDS + record) as u8 ^ number as u8; SIZE];
                let count = file::write(pipe.write, &bytes).or_fail("write")?;
                ensure!(count == SIZE, "wrote {count} bytes");
                Ok(())
            })
        })?;
    }
    file::close(pipe.write).or_fail("close")?;
    let mut bytes = [0; SIZE];
    let mut records = 0;
    while file::read_full(pipe.read, &mut bytes).or_fail("read")? == SIZE {
        ensure!(
            bytes.iter().all(|byte| *byte == bytes[0]),
            "record {records} is mixed"
        );
        records += 1;
    }
    file::close(pipe.read).or_fail("close")?;
    pids.into_iter().try_for_each(child::finish)?;
    ensure!(records == WRITERS * RECORDS, "{records} records came");
    Ok(())
}

/// Each number goes to one reader, and none is lost.
fn many_readers() -> Verdict {
    const READERS: usize = 5;
    const NUMBERS: u64 = 500;
    let (work, sums) = (file::pipe().or_fail("pipe")?, Channel::new()?);
    let mut pids = [Pid(0); READERS];
    for pid in &mut pids {
        *pid = child::start(|| {
            file::close(work.write).or_fail("close")?;
            let (mut sum, mut bytes) = (0, [0; 8]);
            while file::read(work.read, &mut bytes).or_fail("read")? == 8 {
                sum += u64::from_ne_bytes(bytes);
            }
            sums.send(sum)
        })?;
    }
    for number in 1..=NUMBERS {
        file::write_all(work.write, &number.to_ne_bytes()).or_fail("write")?;
    }
    close(work)?;
    let mut sum = 0;
    for _ in 0..READERS {
        sum += sums.receive()?;
    }
    pids.into_iter().try_for_each(child::finish)?;
    ensure!(sum == NUMBERS * (NUMBERS + 1) / 2, "the sum is {sum}");
    Ok(())
}

/// Processes in a row hand numbers on, each adding one.
fn chain() -> Verdict {
    const LINKS: usize = 10;
    let first = Channel::new()?;
    let mut pids = [Pid(0); LINKS];
    let mut input = first.reader();
    for pid in &mut pids {
        let output = file::pipe().or_fail("pipe")?;
        *pid = child::start(|| {
            for _ in 0..50 {
                let mut bytes = [0; 8];
                file::read_full(input, &mut bytes).or_fail("read")?;
                let number = u64::from_ne_bytes(bytes) + 1;
                file::write_all(output.write, &number.to_ne_bytes()).or_fail("write")?;
            }
            Ok(())
        })?;
        file::close(output.write).or_fail("close")?;
        if input != first.reader() {
            file::close(input).or_fail("close")?;
        }
        input = output.read;
    }
    let verdict = (0..50).try_for_each(|number| {
        first.send(number * 100)?;
        let mut bytes = [0; 8];
        file::read_full(input, &mut bytes).or_fail("read")?;
        let result = u64::from_ne_bytes(bytes);
        ensure!(
            result == number * 100 + LINKS as u64,
            "{result} came of {number}"
        );
        Ok(())
    });
    file::close(input).or_fail("close")?;
    verdict?;
    pids.into_iter().try_for_each(child::finish)
}

/// A token goes round and round.
fn ring() -> Verdict {
    const SIZE: usize = 5;
    const LAPS: u64 = 100;
    let mut storage = [const { None }; SIZE];
    for slot in &mut storage {
        *slot = Some(Channel::new()?);
    }
    let link = |number: usize| storage.get(number % SIZE).and_then(Option::as_ref);
    let mut pids = [Pid(0); SIZE];
    for (number, pid) in pids.iter_mut().enumerate() {
        *pid = child::start(|| {
            let (Some(input), Some(output)) = (link(number), link(number + 1)) else {
                return Ok(());
            };
            (0..LAPS).try_for_each(|_| output.send(input.receive()? + 1))
        })?;
    }
    let Some(first) = link(0) else {
        return Ok(());
    };
    first.send(0)?;
    pids.into_iter().try_for_each(child::finish)?;
    let count = first.receive()?;
    ensure!(count == LAPS * SIZE as u64, "the token says {count}");
    Ok(())
}

fn wrong_end() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    expect_error(
        "write to the reading end",
        file::write(pipe.read, b"x"),
        Errno::EBADF,
    )?;
    expect_error(
        "read from the writing end",
        file::read(pipe.write, &mut [0]),
        Errno::EBADF,
    )?;
    close(pipe)
}

fn flags() -> Verdict {
    let pipe = file::pipe2(O_CLOEXEC | O_NONBLOCK).or_fail("pipe2")?;
    for fd in [pipe.read, pipe.write] {
        let flags = file::descriptor_flags(fd).or_fail("F_GETFD")?;
        ensure!(flags == FD_CLOEXEC, "descriptor flags {flags:#x}");
        let flags = file::file_flags(fd).or_fail("F_GETFL")?;
        ensure!(flags & O_NONBLOCK != 0, "file flags {flags:#x}");
        file::set_file_flags(fd, 0).or_fail("F_SETFL")?;
        let flags = file::file_flags(fd).or_fail("F_GETFL")?;
        ensure!(flags & O_NONBLOCK == 0, "file flags {flags:#x} after all");
    }
    close(pipe)?;
    expect_error("pipe2", file::pipe2(0xf000_0000), Errno::EINVAL)
}

fn nothing() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let count = file::write(pipe.write, b"").or_fail("write")?;
    ensure!(count == 0, "wrote {count} bytes of none");
    let count = file::read(pipe.read, &mut []).or_fail("read")?;
    ensure!(count == 0, "read {count} bytes of none");
    close(pipe)
}

fn no_position() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    expect_error("lseek", file::seek(pipe.read, 0, SEEK_CUR), Errno::ESPIPE)?;
    expect_error("pread", file::pread(pipe.read, &mut [0], 0), Errno::ESPIPE)?;
    expect_error("pwrite", file::pwrite(pipe.write, b"x", 0), Errno::ESPIPE)?;
    let stat = file::fstat(pipe.read).or_fail("fstat")?;
    ensure!(stat.st_mode & S_IFMT == S_IFIFO, "mode {:#o}", stat.st_mode);
    close(pipe)
}

fn copies_keep_it_open() -> Verdict {
    let pipe = file::pipe2(O_NONBLOCK).or_fail("pipe2")?;
    let copy: Fd = file::dup(pipe.write).or_fail("dup")?;
    file::close(pipe.write).or_fail("close")?;
    expect_error("read", file::read(pipe.read, &mut [0]), Errno::EAGAIN)?;
    file::write(copy, b"x").or_fail("write to the copy")?;
    file::close(copy).or_fail("close")?;
    let count = file::read(pipe.read, &mut [0; 4]).or_fail("read")?;
    ensure!(count == 1, "read {count} bytes");
    let count = file::read(pipe.read, &mut [0; 4]).or_fail("read")?;
    ensure!(count == 0, "read {count} bytes after the end");
    file::close(pipe.read).or_fail("close")
}

fn vectors() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let count = file::writev(pipe.write, &[b"one ", b"", b"two ", b"three"]).or_fail("writev")?;
    ensure!(count == 13, "wrote {count} bytes");
    let (mut first, mut second) = ([0; 6], [0; 20]);
    let count = file::readv(pipe.read, &mut [&mut first, &mut second]).or_fail("readv")?;
    ensure!(count == 13, "read {count} bytes");
    ensure!(
        &first == b"one tw" && second.starts_with(b"o three\0"),
        "the bytes are wrong"
    );
    process::sched_yield();
    close(pipe)
}
