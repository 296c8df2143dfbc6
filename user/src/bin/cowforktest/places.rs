//! Everywhere in the address space: each level of the tree, code, data, heap and stack.

use core::sync::atomic::{AtomicU64, Ordering};

use user::sys::memory::{self, PAGE};
use user::testing::child::{self};
use user::testing::{Case, Channel, Explain, Mapping, Verdict, in_child};
use user::{cases, ensure};

pub const CASES: &[Case] = cases![
    every_level_of_the_tree => "every-level-of-the-tree",
    table_boundaries => "table-boundaries",
    large => "large",
    data_and_bss => "data-and-bss",
    heap => "heap",
    stack => "stack",
];

/// Pages that differ in the lowest, the second, the third and the top level of the tables.
const PLACES: [usize; 6] = [
    0x1000_0000_0000,
    0x1000_0000_0000 + 2 * PAGE,
    0x1000_0000_0000 + (2 << 20),
    0x1000_0000_0000 + (1 << 30),
    0x1000_0000_0000 + (1 << 39),
    0x7000_0000_0000,
];

fn every_level_of_the_tree() -> Verdict {
    fn all(areas: &[Mapping], number: u64) -> Verdict {
        areas.iter().try_for_each(|area| area.check_all(number))
    }
    let mut storage = [const { None }; PLACES.len()];
    for (slot, place) in storage.iter_mut().zip(PLACES) {
        *slot = Some(Mapping::private_at(place, 1)?);
    }
    let areas = storage.map(|area| area.unwrap_or_else(|| unreachable!()));
    areas.iter().for_each(|area| area.fill_all(1));
    for written in 0..areas.len() {
        in_child(|| {
            all(&areas, 1)?;
            areas[written].fill_all(2);
            for (place, area) in areas.iter().enumerate() {
                area.check_all(if place == written { 2 } else { 1 })?;
            }
            in_child(|| {
                areas[written].check_all(2)?;
                areas.iter().for_each(|area| area.fill_all(3));
                all(&areas, 3)
            })?;
            areas[written].check_all(2)
        })?;
        all(&areas, 1)?;
    }
    Ok(())
}

/// A mapping over the seams of the tables, written at the seams.
fn table_boundaries() -> Verdict {
    for seam in [2 << 20, 1 << 30, 1 << 39] {
        let area = Mapping::private_at(0x3000_0000_0000 + seam - 2 * PAGE, 4)?;
        area.fill_all(1);
        in_child(|| {
            area.fill(1, 2);
            area.check(2, 1)?;
            area.fill(2, 3);
            area.check(0, 1)?;
            area.check(1, 2)?;
            area.check(2, 3)?;
            area.check(3, 1)
        })?;
        area.check_all(1)?;
    }
    Ok(())
}

/// 8 MiB, written by parent and child at the same time.
fn large() -> Verdict {
    const PAGES: usize = 2048;
    let area = Mapping::private(PAGES)?;
    let start = Channel::new()?;
    area.fill_all(1);
    let pid = child::start(|| {
        start.receive()?;
        for page in (0..PAGES).rev() {
            area.check(page, 1)?;
            area.fill(page, 2);
        }
        area.check_all(2)
    })?;
    start.send(0)?;
    for page in 0..PAGES {
        area.check(page, 1)?;
        area.fill(page, 3);
    }
    area.check_all(3)?;
    child::finish(pid)
}

static DATA: AtomicU64 = AtomicU64::new(11);
static BSS: AtomicU64 = AtomicU64::new(0);

fn data_and_bss() -> Verdict {
    let expect = |data, bss| {
        let (found_data, found_bss) = (DATA.load(Ordering::Relaxed), BSS.load(Ordering::Relaxed));
        ensure!(found_data == data, "data: {found_data}, not {data}");
        ensure!(found_bss == bss, "bss: {found_bss}, not {bss}");
        Ok(())
    };
    expect(11, 0)?;
    in_child(|| {
        expect(11, 0)?;
        DATA.store(22, Ordering::Relaxed);
        BSS.store(23, Ordering::Relaxed);
        in_child(|| {
            expect(22, 23)?;
            DATA.store(32, Ordering::Relaxed);
            expect(32, 23)
        })?;
        expect(22, 23)
    })?;
    expect(11, 0)?;
    BSS.store(1, Ordering::Relaxed);
    in_child(|| expect(11, 1))
}

fn heap() -> Verdict {
    // SAFETY: the break only grows, above everything that is in use.
    let end = unsafe { memory::set_break(0) }.or_fail("brk")?;
    let start = end.next_multiple_of(PAGE);
    // SAFETY: see above.
    let grown = unsafe { memory::set_break(start + 4 * PAGE) }.or_fail("brk")?;
    ensure!(grown == start + 4 * PAGE, "the break is at {grown:#x}");
    let word = |page: usize| (start + page * PAGE) as *mut u64;
    // SAFETY: the fresh pages are ours, and these closures are the only ones to know them.
    let get = |page| unsafe { word(page).read_volatile() };
    // SAFETY: see above.
    let set = |page, value| unsafe { word(page).write_volatile(value) };
    (0..4).for_each(|page| set(page, 10 + page as u64));
    in_child(|| {
        set(1, 99);
        // The child's heap grows on without its parent's.
        // SAFETY: see above.
        let grown = unsafe { memory::set_break(start + 8 * PAGE) }.or_fail("brk")?;
        ensure!(
            grown == start + 8 * PAGE,
            "the child's break is at {grown:#x}"
        );
        set(7, 5);
        ensure!(
            get(0) == 10 && get(1) == 99 && get(7) == 5,
            "the child's heap is wrong"
        );
        Ok(())
    })?;
    // SAFETY: zero asks and changes nothing.
    let now = unsafe { memory::set_break(0) }.or_fail("brk")?;
    ensure!(
        now == start + 4 * PAGE,
        "the child moved its parent's break to {now:#x}"
    );
    ensure!(
        (0..4).all(|page| get(page) == 10 + page as u64),
        "the parent's heap is wrong"
    );
    // SAFETY: nothing above is in use any more.
    unsafe { memory::set_break(end) }.or_fail("brk").map(drop)
}

/// Local variables over many pages, which parent and child change differently.
fn stack() -> Verdict {
    fn deep(levels: usize, body: &dyn Fn() -> Verdict) -> Verdict {
        let room = [levels as u64; 256];
        let here = core::hint::black_box(&room);
        if levels == 0 {
            body()?;
        } else {
            deep(levels - 1, body)?;
        }
        ensure!(
            here.iter().all(|word| *word == levels as u64),
            "level {levels} of the stack"
        );
        Ok(())
    }
    deep(40, &|| {
        in_child(|| deep(200, &|| Ok(())))?;
        deep(60, &|| Ok(()))
    })
}
