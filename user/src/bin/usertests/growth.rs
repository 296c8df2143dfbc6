//! What grows by itself or on request: the break and the stack.

use user::cases;
use user::ensure;
use user::sys::memory::{self, PAGE};
use user::sys::signal::Signal;
use user::sys::{Errno, Result, raw};
use user::testing::child::expect_signal;
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Failure, Mapping, Verdict, in_child};

use linux_raw_sys::general as numbers;

use crate::memory::{read, write};

pub const CASES: &[Case] = cases![
    program_break => "memory-break",
    break_errors => "memory-break-errors",
    deep_stack => "memory-deep-stack",
    grows_down => "memory-grows-down",
    guard_gap => "memory-guard-gap",
    grown_rights => "memory-grown-rights",
    growing_errors => "memory-growing-errors",
];

fn set_break(address: usize) -> Result<usize> {
    // SAFETY: the cases only move it above where it was, and back.
    unsafe { memory::set_break(address) }
}

fn program_break() -> Verdict {
    let first = set_break(0).or_fail("brk")?;
    let start = first.next_multiple_of(PAGE);
    let expect = |address| {
        let now = set_break(address).or_fail("brk")?;
        ensure!(
            now == address,
            "asked for {address:#x}, the break is {now:#x}"
        );
        Ok(())
    };
    expect(start + 10 * PAGE)?;
    for page in 0..10 {
        ensure!(read(start + page * PAGE) == 0, "page {page} is not zero");
        write(start + page * PAGE);
    }
    expect(start + 3 * PAGE)?;
    expect_signal(Signal::SIGSEGV, || write(start + 3 * PAGE))?;
    ensure!(
        read(start + 2 * PAGE) == 1,
        "a page below the break has changed"
    );
    // It need not be on a page's border; what comes back is zero.
    expect(start + 4 * PAGE + 100)?;
    ensure!(read(start + 3 * PAGE) == 0, "an old page is seen again");
    write(start + 4 * PAGE + 99);
    expect(first)?;
    expect_signal(Signal::SIGSEGV, || write(start))
}

/// A break that cannot be is answered with the one that is.
fn break_errors() -> Verdict {
    let now = set_break(0).or_fail("brk")?;
    for address in [
        1,
        0x1000,
        usize::MAX,
        0xffff_8000_0000_0000,
        0x7fff_ffff_f000,
    ] {
        let result = set_break(address).or_fail("brk")?;
        ensure!(
            result == now,
            "asked for {address:#x}, the break went from {now:#x} to {result:#x}"
        );
    }
    Ok(())
}

/// The stack grows to some megabytes, and a fork keeps all of it.
fn deep_stack() -> Verdict {
    fn deeper(levels: u64, body: &dyn Fn() -> Verdict) -> Verdict {
        let room = [levels; 512];
        let room = core::hint::black_box(&room);
        match levels {
            0 => body()?,
            _ => deeper(levels - 1, body)?,
        }
        ensure!(
            room.iter().all(|word| *word == levels),
            "level {levels} has changed"
        );
        Ok(())
    }
    // A thousand levels of at least 4 KiB.
    deeper(1000, &|| in_child(|| deeper(100, &|| Ok(()))))
}

const PLACE: usize = 0x2000_1000_0000;

fn raw_map(address: usize, pages: usize, flags: u32) -> Result<usize> {
    let flags = flags | numbers::MAP_ANONYMOUS;
    let rights = numbers::PROT_READ | numbers::PROT_WRITE;
    let arguments = [
        address,
        pages * PAGE,
        rights as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    // SAFETY: the cases map where nothing is.
    unsafe { raw::call(numbers::__NR_mmap, arguments) }
}

/// One page that grows, at `PLACE`.
fn growing() -> core::result::Result<(), Failure> {
    let flags = numbers::MAP_PRIVATE | numbers::MAP_FIXED | numbers::MAP_GROWSDOWN;
    let start = raw_map(PLACE, 1, flags).or_fail("mmap")?;
    ensure!(start == PLACE, "mmap gave {start:#x}");
    Ok(())
}

fn is_mapped(address: usize) -> bool {
    let mut present = 0u8;
    let vector = (&raw mut present) as usize;
    // SAFETY: it writes one byte.
    unsafe { raw::call(numbers::__NR_mincore, [address, PAGE, vector, 0, 0, 0]) }.is_ok()
}

/// An access below it extends the mapping to there, in each process for itself.
fn grows_down() -> Verdict {
    growing()?;
    write(PLACE - 1);
    ensure!(is_mapped(PLACE - PAGE), "it has not grown");
    ensure!(!is_mapped(PLACE - 2 * PAGE), "it has grown too far");
    ensure!(read(PLACE - 10 * PAGE) == 0, "a fresh page is not zero");
    ensure!(is_mapped(PLACE - 5 * PAGE), "there is a hole");
    in_child(|| {
        write(PLACE - 20 * PAGE);
        ensure!(read(PLACE - 1) == 1, "what was there is gone");
        Ok(())
    })?;
    ensure!(!is_mapped(PLACE - 11 * PAGE), "the child's is the parent's");
    expect_signal(Signal::SIGSEGV, || write(PLACE + PAGE))?;
    // By the kernel as well.
    let far = PLACE - 30 * PAGE;
    // SAFETY: it writes into the mapping, where nothing else is.
    let written = unsafe { raw::call(numbers::__NR_getcwd, [far, PAGE, 0, 0, 0, 0]) };
    written.or_fail("getcwd below it")?;
    ensure!(is_mapped(far), "the kernel does not make it grow");
    crate::memory::unmap(far, 31 * PAGE).or_fail("munmap")?;
    expect_signal(Signal::SIGSEGV, || write(PLACE - PAGE))
}

/// It does not grow into the neighbourhood of other memory, and none is put there.
fn guard_gap() -> Verdict {
    const GAP: usize = 256 * PAGE;
    growing()?;
    let neighbour = PLACE - GAP - 10 * PAGE;
    let fixed = numbers::MAP_PRIVATE | numbers::MAP_FIXED_NOREPLACE;
    raw_map(neighbour - PAGE, 1, fixed).or_fail("mmap")?;
    write(neighbour + GAP);
    expect_signal(Signal::SIGSEGV, || write(neighbour + GAP - PAGE))?;
    ensure!(!is_mapped(neighbour + GAP - PAGE), "it has grown");
    let hinted = raw_map(neighbour + 100 * PAGE, 1, numbers::MAP_PRIVATE).or_fail("mmap")?;
    ensure!(
        !(neighbour..PLACE).contains(&hinted),
        "mmap gave {hinted:#x}"
    );
    // A caller that insists gets it.
    let inside = raw_map(neighbour + 100 * PAGE, 1, fixed);
    ensure!(inside == Ok(neighbour + 100 * PAGE), "mmap: {inside:x?}");
    Ok(())
}

/// PROT_GROWSDOWN means all of it, down to where it has grown.
fn grown_rights() -> Verdict {
    growing()?;
    write(PLACE - 3 * PAGE);
    let protect = |address: usize, rights: u32| {
        // SAFETY: the case's own memory.
        unsafe { memory::protect(address, PAGE, memory::Protection(rights)) }
    };
    const DOWN: u32 = numbers::PROT_READ | numbers::PROT_GROWSDOWN;
    protect(PLACE - PAGE, DOWN).or_fail("mprotect")?;
    expect_signal(Signal::SIGSEGV, || write(PLACE - 3 * PAGE))?;
    write(PLACE);
    let area = Mapping::private(1)?;
    let elsewhere = protect(area.page(0), DOWN);
    expect_error("what does not grow", elsewhere, Errno::EINVAL)?;
    let both = protect(PLACE, DOWN | numbers::PROT_GROWSUP);
    expect_error("both ways", both, Errno::EINVAL)
}

fn growing_errors() -> Verdict {
    let shared = raw_map(0, 1, numbers::MAP_SHARED | numbers::MAP_GROWSDOWN);
    expect_error("shared", shared, Errno::EINVAL)
}
