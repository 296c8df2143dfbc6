//! Calls about memory are given ranges that cannot be: absurd lengths, sums that wrap, places
//! that belong to no program. None may harm another than the caller.

use linux_raw_sys::general as numbers;

use user::sys::memory::PAGE;
use user::sys::process::{self, Status};
use user::sys::raw;
use user::sys::signal::Signal;
use user::testing::{Case, Explain, Mapping, Verdict};
use user::{cases, ensure, fail};

use crate::places::NOWHERE;

pub const CASES: &[Case] = cases![
    ranges => "absurd-ranges",
    moves => "absurd-moves",
];

const LENGTHS: &[usize] = &[
    0,
    1,
    PAGE,
    1 << 36,
    1 << 47,
    1 << 63,
    usize::MAX - 2 * PAGE,
    0usize.wrapping_sub(PAGE),
    usize::MAX,
];

/// Runs the calls in a child, which may lose all its memory by them. Ours stays as it is.
fn in_victim(calls: impl FnOnce()) -> Verdict {
    let area = Mapping::private(4)?;
    area.fill_all(1);
    let victim = process::spawn(|| {
        calls();
        0
    })
    .or_fail("fork")?;
    let (_, status) = process::wait_for(victim).or_fail("wait")?;
    match status {
        Status::Exited(0) | Status::Killed(Signal::SIGSEGV | Signal::SIGBUS) => {}
        status => fail!("the victim ended with {status}"),
    }
    area.check_all(1)
}

fn call(number: u32, arguments: [usize; 6]) -> user::sys::Result<usize> {
    // SAFETY: only in a child that is there for this, and makes no use of its memory.
    unsafe { raw::call(number, arguments) }
}

fn ranges() -> Verdict {
    let calls: &[(u32, usize)] = &[
        (numbers::__NR_munmap, 0),
        (numbers::__NR_mprotect, numbers::PROT_NONE as usize),
        (numbers::__NR_mprotect, numbers::PROT_GROWSDOWN as usize),
        (numbers::__NR_madvise, numbers::MADV_DONTNEED as usize),
        (numbers::__NR_madvise, numbers::MADV_DONTFORK as usize),
        (numbers::__NR_madvise, numbers::MADV_POPULATE_WRITE as usize),
        (numbers::__NR_msync, numbers::MS_SYNC as usize),
        (numbers::__NR_mincore, 8),
        (numbers::__NR_mlock, 0),
        (numbers::__NR_munlock, 0),
        (numbers::__NR_brk, 0),
    ];
    for (number, argument) in calls {
        in_victim(|| {
            for (_, place) in NOWHERE {
                for length in LENGTHS {
                    let _ = call(*number, [*place, *length, *argument, 0, 0, 0]);
                }
            }
        })?;
    }
    Ok(())
}

/// Each place is tried as the old one and as the new one.
fn moves() -> Verdict {
    const FLAGS: [u32; 4] = [
        0,
        numbers::MREMAP_MAYMOVE,
        numbers::MREMAP_MAYMOVE | numbers::MREMAP_FIXED,
        numbers::MREMAP_MAYMOVE | numbers::MREMAP_DONTUNMAP,
    ];
    let area = Mapping::private(4)?;
    let (ours, size) = (area.page(0), 4 * PAGE);
    for flags in FLAGS.map(|flags| flags as usize) {
        in_victim(|| {
            for (_, place) in NOWHERE {
                for length in LENGTHS {
                    let remap = |arguments| call(numbers::__NR_mremap, arguments);
                    let _ = remap([*place, size, *length, flags, ours, 0]);
                    let _ = remap([*place, *length, size, flags, ours, 0]);
                    let _ = remap([ours, *length, *length, flags, *place, 0]);
                    let _ = remap([ours, size, *length, flags, *place, 0]);
                }
            }
        })?;
    }
    // What fails changes nothing.
    area.fill_all(2);
    for (name, place) in NOWHERE {
        let fixed = (numbers::MREMAP_MAYMOVE | numbers::MREMAP_FIXED) as usize;
        let moved = call(numbers::__NR_mremap, [*place, size, size, fixed, ours, 0]);
        ensure!(moved.is_err(), "{name} was moved: {moved:x?}");
    }
    area.check_all(2)
}
