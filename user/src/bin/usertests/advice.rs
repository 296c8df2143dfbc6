//! madvise: what is dropped, and what a child gets.

use user::cases;
use user::ensure;
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::signal::Signal;
use user::sys::{Errno, Result};
use user::testing::child::expect_signal;
use user::testing::failure::expect_error;
use user::testing::{Case, Mapping, Verdict, in_child};

use linux_raw_sys::general as numbers;

use crate::memory::write;

pub const CASES: &[Case] = cases![
    drops => "madvise-drops",
    drops_on_one_side => "madvise-drops-on-one-side",
    keeps_shared => "madvise-keeps-shared",
    frees => "madvise-frees",
    children => "madvise-children",
    hints => "madvise-hints",
    holes => "madvise-holes",
    errors => "madvise-errors",
];

const PLACE: usize = 0x2000_0000_0000;

fn advise(address: usize, pages: usize, advice: u32) -> Result<()> {
    // SAFETY: the cases look at their memory by address, and know what they have dropped.
    unsafe { memory::advise(address, pages * PAGE, advice) }
}

fn done(area: &Mapping, first: usize, pages: usize, advice: u32) -> Verdict {
    let outcome = advise(area.page(first), pages, advice);
    ensure!(outcome.is_ok(), "madvise({advice}): {outcome:?}");
    Ok(())
}

fn drops() -> Verdict {
    let area = Mapping::private(600)?;
    area.fill_all(1);
    done(&area, 1, 598, numbers::MADV_DONTNEED)?;
    area.check(0, 1)?;
    area.check(599, 1)?;
    (1..599).try_for_each(|page| area.check_zero(page))?;
    area.fill(300, 2);
    area.check(300, 2)
}

fn drops_on_one_side() -> Verdict {
    let area = Mapping::private(20)?;
    area.fill_all(1);
    in_child(|| {
        done(&area, 0, 10, numbers::MADV_DONTNEED)?;
        area.check_zero(0)?;
        area.check(10, 1)?;
        area.fill(0, 3);
        Ok(())
    })?;
    area.check_all(1)?;
    in_child(|| area.check_all(1))
}

/// What others have is not dropped for them, nor for us.
fn keeps_shared() -> Verdict {
    let area = Mapping::shared(4)?;
    area.fill_all(1);
    done(&area, 0, 4, numbers::MADV_DONTNEED)?;
    area.check_all(1)?;
    expect_error(
        "MADV_FREE of shared memory",
        advise(area.page(0), 1, numbers::MADV_FREE),
        Errno::EINVAL,
    )
}

/// After `MADV_FREE` a page is the old one or empty, and what is written stays.
fn frees() -> Verdict {
    let area = Mapping::private(8)?;
    area.fill_all(1);
    done(&area, 0, 8, numbers::MADV_FREE)?;
    (0..4).for_each(|page| area.fill(page, 2));
    (0..4).try_for_each(|page| area.check(page, 2))?;
    for page in 4..8 {
        let empty = area.check_zero(page).is_ok();
        ensure!(
            empty || area.check(page, 1).is_ok(),
            "page {page} is neither"
        );
    }
    Ok(())
}

fn children() -> Verdict {
    let area = Mapping::private(600)?;
    area.fill_all(1);
    done(&area, 10, 2, numbers::MADV_DONTFORK)?;
    done(&area, 100, 400, numbers::MADV_WIPEONFORK)?;
    in_child(|| {
        area.check(9, 1)?;
        expect_signal(Signal::SIGSEGV, || write(area.page(10)))?;
        expect_signal(Signal::SIGSEGV, || write(area.page(11)))?;
        area.check(12, 1)?;
        (100..500).try_for_each(|page| area.check_zero(page))?;
        area.check(500, 1)?;
        area.fill(100, 2);
        // It goes on for the child's children.
        in_child(|| area.check_zero(100))?;
        area.check(100, 2)
    })?;
    area.check_all(1)?;
    done(&area, 0, 600, numbers::MADV_DOFORK)?;
    done(&area, 0, 600, numbers::MADV_KEEPONFORK)?;
    in_child(|| area.check_all(1))
}

fn hints() -> Verdict {
    let area = Mapping::private(4)?;
    area.fill_all(1);
    for advice in [
        numbers::MADV_NORMAL,
        numbers::MADV_RANDOM,
        numbers::MADV_SEQUENTIAL,
        numbers::MADV_WILLNEED,
        numbers::MADV_DONTDUMP,
        numbers::MADV_DODUMP,
        numbers::MADV_COLD,
    ] {
        done(&area, 0, 4, advice)?;
    }
    area.check_all(1)
}

/// All that is mapped is done, and then the hole complained of.
fn holes() -> Verdict {
    let area = Mapping::private(6)?;
    area.fill_all(1);
    area.unmap(2, 1)?;
    for advice in [numbers::MADV_DONTNEED, numbers::MADV_NORMAL] {
        let advised = advise(area.page(1), 4, advice);
        expect_error("a hole", advised, Errno::ENOMEM)?;
    }
    for page in [1, 3, 4] {
        area.check_zero(page)?;
    }
    area.check(0, 1)?;
    area.check(5, 1)
}

fn errors() -> Verdict {
    const DROP: u32 = numbers::MADV_DONTNEED;
    let area = Mapping::private_at(PLACE, 1)?;
    area.fill_all(1);
    expect_error("no such advice", advise(PLACE, 1, 77), Errno::EINVAL)?;
    expect_error("odd start", advise(PLACE + 1, 1, DROP), Errno::EINVAL)?;
    expect_error("nothing there", advise(2 * PLACE, 1, DROP), Errno::ENOMEM)?;
    let kernel = 0xffff_8000_0000_0000;
    expect_error("kernel", advise(kernel, 1, DROP), Errno::ENOMEM)?;
    // SAFETY: they drop nothing.
    let endless = |length| unsafe { memory::advise(PLACE, length, DROP) };
    expect_error("below zero", endless(usize::MAX), Errno::EINVAL)?;
    expect_error("around", endless(usize::MAX - PLACE), Errno::EINVAL)?;
    ensure!(endless(0) == Ok(()), "nothing of nothing: {:?}", endless(0));
    let start = memory::map(PAGE, Protection::READ_WRITE, Sharing::Shared);
    let Ok(shared) = start else {
        user::fail!("mmap: {start:?}");
    };
    for advice in [numbers::MADV_WIPEONFORK, numbers::MADV_FREE] {
        expect_error("of shared memory", advise(shared, 1, advice), Errno::EINVAL)?;
    }
    crate::memory::unmap(shared, PAGE).or_else(|errno| user::fail!("munmap: {errno:?}"))?;
    area.check_all(1)
}
