//! Changes of the map of areas when memory is out: they are refused and change nothing, and what
//! takes whole areas away is not refused (rule M10).

use super::*;

/// Where every other page is an area of its own.
const MANY: usize = 0x4000_0000;

fn many(space: &AddressSpace, areas: usize) {
    (0..areas).for_each(|n| map(space, MANY + 2 * n * PAGE, 1));
}

type Area = (usize, usize, Protection, VmaFlags);

fn areas(space: &AddressSpace) -> Vec<Area> {
    let mut areas = Vec::new();
    space.visit_vmas_now(0, |area| {
        areas.push((area.start, area.end, area.protection, area.flags));
        true
    });
    areas
}

/// Does something while the `n`-th allocation from now and all after it fail.
fn without_memory<T>(n: usize, attempt: impl FnOnce() -> T) -> T {
    fail_allocations(n, 1);
    let outcome = attempt();
    fail_allocation(0);
    outcome
}

#[test]
fn m10_whole_areas_go_from_a_shared_map_when_memory_is_out() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    many(&parent, 10_000);
    let child = now(parent.fork()).unwrap();
    let before = areas(&child);
    let unmap = |space: &AddressSpace, n: usize| {
        without_memory(1, || now(space.unmap(MANY + 2 * n * PAGE, PAGE)))
    };
    assert_eq!(unmap(&child, 7_000), Ok(()));
    assert_eq!(unmap(&parent, 123), Ok(()));
    assert_eq!(
        (areas(&child).len(), areas(&parent).len()),
        (10_000, 10_000)
    );
    assert_eq!(before.len(), 10_001);
    // In a map that is not shared this holds for any of them.
    drop(child);
    (0..10_000)
        .step_by(3)
        .for_each(|n| assert_eq!(unmap(&parent, n), Ok(())));
    let rest = without_memory(1, || now(parent.unmap(MANY, 20_000 * PAGE)));
    assert_eq!(rest, Ok(()));
    assert_eq!(areas(&parent).len(), 1);
    assert_clean(&[parent], &[]);
}

#[test]
fn a_large_map_ends_in_slices() {
    let _machine = sim::Machine::start(1, 2048);
    let parent = space(1);
    let object = Object::with_len(1 << 40).unwrap();
    let held = Arc::strong_count(&object);
    for n in 0..3_000 {
        let backing = Backing::Shared(object.clone(), 0);
        let place = Placement::Fixed(MANY + 2 * n * PAGE);
        now(parent.map(place, PAGE, Protection::READ, backing)).unwrap();
    }
    let child = now(parent.fork()).unwrap();
    leave();
    drop(parent);
    reclaim_here();
    // All is shared, so nothing is left to drop but a few nodes.
    assert!(vma::dead_maps::drop_slice() && vma::dead_maps::is_quiescent());
    drop(child);
    reclaim_here();
    let mut slices = 0;
    while vma::dead_maps::drop_slice() {
        slices += 1;
        assert!(Arc::strong_count(&object) > held || is_quiescent());
    }
    assert!(slices >= 5, "{slices} slices");
    assert_eq!(Arc::strong_count(&object), held);
    assert_clean(&[], &[object]);
}

#[test]
fn m10_a_small_process_takes_its_areas_away_after_a_fork() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    many(&parent, 5);
    let child = now(parent.fork()).unwrap();
    for space in [&parent, &child] {
        for n in 0..5 {
            let outcome = without_memory(1, || now(space.unmap(MANY + 2 * n * PAGE, PAGE)));
            assert_eq!(outcome, Ok(()));
        }
        assert_eq!(areas(space).len(), 1);
    }
    assert_clean(&[parent, child], &[]);
}

#[test]
fn m10_a_cut_that_finds_no_memory_changes_nothing() {
    for shared in [false, true] {
        for which in 0..6 {
            let mut refused = 0;
            // Areas before the one that is cut, so that its leaf is now full and now not.
            for areas_before in 0..26 {
                let _machine = sim::Machine::start(1, 2048);
                let parent = space(1);
                many(&parent, areas_before);
                let area = MANY + 2 * areas_before * PAGE;
                map(&parent, area, 5);
                let child = shared.then(|| now(parent.fork()).unwrap());
                for n in 1.. {
                    let before = areas(&parent);
                    let outcome = without_memory(n, || one_cut(&parent, area, which));
                    if outcome.is_ok() {
                        break;
                    }
                    refused += 1;
                    assert_eq!(outcome, Err(MapError::OutOfMemory));
                    assert_eq!(areas(&parent), before, "cut {which}, allocation {n}");
                    assert!(n < 100);
                }
                let all: Vec<_> = [parent].into_iter().chain(child).collect();
                assert_clean(&all, &[]);
            }
            assert_ne!(refused, 0, "cut {which} never takes memory");
        }
    }
}

fn one_cut(space: &AddressSpace, area: usize, which: usize) -> Result<(), MapError> {
    let middle = area + 2 * PAGE;
    let nothing = Protection::empty();
    match which {
        0 => now(space.protect(middle, PAGE, Protection::READ)),
        1 => now(space.advise(middle, PAGE, Advice::DoFork(false))),
        2 => now(space.set_locked(middle, PAGE, true)),
        3 => {
            let place = Placement::Fixed(middle);
            now(space.map(place, PAGE, nothing, Backing::Anonymous)).map(|_| ())
        }
        4 => now(space.unmap(middle, PAGE)),
        _ => {
            let remap = Remap {
                start: middle,
                old_length: PAGE,
                new_length: 2 * PAGE,
                target: Target::Anywhere,
                keeps_old: false,
            };
            now(space.remap(remap)).map(|_| ())
        }
    }
}
