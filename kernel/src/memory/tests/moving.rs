//! mremap: what moves, what stays, and that no CPU uses the old place afterwards.

use super::*;
use crate::arch::level::LEAF_REACH;
use core::pin::pin;

const ELSEWHERE: usize = 0x5000_0000;

fn remap(start: usize, old_pages: usize, new_pages: usize, target: Target) -> Remap {
    Remap {
        start,
        old_length: old_pages * PAGE,
        new_length: new_pages * PAGE,
        target,
        keeps_old: false,
    }
}

fn to(place: usize) -> Target {
    Target::At(Placement::Fixed(place))
}

fn fill(space: &AddressSpace, start: usize, pages: usize) {
    (0..pages).for_each(|n| store(space, start + n * PAGE, n as u8 + 1).unwrap());
}

fn holds(space: &AddressSpace, start: usize, pages: usize) -> bool {
    (0..pages).all(|n| load(space, start + n * PAGE) == Ok(n as u8 + 1))
}

#[test]
fn m5_what_has_moved_is_gone_at_its_old_place() {
    let _machine = sim::Machine::start(1, 2048);
    let space = space(8);
    fill(&space, BASE, 8);
    let frame = space.frame_at(BASE + 3 * PAGE);
    let free = free_frames();
    assert_eq!(
        now(space.remap(remap(BASE, 8, 8, to(ELSEWHERE)))),
        Ok(ELSEWHERE)
    );
    assert!((0..8).all(|n| sim::load(BASE + n * PAGE).is_err()));
    assert_eq!(load(&space, BASE), Err(FaultError::NotMapped));
    assert!(holds(&space, ELSEWHERE, 8));
    assert_eq!(
        space.frame_at(ELSEWHERE + 3 * PAGE),
        frame,
        "no page is copied"
    );
    assert!(free_frames() + 3 >= free, "only tables are made");
    store(&space, ELSEWHERE + 7 * PAGE, 99).unwrap();
    assert_clean(&[space], &[]);
}

#[test]
fn shrinking_and_growing() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(8);
    fill(&space, BASE, 8);
    assert_eq!(now(space.remap(remap(BASE, 8, 3, Target::Here))), Ok(BASE));
    assert_eq!(load(&space, BASE + 3 * PAGE), Err(FaultError::NotMapped));
    assert_eq!(now(space.remap(remap(BASE, 3, 5, Target::Here))), Ok(BASE));
    assert_eq!(
        load(&space, BASE + 4 * PAGE),
        Ok(0),
        "what was cut off does not come back"
    );
    // Something is in the way.
    map(&space, BASE + 5 * PAGE, 1);
    now(space.protect(BASE + 5 * PAGE, PAGE, Protection::READ)).unwrap();
    let stuck = now(space.remap(remap(BASE, 5, 6, Target::Here)));
    assert_eq!(stuck, Err(MapError::OutOfMemory));
    let place = now(space.remap(remap(BASE, 5, 600, Target::Anywhere))).unwrap();
    assert_ne!(place, BASE);
    assert!(holds(&space, place, 3));
    assert_eq!(load(&space, place + 599 * PAGE), Ok(0));
    assert_eq!(
        load(&space, BASE + 5 * PAGE),
        Ok(0),
        "the neighbour is still there"
    );
    assert_eq!(load(&space, BASE + 4 * PAGE), Err(FaultError::NotMapped));
    // The middle of an area that could grow nowhere.
    let place = now(space.remap(remap(place + PAGE, 2, 3, Target::Anywhere))).unwrap();
    assert_eq!(
        (load(&space, place), load(&space, place + 2 * PAGE)),
        (Ok(2), Ok(0))
    );
    assert_clean(&[space], &[]);
}

#[test]
fn what_is_in_the_way_goes() {
    let _machine = sim::Machine::start(1, 2048);
    let space = space(4);
    fill(&space, BASE, 4);
    map(&space, ELSEWHERE, 600);
    (0..600).for_each(|n| store(&space, ELSEWHERE + n * PAGE, 77).unwrap());
    let moved = now(space.remap(remap(BASE + PAGE, 2, 1, to(ELSEWHERE + PAGE))));
    assert_eq!(moved, Ok(ELSEWHERE + PAGE));
    assert_eq!(load(&space, ELSEWHERE), Ok(77));
    assert_eq!(load(&space, ELSEWHERE + PAGE), Ok(2));
    assert_eq!(load(&space, ELSEWHERE + 2 * PAGE), Ok(77));
    assert_eq!(
        load(&space, BASE + 2 * PAGE),
        Err(FaultError::NotMapped),
        "cut off"
    );
    assert_eq!(load(&space, BASE + 3 * PAGE), Ok(4));
    assert_clean(&[space], &[]);
}

#[test]
fn m1_a_shared_page_moves_without_a_copy_and_stays_shared() {
    let _machine = sim::Machine::start(1, 2048);
    // Not aligned alike, so that tables cannot move whole.
    let place = ELSEWHERE + PAGE;
    let parent = space(600);
    fill(&parent, BASE, 600 % 256);
    let child = now(parent.fork()).unwrap();
    let frame = parent.frame_at(BASE).unwrap();
    let copies = total(Counter::CowCopies);
    now(parent.remap(remap(BASE, 600, 600, to(place)))).unwrap();
    assert_eq!(total(Counter::CowCopies), copies);
    assert_eq!(parent.frame_at(place), Some(frame));
    assert_eq!(holders(frame), 2);
    assert!(sim::store(place, 9).is_err(), "shared: not to be written");
    store(&parent, place, 9).unwrap();
    assert_eq!(load(&parent, place + PAGE), Ok(2));
    activate(&child);
    assert!(holds(&child, BASE, 600 % 256));
    assert_eq!(load(&child, place), Err(FaultError::NotMapped));
    store(&child, BASE + PAGE, 9).unwrap();
    activate(&parent);
    assert_eq!(load(&parent, place + PAGE), Ok(2));
    assert_clean(&[parent, child], &[]);
}

/// Both places begin at the same offset in a table: the tables move, one entry each.
#[test]
fn whole_tables_move_when_both_places_allow_it() {
    const TABLES: usize = 5;
    let _machine = sim::Machine::start(1, 4096);
    let start = 4 * LEAF_REACH - PAGE;
    let parent = space(1);
    map(&parent, start, TABLES * 512 + 2);
    // One of the tables is missing, one empty place has a table.
    let touched = [0, 1, 512, 3 * 512, TABLES * 512, TABLES * 512 + 1];
    (touched.iter()).for_each(|n| store(&parent, start + n * PAGE, *n as u8 + 1).unwrap());
    let target = (1 << 39) + 9 * LEAF_REACH - PAGE;
    map(&parent, target + 512 * PAGE, 8);
    store(&parent, target + 512 * PAGE, 1).unwrap();
    let child = now(parent.fork()).unwrap();
    let taken = total(Counter::CowTableCopies);
    now(parent.remap(remap(start, TABLES * 512 + 2, TABLES * 512 + 2, to(target)))).unwrap();
    assert!(
        total(Counter::CowTableCopies) - taken < 2 * TABLES as u64,
        "tables that move whole need no copy"
    );
    for space in [&parent, &child] {
        activate(space);
        let start = if Arc::ptr_eq(space, &parent) {
            target
        } else {
            start
        };
        for n in touched {
            assert_eq!(load(space, start + n * PAGE), Ok(n as u8 + 1), "page {n}");
            store(space, start + n * PAGE, n as u8 + 2).unwrap();
        }
        assert_eq!(load(space, start + 2 * PAGE), Ok(0));
        assert_eq!(load(space, start + 1024 * PAGE), Ok(0));
    }
    assert_clean(&[parent, child], &[]);
}

#[test]
fn moving_a_terabyte_of_nothing_costs_nothing() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let (at, pages) = (1 << 40, 1 << 30);
    now(space.map(
        Placement::Fixed(at),
        pages * PAGE,
        Protection::READ,
        Backing::Anonymous,
    ))
    .unwrap();
    load(&space, at + pages / 2 * PAGE).unwrap();
    let begin = std::time::Instant::now();
    now(space.remap(remap(at, pages, pages, to((9 << 42) + PAGE)))).unwrap();
    assert!(begin.elapsed() < core::time::Duration::from_secs(5));
    assert_eq!(load(&space, at), Err(FaultError::NotMapped));
    assert_eq!(load(&space, (9 << 42) + PAGE), Ok(0));
    assert_clean(&[space], &[]);
}

#[test]
fn a_shared_area_can_be_mapped_twice() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let object = Object::with_len(4 * PAGE as u64).unwrap();
    let rights = Protection::READ | Protection::WRITE;
    let backing = Backing::Shared(object.clone(), 0);
    let at = BASE + 64 * PAGE;
    now(space.map(Placement::Fixed(at), 4 * PAGE, rights, backing)).unwrap();
    store(&space, at + PAGE, 5).unwrap();
    let twin = now(space.remap(remap(at + PAGE, 0, 2, Target::Anywhere))).unwrap();
    assert_eq!(load(&space, twin), Ok(5));
    store(&space, twin + PAGE, 6).unwrap();
    assert_eq!(load(&space, at + 2 * PAGE), Ok(6));
    // Longer than the object: the rest of it is no memory.
    let long = now(space.remap(remap(twin, 2, 4, Target::Anywhere))).unwrap();
    assert_eq!(load(&space, long), Ok(5));
    assert_eq!(load(&space, long + 3 * PAGE), Err(FaultError::BeyondEnd));
    assert_eq!(
        now(space.remap(remap(BASE, 0, 1, Target::Anywhere))),
        Err(MapError::BadRange),
        "private memory cannot be mapped twice"
    );
    assert_clean(&[space], &[object]);
}

#[test]
fn a_private_file_keeps_its_offset() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let object = Object::new().unwrap();
    (0..4u64).for_each(|n| {
        let byte = [n as u8 + 1];
        object.write_at(n * PAGE as u64, &mut &byte[..], 1).unwrap();
    });
    let rights = Protection::READ | Protection::WRITE;
    let at = BASE + 64 * PAGE;
    let backing = Backing::Private(object.clone(), 0);
    now(space.map(Placement::Fixed(at), 4 * PAGE, rights, backing)).unwrap();
    store(&space, at + 2 * PAGE, 9).unwrap();
    now(space.remap(remap(at + PAGE, 3, 3, to(ELSEWHERE)))).unwrap();
    assert_eq!(load(&space, ELSEWHERE), Ok(2));
    assert_eq!(load(&space, ELSEWHERE + PAGE), Ok(9));
    assert_eq!(load(&space, ELSEWHERE + 2 * PAGE), Ok(4));
    assert_eq!(load(&space, at), Ok(1));
    assert_clean(&[space], &[object]);
}

#[test]
fn the_old_place_can_stay_mapped() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    fill(&space, BASE, 4);
    let keeps = |target| Remap {
        keeps_old: true,
        ..remap(BASE, 4, 4, target)
    };
    let place = now(space.remap(keeps(Target::At(Placement::Any)))).unwrap();
    assert!(holds(&space, place, 4));
    assert_eq!(load(&space, BASE), Ok(0));
    store(&space, BASE + PAGE, 50).unwrap();
    assert_eq!(now(space.remap(keeps(to(ELSEWHERE)))), Ok(ELSEWHERE));
    assert_eq!(load(&space, ELSEWHERE + PAGE), Ok(50));
    assert_eq!(load(&space, BASE + PAGE), Ok(0));
    assert_clean(&[space], &[]);
}

#[test]
fn what_cannot_be_moved_stays_as_it_is() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    fill(&space, BASE, 4);
    let bad = |remap, error| assert_eq!(now(space.remap(remap)), Err(error), "{remap:?}");
    bad(remap(BASE + 1, 1, 1, Target::Here), MapError::BadRange);
    bad(remap(BASE, 1, 0, Target::Here), MapError::BadRange);
    bad(
        remap(BASE + 4 * PAGE, 1, 2, Target::Here),
        MapError::NotOneVma,
    );
    bad(remap(BASE, 5, 6, Target::Anywhere), MapError::NotOneVma);
    bad(remap(BASE, 4, 4, to(BASE + PAGE)), MapError::BadRange);
    bad(remap(BASE, 4, 1, to(BASE + 3 * PAGE)), MapError::BadRange);
    bad(remap(BASE, 4, 4, to(ELSEWHERE + 1)), MapError::BadRange);
    bad(remap(BASE, 4, 4, to(USER_END - PAGE)), MapError::BadRange);
    bad(
        remap(BASE, 4, usize::MAX / PAGE, Target::Anywhere),
        MapError::OutOfMemory,
    );
    let endless = Remap {
        new_length: usize::MAX,
        ..remap(BASE, 4, 4, Target::Anywhere)
    };
    bad(endless, MapError::BadRange);
    assert!(holds(&space, BASE, 4));
    assert_clean(&[space], &[]);
}

#[test]
fn m10_a_move_that_cannot_get_its_tables_moves_nothing() {
    let _machine = sim::Machine::start(1, 2048);
    for nth in 1.. {
        let parent = space(1500);
        (0..3).for_each(|n| store(&parent, BASE + n * 512 * PAGE, 7).unwrap());
        let child = now(parent.fork()).unwrap();
        fail_allocation(nth);
        let outcome = now(parent.remap(remap(BASE, 1500, 1500, to(ELSEWHERE + PAGE))));
        fail_allocation(0);
        let place = match outcome {
            Ok(place) => place,
            Err(error) => {
                assert_eq!(error, MapError::OutOfMemory);
                BASE
            }
        };
        assert!(
            (0..3).all(|n| load(&parent, place + n * 512 * PAGE) == Ok(7)),
            "{nth}"
        );
        activate(&child);
        assert!(
            (0..3).all(|n| load(&child, BASE + n * 512 * PAGE) == Ok(7)),
            "{nth}"
        );
        let spaces = [parent, child];
        assert_clean(&spaces, &[]);
        leave();
        drop(spaces);
        reclaim_here();
        if outcome.is_ok() && nth > 1 {
            return;
        }
    }
}

/// The case of CVE-2018-18281.
#[test]
fn m2_a_moved_page_is_not_dropped_while_another_cpu_has_its_old_place() {
    let _machine = sim::Machine::start(2, 1024);
    let space = space(2);
    store(&space, BASE, 1).unwrap();
    let frame = space.frame_at(BASE).unwrap();
    sim::on(1, || {
        activate(&space);
        store(&space, BASE, 2).unwrap();
    });
    let mut moving = pin!(space.remap(remap(BASE, 1, 1, to(ELSEWHERE))));
    assert!(
        moving.as_mut().now_or_never().is_none(),
        "CPU 1 has the old place"
    );
    let mut unmapping = pin!(space.unmap(ELSEWHERE, PAGE));
    assert!(unmapping.as_mut().now_or_never().is_none());
    reclaim_here();
    sim::on(1, || sim::store(BASE, 3)).unwrap();
    assert_eq!(holders(frame), 1, "dropped while CPU 1 writes it");
    sim::on(1, serve);
    assert_eq!(now(moving), Ok(ELSEWHERE));
    assert!(sim::on(1, || sim::store(BASE, 4)).is_err());
    assert_eq!(
        load(&space, ELSEWHERE),
        Ok(3),
        "what was written meanwhile is not lost"
    );
    assert!(unmapping.as_mut().now_or_never().is_none() || holders(frame) == 0);
    sim::on(1, || {
        serve();
        leave();
        reclaim_here();
    });
    now(unmapping).unwrap();
    assert_clean(core::slice::from_ref(&space), &[]);
}
