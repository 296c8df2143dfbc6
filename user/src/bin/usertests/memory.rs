//! mmap and munmap.

use user::cases;
use user::ensure;
use user::random::Random;
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::signal::Signal;
use user::sys::{Errno, Result, raw};
use user::testing::child::{self, expect_signal};
use user::testing::failure::expect_error;
use user::testing::{Case, Channel, Explain, Mapping, Verdict, in_child};

use linux_raw_sys::general as numbers;

pub const CASES: &[Case] = cases![
    fresh_is_zero => "memory-fresh-is-zero",
    old_is_not_seen_again => "memory-old-is-not-seen-again",
    places_do_not_overlap => "memory-places-do-not-overlap",
    odd_lengths => "memory-odd-lengths",
    unmap_in_the_middle => "memory-unmap-in-the-middle",
    unmap_over_holes => "memory-unmap-over-holes",
    fixed_replaces => "memory-fixed-replaces",
    errors => "memory-errors",
    too_large => "memory-too-large",
    untouched_costs_nothing => "memory-untouched-costs-nothing",
    sparse => "memory-sparse",
    shared => "memory-shared",
    shared_between_siblings => "memory-shared-between-siblings",
    many_mappings => "memory-many-mappings",
    map_and_unmap => "memory-map-and-unmap",
    random_operations => "memory-random-operations",
];

fn fresh_is_zero() -> Verdict {
    let area = Mapping::private(100)?;
    (0..100).try_for_each(|page| area.check_zero(page))?;
    area.fill_all(1);
    area.check_all(1)
}

/// Rule M9, as far as one program can see: what was given back comes back empty.
fn old_is_not_seen_again() -> Verdict {
    for _ in 0..20 {
        let area = Mapping::private(64)?;
        (0..64).try_for_each(|page| area.check_zero(page))?;
        area.fill_all(9);
        drop(area);
        in_child(|| {
            let area = Mapping::private(64)?;
            (0..64).try_for_each(|page| area.check_zero(page))
        })?;
    }
    Ok(())
}

fn places_do_not_overlap() -> Verdict {
    let mut areas = [const { None }; 20];
    for (number, slot) in areas.iter_mut().enumerate() {
        let area = Mapping::private(1 + number)?;
        area.fill_all(number as u64);
        *slot = Some(area);
    }
    for (number, area) in areas.iter().flatten().enumerate() {
        area.check_all(number as u64)?;
    }
    Ok(())
}

fn map(length: usize) -> Result<usize> {
    memory::map(length, Protection::READ_WRITE, Sharing::Private)
}

pub fn unmap(address: usize, length: usize) -> Result<()> {
    // SAFETY: the cases unmap what they mapped themselves, by address.
    unsafe { memory::unmap(address, length) }
}

pub fn write(address: usize) {
    // SAFETY: mapped by the case, or else the end of the process.
    unsafe { (address as *mut u8).write_volatile(1) }
}

pub fn read(address: usize) -> u8 {
    // SAFETY: as in `write`.
    unsafe { (address as *const u8).read_volatile() }
}

/// Lengths are rounded up to pages.
fn odd_lengths() -> Verdict {
    for length in [1, 100, PAGE - 1, PAGE + 1] {
        let start = map(length).or_fail("mmap")?;
        let end = start + length.next_multiple_of(PAGE);
        ensure!(start.is_multiple_of(PAGE), "mmap gave {start:#x}");
        write(end - 1);
        unmap(start, length).or_fail("munmap")?;
        expect_signal(Signal::SIGSEGV, || write(end - 1))?;
    }
    Ok(())
}

fn unmap_in_the_middle() -> Verdict {
    let area = Mapping::private(9)?;
    area.fill_all(1);
    area.unmap(3, 2)?;
    for (page, there) in [(2, true), (3, false), (4, false), (5, true)] {
        match there {
            true => area.check(page, 1)?,
            false => expect_signal(Signal::SIGSEGV, || write(area.page(page)))?,
        }
    }
    area.unmap(0, 1)?;
    area.unmap(8, 1)?;
    expect_signal(Signal::SIGSEGV, || write(area.page(0)))?;
    expect_signal(Signal::SIGSEGV, || write(area.page(8)))?;
    area.check(1, 1)?;
    area.check(7, 1)
}

fn unmap_over_holes() -> Verdict {
    let area = Mapping::private(8)?;
    area.unmap(2, 1)?;
    area.unmap(5, 2)?;
    area.unmap(0, 8)?;
    // Nothing there is no error.
    area.unmap(0, 8)
}

fn fixed_replaces() -> Verdict {
    let area = Mapping::private(6)?;
    area.fill_all(1);
    // SAFETY: within the area, to which no reference exists.
    let placed = unsafe {
        memory::map_at(
            area.page(2),
            2 * PAGE,
            Protection::READ_WRITE,
            Sharing::Private,
        )
    };
    ensure!(placed == Ok(area.page(2)), "mmap gave {placed:?}");
    for page in 0..6 {
        match page {
            2 | 3 => area.check_zero(page)?,
            _ => area.check(page, 1)?,
        }
    }
    // With other rights, over other mappings' seams.
    // SAFETY: see above.
    let placed =
        unsafe { memory::map_at(area.page(1), 2 * PAGE, Protection::READ, Sharing::Private) };
    ensure!(placed == Ok(area.page(1)), "mmap gave {placed:?}");
    area.check_zero(1)?;
    area.check_zero(3)?;
    expect_signal(Signal::SIGSEGV, || write(area.page(2)))?;
    area.fill(3, 2);
    area.check(0, 1)?;
    area.check(4, 1)
}

/// `mmap` with everything chosen by the case. Nothing may be mapped over what is in use.
fn raw_map(address: usize, length: usize, protection: u32, flags: u32) -> Result<usize> {
    let arguments = [
        address,
        length,
        protection as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    // SAFETY: the cases ask for what cannot be had, or for places where nothing is.
    unsafe { raw::call(numbers::__NR_mmap, arguments) }
}

fn errors() -> Verdict {
    const READ: u32 = numbers::PROT_READ;
    const PRIVATE: u32 = numbers::MAP_PRIVATE | numbers::MAP_ANONYMOUS;
    const FIXED: u32 = PRIVATE | numbers::MAP_FIXED;
    const PLACE: usize = 0x2000_0000_0000;
    let kernel = 0xffff_8000_0000_0000;
    expect_error("no length", raw_map(0, 0, READ, PRIVATE), Errno::EINVAL)?;
    expect_error(
        "no kind",
        raw_map(0, PAGE, READ, numbers::MAP_ANONYMOUS),
        Errno::EINVAL,
    )?;
    expect_error(
        "odd place",
        raw_map(PLACE + 1, PAGE, READ, FIXED),
        Errno::EINVAL,
    )?;
    expect_error(
        "kernel's place",
        raw_map(kernel, PAGE, READ, FIXED),
        Errno::ENOMEM,
    )?;
    expect_error(
        "to the end",
        raw_map(PLACE, usize::MAX - PAGE, READ, FIXED),
        Errno::ENOMEM,
    )?;
    expect_error(
        "too long",
        raw_map(0, usize::MAX, READ, PRIVATE),
        Errno::ENOMEM,
    )?;
    expect_error(
        "no file",
        raw_map(0, PAGE, READ, numbers::MAP_PRIVATE),
        Errno::EBADF,
    )?;

    expect_error("munmap, odd place", unmap(PLACE + 1, PAGE), Errno::EINVAL)?;
    expect_error("munmap, no length", unmap(PLACE, 0), Errno::EINVAL)?;
    expect_error("munmap, kernel", unmap(kernel, PAGE), Errno::EINVAL)?;
    expect_error(
        "munmap, too long",
        unmap(PLACE, usize::MAX - PAGE),
        Errno::EINVAL,
    )?;

    // SAFETY: nothing is there, and these fail.
    let protect = |address, length| unsafe { memory::protect(address, length, Protection::READ) };
    expect_error(
        "mprotect, odd place",
        protect(PLACE + 1, PAGE),
        Errno::EINVAL,
    )?;
    expect_error(
        "mprotect, nothing there",
        protect(PLACE, PAGE),
        Errno::ENOMEM,
    )?;
    expect_error("mprotect, kernel", protect(kernel, PAGE), Errno::ENOMEM)?;
    protect(PLACE, 0).or_fail("mprotect of nothing")
}

fn too_large() -> Verdict {
    // More than the user's half of the address space.
    expect_error("mmap of 256 TiB", map(1 << 48), Errno::ENOMEM)?;
    expect_error("mmap of 128 TiB", map(1 << 47), Errno::ENOMEM)?;
    let start = map(PAGE).or_fail("mmap after that")?;
    unmap(start, PAGE).or_fail("munmap")
}

/// Address space is not memory.
fn untouched_costs_nothing() -> Verdict {
    const SIZE: usize = 1 << 40;
    let start = memory::map(SIZE, Protection::NONE, Sharing::Private).or_fail("mmap of 1 TiB")?;
    in_child(|| Ok(()))?;
    unmap(start, SIZE).or_fail("munmap")
}

/// One page here and there over much address space: each needs tables of its own.
fn sparse() -> Verdict {
    const COUNT: usize = 48;
    let mut areas = [const { None }; COUNT];
    for (number, slot) in areas.iter_mut().enumerate() {
        let area = Mapping::private_at(0x1000_0000_0000 + (number << 33), 1)?;
        area.fill_all(number as u64);
        *slot = Some(area);
    }
    in_child(|| {
        for (number, area) in areas.iter().flatten().enumerate() {
            area.check_all(number as u64)?;
            area.fill_all(1000);
        }
        Ok(())
    })?;
    for (number, area) in areas.iter().flatten().enumerate() {
        area.check_all(number as u64)?;
    }
    Ok(())
}

fn shared() -> Verdict {
    let area = Mapping::shared(4)?;
    (0..4).try_for_each(|page| area.check_zero(page))?;
    area.fill(0, 1);
    in_child(|| {
        area.check(0, 1)?;
        area.fill(1, 2);
        // Rights are each one's own, contents are not.
        area.protect(0, 1, Protection::READ)?;
        in_child(|| {
            area.fill(2, 3);
            expect_signal(Signal::SIGSEGV, || write(area.page(0)))
        })
    })?;
    area.check(1, 2)?;
    area.check(2, 3)?;
    area.fill(0, 4);
    area.check(0, 4)
}

fn shared_between_siblings() -> Verdict {
    let area = Mapping::shared(1)?;
    let (there, back) = (Channel::new()?, Channel::new()?);
    let first = child::start(|| {
        for number in 0..50 {
            area.set(0, 0, number);
            there.send(0)?;
            back.receive()?;
            ensure!(
                area.get(0, 1) == number * 2,
                "{} came for {number}",
                area.get(0, 1)
            );
        }
        Ok(())
    })?;
    let second = child::start(|| {
        for _ in 0..50 {
            there.receive()?;
            area.set(0, 1, area.get(0, 0) * 2);
            back.send(0)?;
        }
        Ok(())
    })?;
    child::finish(first)?;
    child::finish(second)
}

fn many_mappings() -> Verdict {
    const COUNT: usize = 1000;
    let area = Mapping::private(2 * COUNT)?;
    // Every other page read-only: none can be joined with its neighbour.
    for number in 0..COUNT {
        area.protect(2 * number, 1, Protection::READ)?;
    }
    in_child(|| {
        (0..COUNT).for_each(|number| area.set(2 * number + 1, 0, number as u64));
        for number in 0..COUNT {
            ensure!(
                area.get(2 * number + 1, 0) == number as u64,
                "page {number} is wrong"
            );
        }
        Ok(())
    })?;
    area.protect(0, 2 * COUNT, Protection::READ_WRITE)?;
    (0..COUNT).try_for_each(|number| area.unmap(2 * number, 1))
}

fn map_and_unmap() -> Verdict {
    for round in 0..1000 {
        let area = Mapping::private(1 + round % 7)?;
        area.set(0, 0, 1);
        area.set(area.pages() - 1, 511, 2);
    }
    Ok(())
}

/// Anything on a few pages, in any order, against a plain model of it.
fn random_operations() -> Verdict {
    const PAGES: usize = 32;
    const PLACE: usize = 0x2000_0000_0000;
    let area = Mapping::private_at(PLACE, PAGES)?;
    // What each page is: mapped and with which word, and whether it may be written.
    let mut model = [Some((0, true)); PAGES];
    let mut random = Random::new(11);
    for step in 1..4000 {
        let first = random.below(PAGES as u64) as usize;
        let count = 1 + random.below((PAGES - first).min(6) as u64) as usize;
        let pages = first..first + count;
        match random.below(8) {
            0 => {
                area.unmap(first, count)?;
                model[pages].fill(None);
            }
            1 => {
                let (place, length) = (area.page(first), count * PAGE);
                // SAFETY: within the area.
                unsafe { memory::map_at(place, length, Protection::READ_WRITE, Sharing::Private) }
                    .or_fail("mmap")?;
                model[pages].fill(Some((0, true)));
            }
            operation @ (2 | 3) => {
                let writable = operation == 2;
                let protection = if writable {
                    Protection::READ_WRITE
                } else {
                    Protection::READ
                };
                // Linux changes what comes before a hole and then fails; only whole ranges here.
                if model[pages.clone()].iter().all(Option::is_some) {
                    area.protect(first, count, protection)?;
                    model[pages]
                        .iter_mut()
                        .flatten()
                        .for_each(|page| page.1 = writable);
                }
            }
            4 if step % 16 == 0 => in_child(|| {
                for (page, state) in model.iter().enumerate() {
                    if let Some((_, true)) = state {
                        area.set(page, 5, 0xdead);
                    }
                }
                Ok(())
            })?,
            _ => {
                for page in pages {
                    if let Some((word, true)) = &mut model[page] {
                        *word = step;
                        area.set(page, 5, step);
                    }
                }
            }
        }
        for (page, expected) in model.iter().enumerate() {
            if let Some((word, _)) = expected {
                let found = area.get(page, 5);
                ensure!(
                    found == *word,
                    "step {step}, page {page}: {found}, not {word}"
                );
            }
        }
    }
    for (page, expected) in model.iter().enumerate() {
        if !matches!(expected, Some((_, true))) {
            expect_signal(Signal::SIGSEGV, || write(area.page(page)))?;
        }
    }
    Ok(())
}
