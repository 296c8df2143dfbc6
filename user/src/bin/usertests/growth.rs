//! What grows by itself or on request: the break and the stack.

use user::cases;
use user::ensure;
use user::sys::Result;
use user::sys::memory::{self, PAGE};
use user::sys::signal::Signal;
use user::testing::child::expect_signal;
use user::testing::{Case, Explain, Verdict, in_child};

use crate::memory::{read, write};

pub const CASES: &[Case] = cases![
    program_break => "memory-break",
    break_errors => "memory-break-errors",
    deep_stack => "memory-deep-stack",
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
