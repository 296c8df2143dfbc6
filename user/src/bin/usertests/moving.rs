//! mremap: mappings that shrink, grow and move.

use user::cases;
use user::ensure;
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::signal::Signal;
use user::sys::{Errno, Result};
use user::testing::child::{self, expect_signal};
use user::testing::failure::expect_error;
use user::testing::{Case, Channel, Explain, Mapping, Verdict, in_child, pagemap};

use linux_raw_sys::general::{MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE};

use crate::memory::{read, unmap, write};

pub const CASES: &[Case] = cases![
    shrinks_and_grows => "mremap-shrinks-and-grows",
    moves => "mremap-moves",
    replaces => "mremap-replaces",
    keeps_sharing => "mremap-keeps-sharing",
    whole_tables => "mremap-whole-tables",
    shared_memory => "mremap-shared-memory",
    keeps_the_old_place => "mremap-keeps-the-old-place",
    errors => "mremap-errors",
    many_times => "mremap-many-times",
];

/// Far from everything that the kernel hands out by itself.
const PLACE: usize = 0x2000_0000_0000;
const MOVE_TO: u32 = MREMAP_MAYMOVE | MREMAP_FIXED;

fn remap(start: usize, old: usize, new: usize, flags: u32, place: usize) -> Result<usize> {
    // SAFETY: the cases use their mappings by address, and know where they are.
    unsafe { memory::remap(start, old * PAGE, new * PAGE, flags, place) }
}

fn mapped(pages: usize) -> core::result::Result<usize, user::testing::Failure> {
    let start = memory::map(pages * PAGE, Protection::READ_WRITE, Sharing::Private);
    start.or_fail("mmap")
}

fn mark(start: usize, pages: usize) {
    (0..pages).for_each(|page| set(start + page * PAGE, page as u8 + 1));
}

fn set(address: usize, value: u8) {
    // SAFETY: mapped by the case, or else the end of the process.
    unsafe { (address as *mut u8).write_volatile(value) }
}

fn check(start: usize, pages: usize) -> Verdict {
    for page in 0..pages {
        let found = read(start + page * PAGE);
        ensure!(found == page as u8 + 1, "page {page} has {found}");
    }
    Ok(())
}

fn expect_place(what: &str, placed: Result<usize>, expected: usize) -> Verdict {
    ensure!(
        placed == Ok(expected),
        "{what}: {placed:x?}, not {expected:#x}"
    );
    Ok(())
}

fn shrinks_and_grows() -> Verdict {
    let area = Mapping::private_at(PLACE, 8)?;
    mark(PLACE, 8);
    expect_place("shrink", remap(PLACE, 8, 3, 0, 0), PLACE)?;
    expect_signal(Signal::SIGSEGV, || write(PLACE + 3 * PAGE))?;
    expect_place("grow", remap(PLACE, 3, 6, 0, 0), PLACE)?;
    check(PLACE, 3)?;
    ensure!(read(PLACE + 3 * PAGE) == 0, "an old page is seen again");
    expect_place("nothing", remap(PLACE, 6, 6, 0, 0), PLACE)?;
    let wall = Mapping::private_at(PLACE + 6 * PAGE, 1)?;
    wall.protect(0, 1, Protection::READ)?;
    expect_error("no room", remap(PLACE, 6, 7, 0, 0), Errno::ENOMEM)?;
    let moved = remap(PLACE, 6, 700, MREMAP_MAYMOVE, 0).or_fail("mremap")?;
    ensure!(moved != PLACE, "it grew over its neighbour");
    check(moved, 3)?;
    write(moved + 699 * PAGE);
    expect_signal(Signal::SIGSEGV, || write(PLACE))?;
    drop(area);
    unmap(moved, 700 * PAGE).or_fail("munmap")
}

fn moves() -> Verdict {
    let start = mapped(5)?;
    mark(start, 5);
    let frame = pagemap::frame(start + PAGE)?;
    expect_place("mremap", remap(start, 5, 5, MOVE_TO, PLACE), PLACE)?;
    check(PLACE, 5)?;
    pagemap::expect_same("a page that moves", frame, pagemap::frame(PLACE + PAGE)?)?;
    for page in [0, 4] {
        expect_signal(Signal::SIGSEGV, || write(start + page * PAGE))?;
    }
    // Part of it, and back.
    expect_place(
        "part",
        remap(PLACE + PAGE, 2, 2, MOVE_TO, start + PAGE),
        start + PAGE,
    )?;
    expect_signal(Signal::SIGSEGV, || write(PLACE + PAGE))?;
    ensure!(read(start + 2 * PAGE) == 3, "the wrong page has moved");
    ensure!(read(PLACE + 3 * PAGE) == 4, "too much has moved");
    unmap(start, 5 * PAGE).or_fail("munmap")?;
    unmap(PLACE, 5 * PAGE).or_fail("munmap")
}

fn replaces() -> Verdict {
    let start = mapped(3)?;
    mark(start, 3);
    let area = Mapping::private_at(PLACE, 6)?;
    (0..6).for_each(|page| set(area.page(page), 99));
    expect_place(
        "mremap",
        remap(start, 3, 2, MOVE_TO, area.page(1)),
        area.page(1),
    )?;
    let found = [0, 1, 2, 3].map(|page| read(area.page(page)));
    ensure!(found == [99, 1, 2, 99], "found {found:?}");
    expect_signal(Signal::SIGSEGV, || write(start + 2 * PAGE))
}

/// What parent and child share moves in one of them, and stays shared.
fn keeps_sharing() -> Verdict {
    let start = mapped(600)?;
    mark(start, 200);
    let back = Channel::new()?;
    let go = Channel::new()?;
    let reader = child::start(|| {
        go.receive()?;
        check(start, 200)?;
        (0..200).for_each(|page| set(start + page * PAGE, 0));
        back.send(1)
    })?;
    let frame = pagemap::frame(start + PAGE)?;
    expect_place(
        "mremap",
        remap(start, 600, 600, MOVE_TO, PLACE + PAGE),
        PLACE + PAGE,
    )?;
    let now = pagemap::frame(PLACE + 2 * PAGE)?;
    pagemap::expect_same("a shared page that moves", frame, now)?;
    set(PLACE + PAGE, 77);
    go.send(1)?;
    back.receive()?;
    ensure!(read(PLACE + PAGE) == 77, "the child's write is seen");
    set(PLACE + PAGE, 1);
    check(PLACE + PAGE, 200)?;
    child::finish(reader)?;
    in_child(|| check(PLACE + PAGE, 200))?;
    unmap(PLACE + PAGE, 600 * PAGE).or_fail("munmap")
}

fn whole_tables() -> Verdict {
    const PAGES: usize = 4 * 512;
    let area = Mapping::private_at(PLACE - PAGE, PAGES + 2)?;
    let touched = [0, 1, 2, 512, 1500, PAGES, PAGES + 1];
    touched
        .iter()
        .for_each(|page| area.set(*page, 0, *page as u64 + 1));
    let to = 2 * PLACE - PAGE;
    in_child(|| {
        expect_place(
            "mremap",
            remap(PLACE - PAGE, PAGES + 2, PAGES + 2, MOVE_TO, to),
            to,
        )?;
        for page in touched {
            let found = read(to + page * PAGE);
            ensure!(found == (page + 1) as u8, "page {page} has {found}");
            write(to + page * PAGE);
        }
        ensure!(read(to + 600 * PAGE) == 0, "a fresh page is not zero");
        expect_signal(Signal::SIGSEGV, || write(PLACE + 512 * PAGE))
    })?;
    for page in touched {
        let found = area.get(page, 0);
        ensure!(found == page as u64 + 1, "page {page} has {found}");
    }
    Ok(())
}

/// A length of nothing maps shared memory once more.
fn shared_memory() -> Verdict {
    let area = Mapping::shared(4)?;
    area.fill(1, 5);
    let twin = remap(area.page(1), 0, 2, MREMAP_MAYMOVE, 0).or_fail("mremap of shared memory")?;
    in_child(|| {
        set(twin + PAGE, 9);
        expect_place("mremap", remap(twin, 2, 2, MOVE_TO, PLACE), PLACE)?;
        set(PLACE + PAGE + 1, 10);
        in_child(|| {
            set(PLACE + PAGE + 2, 11);
            Ok(())
        })
    })?;
    let found = area.get(2, 0) & 0xff_ffff;
    ensure!(found == 0x0b_0a_09, "found {found:#x}");
    area.check(1, 5)?;
    area.unmap(0, 4)?;
    ensure!(
        read(twin + PAGE) == 9,
        "the memory went with its first place"
    );
    // Beyond the end of what is shared.
    let longer = remap(twin, 2, 4, MREMAP_MAYMOVE, 0).or_fail("mremap")?;
    expect_signal(Signal::SIGBUS, || write(longer + 3 * PAGE))?;
    unmap(longer, 4 * PAGE).or_fail("munmap")
}

fn keeps_the_old_place() -> Verdict {
    let start = mapped(4)?;
    mark(start, 4);
    const KEEP: u32 = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
    let moved = remap(start, 4, 4, KEEP, 0).or_fail("mremap")?;
    check(moved, 4)?;
    ensure!(read(start + PAGE) == 0, "the old place is not empty");
    set(start, 50);
    ensure!(read(moved) == 1, "both places are one");
    expect_place(
        "to a place",
        remap(start, 4, 4, KEEP | MREMAP_FIXED, PLACE),
        PLACE,
    )?;
    ensure!(read(PLACE) == 50 && read(start) == 0, "it has not moved");
    expect_error("another length", remap(start, 4, 5, KEEP, 0), Errno::EINVAL)?;
    for place in [start, moved, PLACE] {
        unmap(place, 4 * PAGE).or_fail("munmap")?;
    }
    Ok(())
}

fn errors() -> Verdict {
    let area = Mapping::private_at(PLACE, 4)?;
    mark(PLACE, 4);
    let kernel = 0xffff_8000_0000_0000;
    let to = |start, place| remap(start, 4, 4, MOVE_TO, place);
    let bad = |what, result, errno| expect_error(what, result, errno);
    bad("flags", remap(PLACE, 4, 4, 8, 0), Errno::EINVAL)?;
    bad(
        "fixed alone",
        remap(PLACE, 4, 4, MREMAP_FIXED, 2 * PLACE),
        Errno::EINVAL,
    )?;
    bad(
        "keep alone",
        remap(PLACE, 4, 4, MREMAP_DONTUNMAP, 0),
        Errno::EINVAL,
    )?;
    bad("odd start", remap(PLACE + 1, 4, 4, 0, 0), Errno::EINVAL)?;
    bad("no length", remap(PLACE, 4, 0, 0, 0), Errno::EINVAL)?;
    bad(
        "nothing there",
        remap(2 * PLACE, 4, 5, MREMAP_MAYMOVE, 0),
        Errno::EFAULT,
    )?;
    bad(
        "kernel",
        remap(kernel, 4, 5, MREMAP_MAYMOVE, 0),
        Errno::EFAULT,
    )?;
    bad(
        "over the end",
        remap(PLACE, 5, 6, MREMAP_MAYMOVE, 0),
        Errno::EFAULT,
    )?;
    bad(
        "nothing of private",
        remap(PLACE, 0, 1, MREMAP_MAYMOVE, 0),
        Errno::EINVAL,
    )?;
    bad("odd place", to(PLACE, 2 * PLACE + 1), Errno::EINVAL)?;
    bad("overlap", to(PLACE, PLACE + 3 * PAGE), Errno::EINVAL)?;
    bad("to the kernel", to(PLACE, kernel), Errno::EINVAL)?;
    bad("to the end", to(PLACE, 0x7fff_ffff_f000), Errno::EINVAL)?;
    bad(
        "too long",
        remap(PLACE, 4, (1 << 35) - 100, MREMAP_MAYMOVE, 0),
        Errno::ENOMEM,
    )?;
    // SAFETY: they fail.
    let endless = unsafe { memory::remap(PLACE, 4 * PAGE, usize::MAX, MREMAP_MAYMOVE, 0) };
    bad("endless", endless, Errno::EINVAL)?;
    // SAFETY: likewise.
    let whole = unsafe { memory::remap(PLACE, usize::MAX, 4 * PAGE, MOVE_TO, 2 * PLACE) };
    ensure!(whole.is_err(), "all of memory has moved: {whole:?}");
    area.protect(1, 1, Protection::READ)?;
    bad(
        "two areas",
        remap(PLACE, 4, 5, MREMAP_MAYMOVE, 0),
        Errno::EFAULT,
    )?;
    check(PLACE, 4)
}

fn many_times() -> Verdict {
    let mut start = mapped(3)?;
    mark(start, 3);
    for round in 0..500 {
        let pages = 3 + round % 5;
        start = remap(start, 3, pages, MREMAP_MAYMOVE, 0).or_fail("grow")?;
        let place = PLACE + round * 37 * PAGE;
        expect_place("move", remap(start, pages, 3, MOVE_TO, place), place)?;
        start = place;
        if round % 50 == 0 {
            in_child(|| check(start, 3))?;
        }
        check(start, 3)?;
    }
    unmap(start, 3 * PAGE).or_fail("munmap")
}
