//! Many areas of memory: how many there may be, what adds one, and maps of areas that processes share
//! since a fork.

use core::hint::black_box;
use linux_raw_sys::general as linux;
use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::process;
use user::sys::system;
use user::testing::failure::expect_error;
use user::testing::vmstat::{counter, quiesce};
use user::testing::{Case, Explain, Mapping, Verdict, in_child};

pub const CASES: &[Case] = cases![
    limit => "areas-limit",
    after_fork => "areas-after-fork",
    cut_without_memory => "areas-cut-without-memory",
];

/// Where every other page becomes an area, with nothing else above or close below.
const PLACE: usize = 0x20_0000_0000;

fn place(number: usize) -> usize {
    PLACE + 2 * number * PAGE
}

fn map(address: usize, pages: usize, protection: Protection) -> Result<(), Errno> {
    // SAFETY: nothing else is there.
    unsafe { memory::map_at(address, pages * PAGE, protection, Sharing::Private) }.map(drop)
}

fn unmap(address: usize, pages: usize) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { memory::unmap(address, pages * PAGE) }.map(drop)
}

fn protect(address: usize, pages: usize, protection: Protection) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { memory::protect(address, pages * PAGE, protection) }.map(drop)
}

/// Uses some pages of the stack.
fn deep(pages: usize) -> u8 {
    let page = black_box([pages as u8; PAGE]);
    match pages {
        0 => page[0],
        _ => deep(pages - 1) ^ page[PAGE / 2],
    }
}

/// Linux's vm.max_map_count, as it is usually. A change is refused for what it adds, and for that only.
fn limit() -> Verdict {
    const LIMIT: usize = 65_530;
    in_child(|| {
        let (whole, two) = (PLACE - 100 * PAGE, PLACE - 50 * PAGE);
        map(whole, 9, Protection::READ).or_fail("mmap")?;
        map(two, 9, Protection::READ).or_fail("mmap")?;
        protect(two + 4 * PAGE, 5, Protection::READ_WRITE).or_fail("mprotect")?;
        let mut count = 0;
        let end = loop {
            match map(place(count), 1, Protection::NONE) {
                Ok(()) => count += 1,
                Err(errno) => break errno,
            }
            ensure!(count <= LIMIT, "there is no limit");
        };
        ensure!(
            end == Errno::ENOMEM && count > LIMIT - 100,
            "{count}, then {end}"
        );
        let middle = whole + 4 * PAGE;
        expect_error("cut", protect(middle, 1, Protection::NONE), Errno::ENOMEM)?;
        expect_error("a hole", unmap(middle, 1), Errno::ENOMEM)?;
        // SAFETY: the page is there, and stays.
        let advised = unsafe { memory::advise(middle, PAGE, linux::MADV_DONTFORK) };
        expect_error("advice for a part", advised.map(drop), Errno::EAGAIN)?;
        expect_error(
            "another",
            map(place(count), 1, Protection::NONE),
            Errno::ENOMEM,
        )?;
        protect(whole, 9, Protection::READ_WRITE).or_fail("mprotect of a whole area")?;
        protect(two + 3 * PAGE, 2, Protection::READ_WRITE).or_fail("a border that moves")?;
        in_child(|| {
            black_box(deep(black_box(200)));
            Ok(())
        })?;
        unmap(whole + 8 * PAGE, 1).or_fail("munmap of an end")?;
        unmap(whole, 1).or_fail("munmap of a beginning")?;
        unmap(place(count / 2), 1).or_fail("munmap of a whole area")?;
        map(place(count / 2), 1, Protection::READ).or_fail("mmap where there is room again")?;
        unmap(place(0), 2 * count).or_fail("munmap of all")?;
        unmap(middle, 1).or_fail("a hole when there is room")
    })
}

/// Parent and child change the map that they share, and neither sees what the other does.
fn after_fork() -> Verdict {
    const COUNT: usize = 2_000;
    in_child(|| {
        for number in 0..COUNT {
            map(place(number), 1, Protection::READ_WRITE).or_fail("mmap")?;
        }
        let is_mapped = |number| protect(place(number), 1, Protection::READ_WRITE).is_ok();
        let mut children = [process::Pid(0); 4];
        for (which, child) in children.iter_mut().enumerate() {
            *child = user::testing::child::start(|| {
                for number in (which..COUNT).step_by(7) {
                    unmap(place(number), 1).or_fail("munmap")?;
                }
                map(place(COUNT + which), 2, Protection::READ).or_fail("mmap")?;
                for number in 0..COUNT {
                    // The parent has taken one away after each fork before.
                    let inherited = number < COUNT - which;
                    let expected = inherited && (number < which || (number - which) % 7 != 0);
                    ensure!(
                        is_mapped(number) == expected,
                        "area {number} of child {which}"
                    );
                }
                Ok(())
            })?;
            unmap(place(COUNT - 1 - which), 1).or_fail("munmap")?;
        }
        for child in children {
            user::testing::child::finish(child)?;
        }
        for number in 0..COUNT + 4 {
            let expected = number < COUNT - 4;
            ensure!(is_mapped(number) == expected, "area {number} of the parent");
        }
        Ok(())
    })
}

/// Where memory may be used up: areas are cut until that takes memory which is not there. That is an
/// error, and all can be taken away.
fn cut_without_memory() -> Verdict {
    const PAGES: usize = 60_000;
    const SMALL_MACHINE: u64 = 300 << 20;
    let free = counter("nr_free_pages").unwrap_or(u64::MAX);
    if !system::on_cowfork() || free > SMALL_MACHINE / PAGE as u64 {
        return Ok(());
    }
    in_child(|| {
        map(PLACE, PAGES, Protection::READ).or_fail("mmap")?;
        // What is left is less than one page for each node of the map.
        let left = PAGES as u64 / 200;
        let mut taken: Option<Mapping> = None;
        while counter("nr_free_pages").unwrap_or(0) > left {
            let Ok(area) = Mapping::private(16) else {
                break;
            };
            // SAFETY: the area is ours.
            let there =
                unsafe { memory::advise(area.page(0), 16 * PAGE, linux::MADV_POPULATE_WRITE) };
            if there.is_err() {
                break;
            }
            core::mem::forget(taken.replace(area));
        }
        let mut refused = None;
        for number in 0..PAGES / 2 {
            if let Err(errno) = protect(place(number) + PAGE, 1, Protection::NONE) {
                refused = Some(errno);
                break;
            }
        }
        ensure!(
            refused.is_none_or(|errno| errno == Errno::ENOMEM),
            "refused with {refused:?}"
        );
        unmap(PLACE, PAGES).or_fail("munmap of all")
    })?;
    quiesce();
    Mapping::private(256)?.fill_all(1);
    Ok(())
}
