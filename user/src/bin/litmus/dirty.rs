//! The kernel writes user memory, and that memory becomes another one meanwhile (rule M8).
//!
//! - Dirty COW (CVE-2016-5195, fixed by 19be0eaffa3a): the kernel broke the sharing of a private
//!   page to write to it, another thread dropped the copy with `MADV_DONTNEED`, and the kernel, which
//!   believed that it had a copy, wrote to the original: a file that the user must not write, or the
//!   other process's page. Here the kernel writes by `read` from a pipe, and by `/proc/self/mem` where
//!   there is such a file.
//! - A system call that sleeps with a user buffer while another thread forks: the page that the
//!   buffer was in becomes shared. The data belongs to the parent, and must not come out in the
//!   child. Linux pinned the page before it slept in direct I/O, and then the one of the two that
//!   did not write first kept it (70e806e4e645, "mm: Do early cow for pinned pages during fork").

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use user::random::Random;
use user::sys::file::{self, Fd, O_CREAT, O_EXCL, O_RDWR};
use user::sys::memory::{self, MADV_DONTNEED, PAGE, Protection, Sharing};
use user::sys::process;
use user::sys::{Errno, raw};
use user::testing::{Channel, Explain, Failure, Mapping, shared};
use user::{ensure, fail};

use crate::case::Case;
use crate::shapes::{Holders, delay};
use crate::trial::{Ended, Need, Trial};

pub const CASES: &[Case] = &[
    Case {
        name: "dirty-cow-file",
        summary: "the kernel writes a private page of a file against MADV_DONTNEED (CVE-2016-5195)",
        outcomes: &["page as in the file", "page as written", "writes refused"],
        run: dirty_file,
    },
    Case {
        name: "dirty-cow-fork",
        summary: "the same with a page that a child shares: the child's stays as it is",
        outcomes: &["page dropped", "page as written"],
        run: dirty_fork,
    },
    Case {
        name: "sleeping-read",
        summary: "a read sleeps while another thread forks: the data is the parent's alone",
        outcomes: &["buffers checked by children"],
        run: sleeping_read,
    },
];

/// An open file full of zeroes that has no name any more.
pub fn temporary(pages: usize) -> Result<Fd, Failure> {
    let mut name = *b"/tmp/litmus-........\0";
    let mut number = process::getpid().0;
    for digit in name.iter_mut().skip(12).take(8) {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let name = CStr::from_bytes_with_nul(&name).unwrap_or(c"/tmp/litmus");
    let fd = file::open(name, O_RDWR | O_CREAT | O_EXCL, 0o600).or_fail("a file in /tmp")?;
    file::unlink(name).or_fail("unlink")?;
    file::truncate(fd, (pages * PAGE) as u64).or_fail("ftruncate")?;
    Ok(fd)
}

/// What the file holds; no writer writes it.
const ORIGINAL: u64 = 0x6f72_6967_696e_616c;

fn dirty_file(trial: &Trial) -> Ended {
    let fd = temporary(1)?;
    file::pwrite(fd, &ORIGINAL.to_ne_bytes(), 0).or_fail("pwrite")?;
    let map = |protection| memory::map_file(fd, PAGE, protection, Sharing::Private);
    let writable = map(Protection::READ_WRITE).or_fail("mmap of a file")?;
    let read_only = map(Protection::READ).or_fail("mmap of a file")?;
    // SAFETY: no reference exists to the mapping.
    unsafe { memory::advise(writable, PAGE, MADV_DONTNEED) }.or_skip("MADV_DONTNEED")?;
    // With `FOLL_FORCE` this one writes what the program must not.
    let own_memory = file::open(c"/proc/self/mem", O_RDWR, 0).ok();
    let pipe = file::pipe().or_fail("pipe")?;

    let judge = |_| {
        while trial.goes_on() {
            for _ in 0..200 {
                let mut bytes = [0; 8];
                file::pread(fd, &mut bytes, 0).or_fail("pread")?;
                let seen = u64::from_ne_bytes(bytes);
                ensure!(seen == ORIGINAL, "the file itself has {seen:#x}");
                // SAFETY: mapped, and only looked at.
                let seen = unsafe { (writable as *const u64).read_volatile() };
                match seen {
                    ORIGINAL => trial.saw(0),
                    seen if seen >> 32 == WRITTEN => trial.saw(1),
                    other => fail!("the mapping has {other:#x}, which was not written"),
                }
            }
        }
        Ok(())
    };
    let dropper = |_| {
        while !trial.is_stopped() {
            for start in [writable, read_only] {
                // SAFETY: no reference exists to the mappings.
                unsafe { memory::advise(start, PAGE, MADV_DONTNEED) }.or_fail("madvise")?;
            }
        }
        Ok(())
    };
    let writer = |_| {
        let mut count = 0;
        while !trial.is_stopped() {
            count += 1;
            let data = (WRITTEN << 32 | count).to_ne_bytes();
            file::write(pipe.write, &data).or_fail("write to a pipe")?;
            let result = read_to(pipe.read, read_only, data.len());
            ensure!(
                result == Err(Errno::EFAULT),
                "read to a read-only mapping: {result:?}"
            );
            trial.saw(2);
            let result = read_to(pipe.read, writable, data.len());
            ensure!(result == Ok(data.len()), "read to the mapping: {result:?}");
            if let Some(mem) = own_memory {
                // Where it is allowed it changes the private page.
                let _ = file::pwrite(mem, &data, read_only as u64);
            }
            trial.count(1);
        }
        Ok(())
    };
    trial.play_only(&[&judge, &dropper, &writer])
}

/// The upper half of what writers write.
const WRITTEN: u64 = 0x7772_6974;

/// `read` to a place that may not be written.
fn read_to(fd: Fd, address: usize, length: usize) -> Result<usize, Errno> {
    let arguments = [fd.0 as usize, address, length, 0, 0, 0];
    // SAFETY: what is at the address is no memory of Rust's.
    unsafe { raw::call(linux_raw_sys::general::__NR_read, arguments) }
}

fn dirty_fork(trial: &Trial) -> Ended {
    let area = Mapping::private(1)?;
    // SAFETY: no reference exists to the area.
    unsafe { memory::advise(area.page(0), PAGE, MADV_DONTNEED) }.or_skip("MADV_DONTNEED")?;
    let pipe = file::pipe().or_fail("pipe")?;
    let holders = Holders::new()?;

    let forker = |_| {
        let mut random = Random::new(11);
        while trial.goes_on() {
            let look = |first| {
                let seen = area.get(0, 0);
                ensure!(
                    first == seen && (seen == 0 || seen >> 32 == WRITTEN),
                    "the child had {first:#x}, and has {seen:#x} now"
                );
                Ok(())
            };
            let holder = holders.hold_looking(trial, || area.get(0, 0), look)?;
            delay(random.below(20_000));
            holder.release()?;
            trial.count(1);
        }
        Ok(())
    };
    let dropper = |_| {
        while !trial.is_stopped() {
            // SAFETY: as above.
            unsafe { memory::advise(area.page(0), PAGE, MADV_DONTNEED) }.or_fail("madvise")?;
        }
        Ok(())
    };
    let writer = |_| {
        let mut count = 0;
        while !trial.is_stopped() {
            count += 1;
            let data = WRITTEN << 32 | count;
            file::write(pipe.write, &data.to_ne_bytes()).or_fail("write to a pipe")?;
            let result = read_to(pipe.read, area.page(0), 8);
            ensure!(result == Ok(8), "read to the page: {result:?}");
            match area.get(0, 0) {
                0 => trial.saw(0),
                seen if seen == data => trial.saw(1),
                seen => fail!("the page has {seen:#x}, and {data:#x} was read last"),
            }
        }
        Ok(())
    };
    trial.play_only(&[&forker, &dropper, &writer])
}

/// Bytes before the end of a page where the buffer begins.
const BEFORE_EDGE: usize = 100;
const LENGTH: usize = 300;

fn sleeping_read(trial: &Trial) -> Ended {
    let area = Mapping::private(2)?;
    let pipe = file::pipe().or_fail("pipe")?;
    let check = Channel::new()?;
    let about_to_read = shared::place(AtomicU64::new(0))?;
    let has_read = shared::place(AtomicU64::new(0))?;
    let start = area.page(0) + PAGE - BEFORE_EDGE;
    // SAFETY: within the area, to which no reference exists.
    let byte = |at: usize| unsafe { ((start + at) as *const u8).read_volatile() };

    let forker = |_| {
        let mut random = Random::new(13);
        let mut round = 0u64;
        while trial.goes_on() {
            round += 1;
            if !trial.wait_until(|| about_to_read.load(Acquire) == round) {
                break;
            }
            // Mostly it sleeps by then.
            delay(random.below(3000));
            let (old, new) = ((round - 1) as u8, round as u8);
            let child = trial.process(1, || {
                check.receive()?;
                if let Some(at) = (0..LENGTH).find(|at| byte(*at) != old) {
                    fail!(
                        "byte {at} of the child's buffer is {}, {old} before the fork; the parent \
                         has read {new}",
                        byte(at)
                    );
                }
                trial.saw(0);
                Ok(())
            })?;
            file::write_all(pipe.write, &[new; LENGTH]).or_fail("write to a pipe")?;
            let came = trial.wait_until(|| has_read.load(Acquire) == round);
            check.send(0)?;
            child.finish()?;
            if !came {
                break;
            }
            trial.count(1);
        }
        // A reader still gets a value.
        trial.stop();
        file::write_all(pipe.write, &[0; LENGTH]).or_fail("write to a pipe")
    };
    let reader = |_| {
        for round in 1.. {
            about_to_read.store(round, Release);
            let result = read_to(pipe.read, start, LENGTH);
            if trial.is_stopped() {
                break;
            }
            ensure!(result == Ok(LENGTH), "read from a pipe: {result:?}");
            if let Some(at) = (0..LENGTH).find(|at| byte(*at) != round as u8) {
                fail!(
                    "byte {at} of the buffer is {} when {} was read",
                    byte(at),
                    round as u8
                );
            }
            has_read.store(round, Release);
        }
        Ok(())
    };
    about_to_read.store(0, Relaxed);
    trial.play_only(&[&forker, &reader])
}
