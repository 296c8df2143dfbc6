//! madvise: what is discarded, and what a child gets.

use super::*;
use core::pin::pin;

fn fill(space: &AddressSpace, pages: usize) {
    (0..pages).for_each(|n| store(space, BASE + n * PAGE, n as u8 + 1).unwrap());
}

#[test]
fn discarded_memory_begins_anew() {
    let _machine = sim::Machine::start(1, 2048);
    let space = space(600);
    (0..600).for_each(|n| store(&space, BASE + n * PAGE, 7).unwrap());
    let free = free_frames();
    now(space.advise(BASE + PAGE, 598 * PAGE, Advice::Discard)).unwrap();
    reclaim_here();
    assert!(free_frames() >= free + 598);
    assert!(sim::load(BASE + PAGE).is_err());
    assert_eq!(load(&space, BASE), Ok(7));
    assert_eq!(load(&space, BASE + 599 * PAGE), Ok(7));
    assert!((1..599).all(|n| load(&space, BASE + n * PAGE) == Ok(0)));
    store(&space, BASE + PAGE, 8).unwrap();
    now(space.advise(BASE, PAGE, Advice::DiscardAnonymous)).unwrap();
    assert_eq!(load(&space, BASE), Ok(0));
    assert_clean(&[space], &[]);
}

#[test]
fn discarding_on_one_side_of_a_fork_leaves_the_other_alone() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(4);
    fill(&parent, 4);
    let child = now(parent.fork()).unwrap();
    now(parent.advise(BASE, 3 * PAGE, Advice::Discard)).unwrap();
    assert_eq!(load(&parent, BASE), Ok(0));
    activate(&child);
    assert!((0..4).all(|n| load(&child, BASE + n * PAGE) == Ok(n as u8 + 1)));
    assert_clean(&[parent, child], &[]);
}

#[test]
fn discarded_pages_of_a_file_are_the_files_again() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let object = Object::new().unwrap();
    object.write_at(0, &mut &b"a"[..], 1).unwrap();
    let rights = Protection::READ | Protection::WRITE;
    let (private, shared) = (BASE + 64 * PAGE, BASE + 96 * PAGE);
    let backing = Backing::Private(object.clone(), 0);
    now(space.map(Placement::Fixed(private), PAGE, rights, backing)).unwrap();
    let backing = Backing::Shared(object.clone(), 0);
    now(space.map(Placement::Fixed(shared), PAGE, rights, backing)).unwrap();
    store(&space, private, b'b').unwrap();
    store(&space, shared, b'c').unwrap();
    now(space.advise(private, PAGE, Advice::Discard)).unwrap();
    now(space.advise(shared, PAGE, Advice::Discard)).unwrap();
    assert_eq!(load(&space, private), Ok(b'c'));
    assert_eq!(load(&space, shared), Ok(b'c'));
    for advice in [Advice::DiscardAnonymous, Advice::KeepOnFork(false)] {
        for at in [private, shared] {
            assert_eq!(now(space.advise(at, PAGE, advice)), Err(MapError::BadKind));
        }
    }
    assert_clean(&[space], &[object]);
}

/// All that is mapped is done, and then the hole complained of.
#[test]
fn a_hole_in_the_range_is_told_at_the_end() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(5);
    fill(&space, 5);
    now(space.unmap(BASE + 2 * PAGE, PAGE)).unwrap();
    let advised = now(space.advise(BASE + PAGE, 3 * PAGE, Advice::Discard));
    assert_eq!(advised, Err(MapError::NotMapped));
    let seen = [0, 1, 3, 4].map(|n| load(&space, BASE + n * PAGE));
    assert_eq!(seen, [Ok(1), Ok(0), Ok(0), Ok(5)]);
    assert_eq!(
        now(space.advise(USER_END, PAGE, Advice::Hint)),
        Err(MapError::BadRange)
    );
    assert_clean(&[space], &[]);
}

#[test]
fn m5_madvise_returns_when_the_other_cpu_has_forgotten() {
    let _machine = sim::Machine::start(2, 1024);
    let space = space(2);
    fill(&space, 2);
    sim::on(1, || {
        activate(&space);
        store(&space, BASE, 2).unwrap();
    });
    let mut discard = pin!(space.advise(BASE, PAGE, Advice::Discard));
    assert!(discard.as_mut().now_or_never().is_none());
    sim::on(1, || sim::store(BASE, 3)).unwrap();
    sim::on(1, serve);
    now(discard).unwrap();
    assert!(sim::on(1, || sim::load(BASE)).is_err());
    assert_eq!(load(&space, BASE), Ok(0));
    sim::on(1, || {
        leave();
        reclaim_here();
    });
    assert_clean(core::slice::from_ref(&space), &[]);
}

#[test]
fn a_child_does_not_get_what_is_not_for_it() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(600);
    (0..600).for_each(|n| store(&parent, BASE + n * PAGE, 7).unwrap());
    let page = |n: usize| BASE + n * PAGE;
    now(parent.advise(page(10), 2 * PAGE, Advice::DoFork(false))).unwrap();
    now(parent.advise(page(500), 50 * PAGE, Advice::KeepOnFork(false))).unwrap();
    now(parent.advise(page(11), PAGE, Advice::DoFork(true))).unwrap();
    let child = now(parent.fork()).unwrap();
    activate(&child);
    assert_eq!(load(&child, page(9)), Ok(7));
    assert_eq!(load(&child, page(10)), Err(FaultError::NotMapped));
    assert_eq!(load(&child, page(11)), Ok(7));
    assert!((500..550).all(|n| load(&child, page(n)) == Ok(0)));
    assert_eq!(load(&child, page(550)), Ok(7));
    // To be wiped is inherited, as it says what the area is for.
    store(&child, page(500), 8).unwrap();
    let grandchild = now(child.fork()).unwrap();
    activate(&grandchild);
    assert_eq!(load(&grandchild, page(500)), Ok(0));
    activate(&parent);
    assert!((0..600).all(|n| load(&parent, page(n)) == Ok(7)));
    now(parent.advise(BASE, 600 * PAGE, Advice::KeepOnFork(true))).unwrap();
    now(parent.advise(BASE, 600 * PAGE, Advice::DoFork(true))).unwrap();
    let whole = now(parent.fork()).unwrap();
    activate(&whole);
    assert!((0..600).all(|n| load(&whole, page(n)) == Ok(7)));
    assert_clean(&[parent, child, grandchild, whole], &[]);
}

#[test]
fn m10_a_fork_that_cannot_wipe_fails_and_leaves_nothing() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(64);
    fill(&parent, 64);
    now(parent.advise(BASE + PAGE, PAGE, Advice::KeepOnFork(false))).unwrap();
    let mut failed = 0;
    for nth in 1.. {
        fail_allocation(nth);
        let child = now(parent.fork());
        fail_allocation(0);
        match child {
            Err(OutOfMemory) => failed += 1,
            Ok(_) => break,
        }
        assert_clean(core::slice::from_ref(&parent), &[]);
    }
    assert!(failed >= 4, "the root and the path to the page: {failed}");
    assert!((0..64).all(|n| load(&parent, BASE + n * PAGE) == Ok(n as u8 + 1)));
}
