//! The map of areas: joining, cutting, counting, and against a simple model.

use crate::arch::FRAME_SIZE;
use crate::memory::vma::map::{GUARD_GAP, VmaMap};
use crate::memory::vma::totals::Totals;
use crate::memory::vma::vm_area::{Backing, Protection, Vma, VmaFlags};
use crate::testing::sim;
use alloc::vec::Vec;

fn area(start: usize, end: usize) -> Vma {
    Vma {
        start,
        end,
        protection: Protection::READ,
        allowed: Protection::all(),
        backing: Backing::Anonymous,
        flags: VmaFlags::empty(),
    }
}

fn insert(map: &mut VmaMap, vma: Vma) {
    let mut nodes = map.reserve_insert(vma.start, vma.end).unwrap();
    map.insert(vma, &mut nodes);
}

fn change(map: &mut VmaMap, start: usize, end: usize, change: impl Fn(&mut Vma)) {
    let mut nodes = map.reserve_change(start, end).unwrap();
    map.change(start, end, change, &mut nodes);
}

fn remove(map: &mut VmaMap, start: usize, end: usize) -> usize {
    let mut nodes = map.reserve_removal(start, end).unwrap();
    let mut at = start;
    while at < end {
        at = map.remove_some(at, end, 2, &mut nodes);
    }
    map.give_back(nodes);
    at
}

fn ranges(map: &VmaMap) -> Vec<(usize, usize)> {
    map.iter().map(|vma| (vma.start, vma.end)).collect()
}

#[test]
fn neighbours_join() {
    let _machine = sim::Machine::start(1, 1024);
    let mut map = VmaMap::default();
    insert(&mut map, area(0x1000, 0x2000));
    insert(&mut map, area(0x3000, 0x4000));
    insert(&mut map, area(0x2000, 0x3000));
    assert_eq!(ranges(&map), [(0x1000, 0x4000)]);
}

#[test]
fn removing_the_middle_leaves_both_ends() {
    let _machine = sim::Machine::start(1, 1024);
    let mut map = VmaMap::default();
    insert(&mut map, area(0x1000, 0x5000));
    let copy = map.for_child().unwrap();
    assert_eq!(remove(&mut map, 0x2000, 0x3000), 0x3000);
    assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x3000, 0x5000)]);
    assert_eq!(
        ranges(&copy),
        [(0x1000, 0x5000)],
        "the other holder of the map sees no change"
    );
    assert!(map.covers(0x3000, 0x5000) && !map.covers(0x1000, 0x4000));
}

#[test]
fn protecting_cuts_at_the_ends_and_joins_in_between() {
    let _machine = sim::Machine::start(1, 1024);
    let mut map = VmaMap::default();
    insert(&mut map, area(0x1000, 0x3000));
    insert(&mut map, area(0x4000, 0x6000));
    insert(
        &mut map,
        Vma {
            protection: Protection::WRITE,
            ..area(0x3000, 0x4000)
        },
    );
    change(&mut map, 0x2000, 0x5000, |vma| {
        vma.protection = Protection::EXECUTE
    });
    assert_eq!(
        ranges(&map),
        [(0x1000, 0x2000), (0x2000, 0x5000), (0x5000, 0x6000)]
    );
    change(&mut map, 0x1000, 0x6000, |vma| {
        vma.protection = Protection::READ
    });
    assert_eq!(ranges(&map), [(0x1000, 0x6000)]);
}

#[test]
fn the_highest_gap_is_found() {
    let _machine = sim::Machine::start(1, 1024);
    let mut map = VmaMap::default();
    insert(&mut map, area(0x80000, 0x90000));
    assert_eq!(map.find_free(0x1000, 0xa0000), Some(0x9f000));
    assert_eq!(map.find_free(0x20000, 0xa0000), Some(0x60000));
    assert_eq!(map.find_free(0x80000, 0xa0000), None);
}
#[test]
fn nothing_is_placed_close_below_what_grows() {
    let _machine = sim::Machine::start(1, 1024);
    let mut map = VmaMap::default();
    let stack = 0x4000_0000;
    insert(
        &mut map,
        Vma {
            flags: VmaFlags::GROWS_DOWN,
            ..area(stack, stack + 0x1000)
        },
    );
    let lowest = stack - GUARD_GAP;
    for top in [stack + 0x1000, stack, stack - 0x1000] {
        assert_eq!(
            map.find_free(0x1000, top),
            Some(lowest - 0x1000),
            "{top:#x}"
        );
    }
    assert!(map.has_place(lowest - 0x1000, lowest));
    assert!(!map.has_place(lowest, lowest + 0x1000));
    assert!(map.has_place(stack + 0x1000, stack + 0x2000));
}

#[test]
fn the_totals_follow_every_change() {
    let _machine = sim::Machine::start(1, 1024);
    let mut map = VmaMap::default();
    let recount = |map: &VmaMap| {
        map.iter()
            .map(Totals::of)
            .fold(Totals::default(), Totals::plus)
    };
    insert(&mut map, area(0x1000, 0x5000));
    insert(&mut map, area(0x5000, 0x9000));
    change(&mut map, 0x2000, 0x7000, |vma| {
        vma.protection = Protection::WRITE
    });
    assert_eq!((map.totals().all, map.totals().data), (8, 5));
    change(&mut map, 0x3000, 0x4000, |vma| vma.flags = VmaFlags::LOCKED);
    remove(&mut map, 0x1000, 0x3000);
    assert_eq!(map.totals(), recount(&map));
    assert_eq!(map.totals_within(0x3000, 0x5000).locked, 1);
    remove(&mut map, 0, 0x10000);
    assert_eq!(map.totals(), Totals::default());
}

/// A page of the model: what its area has besides its place.
type Page = Option<(Protection, VmaFlags)>;

/// The areas of the model, as the map should have them: as few as can be.
fn modelled(pages: &[Page]) -> Vec<(usize, usize, Protection, VmaFlags)> {
    let mut areas: Vec<(usize, usize, Protection, VmaFlags)> = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let Some((protection, flags)) = *page else {
            continue;
        };
        let start = number * FRAME_SIZE;
        match areas.last_mut() {
            Some(last) if (last.1, last.2, last.3) == (start, protection, flags) => {
                last.1 += FRAME_SIZE;
            }
            _ => areas.push((start, start + FRAME_SIZE, protection, flags)),
        }
    }
    areas
}

/// Random changes of several maps that share what they can. The reservations are as large as they
/// have to be: a change that takes a node more panics.
#[test]
fn random_changes_are_as_those_of_single_pages() {
    const PAGES: usize = 300;
    let _machine = sim::Machine::start(1, 4096);
    let mut state = 88172645463325252u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n
    };
    let mut maps = Vec::from([(VmaMap::default(), [None; PAGES])]);
    for _ in 0..60_000 {
        if below(60) == 0 && maps.len() < 4 {
            let which = below(maps.len());
            let child = maps[which].0.for_child().unwrap();
            let pages = maps[which].1;
            maps.push((child, pages));
        } else if below(60) == 0 && maps.len() > 1 {
            maps.swap_remove(below(maps.len()));
        }
        let which = below(maps.len());
        let (map, pages) = &mut maps[which];
        let (first, kind) = (below(PAGES - 40), below(10));
        let longest = if kind == 0 { 40 } else { 6 };
        let last = first + 1 + below(longest);
        let (start, end) = (first * FRAME_SIZE, last * FRAME_SIZE);
        let protection = Protection::from_bits_truncate(1 << below(2));
        match kind {
            // In these the map is given what a single call takes for all of its steps.
            0..=2 => assert_eq!(remove(map, start, end), end),
            3..=5 => {
                let mut nodes = map.reserve_insert(start, end).unwrap();
                remove(map, start, end);
                let vma = Vma {
                    protection,
                    ..area(start, end)
                };
                map.insert(vma, &mut nodes);
                pages[first..last].fill(Some((protection, VmaFlags::empty())));
            }
            6 | 7 => {
                change(map, start, end, |vma| vma.protection = protection);
                for page in pages[first..last].iter_mut().flatten() {
                    page.0 = protection;
                }
            }
            8 => {
                let lock = below(2) == 0;
                change(map, start, end, |vma| vma.flags.set(VmaFlags::LOCKED, lock));
                for page in pages[first..last].iter_mut().flatten() {
                    page.1.set(VmaFlags::LOCKED, lock);
                }
            }
            _ => move_part(map, pages, first, below(PAGES - 40), below(2) == 0),
        }
        if kind <= 2 {
            pages[first..last].fill(None);
        }
        let areas: Vec<_> = map
            .iter()
            .map(|vma| (vma.start, vma.end, vma.protection, vma.flags))
            .collect();
        assert_eq!(areas, modelled(pages));
        let counted = map.iter().map(Totals::of);
        let counted = counted.fold(Totals::default(), Totals::plus);
        assert_eq!(map.totals(), counted);
    }
}

/// As mremap does it, two pages at a time: up to five pages of one area move to where nothing is,
/// and some are added.
fn move_part(map: &mut VmaMap, pages: &mut [Page], from: usize, to: usize, keeps_old: bool) {
    let Some(vma) = map.find(from * FRAME_SIZE).cloned() else {
        return;
    };
    let length = (vma.end / FRAME_SIZE - from).min(5);
    let (from, to) = (from * FRAME_SIZE, to * FRAME_SIZE);
    let (bytes, more) = (length * FRAME_SIZE, 2 * FRAME_SIZE);
    if !map.is_free(to, to + bytes + more) {
        return;
    }
    let mut nodes = map
        .reserve_move((from, from + bytes), (to, to + bytes + more))
        .unwrap();
    for done in (0..bytes).step_by(2 * FRAME_SIZE) {
        let end = (done + 2 * FRAME_SIZE).min(bytes);
        let piece = vma.part(from + done, from + end);
        if !keeps_old {
            map.remove_some(from + done, from + end, 1, &mut nodes);
        }
        map.insert(piece.moved_to(to + done), &mut nodes);
    }
    let added = vma.part(from + bytes, from + bytes + more);
    map.insert(added.moved_to(to + bytes), &mut nodes);
    let content = Some((vma.protection, vma.flags));
    let old = if keeps_old {
        let unlock = |vma: &mut Vma| vma.flags.remove(VmaFlags::LOCKED);
        map.change(from, from + bytes, unlock, &mut nodes);
        Some((vma.protection, vma.flags.difference(VmaFlags::LOCKED)))
    } else {
        None
    };
    pages[from / FRAME_SIZE..][..length].fill(old);
    pages[to / FRAME_SIZE..][..length + 2].fill(content);
}

#[test]
fn only_what_adds_areas_is_limited() {
    let _machine = sim::Machine::start(1, 4096);
    let mut map = VmaMap::default();
    let at = |n: usize| 2 * n * FRAME_SIZE;
    let nothing = |_: &mut Vma| ();
    let rights = |vma: &mut Vma| vma.protection = Protection::WRITE;
    let mut count = 6;
    insert(&mut map, area(at(1), at(3)));
    insert(&mut map, area(at(4), at(6)));
    change(&mut map, at(5), at(6), rights);
    while map.may_add().is_ok() {
        count += 2;
        insert(&mut map, area(at(count), at(count) + FRAME_SIZE));
    }
    assert_eq!(map.count(), 65_531);
    assert!(map.may_change(at(2), at(2) + FRAME_SIZE, rights).is_err());
    assert!(map.may_change(at(1), at(2), rights).is_err());
    assert!(map.may_change(at(1), at(3), rights).is_ok());
    assert!(map.may_change(at(2), at(3), nothing).is_ok());
    let up = at(5) + FRAME_SIZE;
    let to_read = |vma: &mut Vma| vma.protection = Protection::READ;
    assert!(map.may_change(at(5), up, to_read).is_ok(), "a border moves");
    assert!(map.may_move(0).is_err());
    assert!(map.reserve_removal(at(2), at(2) + FRAME_SIZE).is_err());
    assert!(map.reserve_removal(at(2), at(3)).is_ok());
    remove(&mut map, at(1), at(3));
    assert!(map.may_add().is_ok());
}

#[test]
fn a_fork_and_a_first_change_take_a_few_nodes_of_any_map() {
    let _machine = sim::Machine::start(1, 4096);
    let mut map = VmaMap::default();
    for n in 0..60_000 {
        insert(&mut map, area(2 * n * FRAME_SIZE, (2 * n + 1) * FRAME_SIZE));
    }
    let mut child = map.for_child().unwrap();
    let levels = child.areas.height();
    assert!(levels <= 6, "{levels} levels");
    let at = 60_001 * FRAME_SIZE;
    let mut nodes = child.reserve_insert(at, at + FRAME_SIZE).unwrap();
    assert!(nodes.nodes.len() <= 2 * levels + 1);
    child.insert(area(at, at + FRAME_SIZE), &mut nodes);
    assert_eq!((map.count(), child.count()), (60_000, 59_999));
    assert_eq!(
        size_of::<Vma>(),
        48,
        "a node is one of the heap's small objects"
    );
}
