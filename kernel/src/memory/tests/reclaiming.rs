//! What is given back, when, and what happens when nothing is left.

use super::*;
use core::slice::from_ref;

#[test]
fn m11_everything_comes_back() {
    let _machine = sim::Machine::start(1, 8192);
    let start = free_frames();
    let parent = space(2000);
    (0..2000).for_each(|n| store(&parent, BASE + n * PAGE, 1).unwrap());
    for round in 0..10 {
        let child = now(parent.fork()).unwrap();
        activate(&child);
        (0..50).for_each(|n| store(&child, BASE + (n * 37 + round) % 2000 * PAGE, 2).unwrap());
        let grandchild = now(child.fork()).unwrap();
        activate(&grandchild);
        store(&grandchild, BASE, 3).unwrap();
        activate(&parent);
    }
    leave();
    drop(parent);
    reclaim_here();
    assert!(is_quiescent());
    assert_eq!(free_frames(), start);
    assert_clean(&[], &[]);
}

#[test]
fn few_references_are_dropped_between_polls_and_many_by_the_task() {
    let _machine = sim::Machine::start(1, 1024);
    for (pages, is_done) in [(1, true), (50, true), (100, false)] {
        let ours = space(pages);
        (0..pages).for_each(|n| store(&ours, BASE + n * PAGE, 1).unwrap());
        now(ours.unmap(BASE, pages * PAGE)).unwrap();
        let all_dropped = || total(Counter::ReferencesDropped) == total(Counter::ReferencesRetired);
        assert!(!all_dropped());
        between_polls();
        assert_eq!(all_dropped(), is_done, "{pages} pages");
        reclaim_here();
    }
}

#[test]
fn m10_memory_that_runs_out_is_an_error_and_the_rest_goes_on() {
    let _machine = sim::Machine::start(1, 1024);
    let start = free_frames();
    let hog = space(1000);
    let touched = (0..1000)
        .take_while(|n| store(&hog, BASE + n * PAGE, 1).is_ok())
        .count();
    assert!(touched > 500 && touched < 1000);
    assert_eq!(
        store(&hog, BASE + touched * PAGE, 1),
        Err(FaultError::OutOfMemory)
    );
    assert_eq!(load(&hog, BASE), Ok(1));
    assert!(now(hog.fork()).is_ok() || free_frames() < 257);
    leave();
    drop(hog);
    reclaim_here();
    assert_eq!(free_frames(), start);
}

#[test]
fn m10_each_allocation_may_fail_and_nothing_is_lost() {
    let _machine = sim::Machine::start(1, 4096);
    let parent = space(700);
    (0..700).for_each(|n| store(&parent, BASE + n * PAGE, 1).unwrap());
    let start = free_frames();
    for n in 1..12 {
        fail_allocation(n);
        if let Ok(child) = now(parent.fork()) {
            activate(&child);
            let outcome = now(child.fault(BASE, Access::Write));
            fail_allocation(0);
            // The fault helps reclaim and tries again, so that one failure need not be seen.
            assert!(matches!(outcome, Ok(()) | Err(FaultError::OutOfMemory)));
            store(&child, BASE, 2).unwrap();
            now(child.unmap(BASE + PAGE, 600 * PAGE)).unwrap();
            activate(&parent);
        }
        fail_allocation(0);
        (0..700).for_each(|n| assert_eq!(load(&parent, BASE + n * PAGE), Ok(1)));
        reclaim_here();
        assert_eq!(audit(from_ref(&parent), &[]).wrong, 0, "allocation {n}");
    }
    reclaim_here();
    // The parent's own path may have been taken over since: nothing but what it had is in
    // use.
    assert_eq!(free_frames(), start);
}

#[test]
fn m10_a_table_that_cannot_be_copied_to_its_end_leaves_no_reference_behind() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(3);
    (0..3).for_each(|n| store(&parent, BASE + n * PAGE, 1).unwrap());
    let child = now(parent.fork()).unwrap();
    let last = parent.frame_at(BASE + 2 * PAGE).unwrap();
    activate(&child);
    frame::set_holders(last, frame::count::RefCount::MAX);
    assert_eq!(store(&child, BASE, 2), Err(FaultError::OutOfMemory));
    frame::set_holders(last, 1);
    assert_eq!(load(&child, BASE), Ok(1));
    assert_clean(&[parent, child], &[]);
}

#[test]
fn m10_a_fault_finds_the_memory_that_only_waits_to_be_dropped() {
    let _machine = sim::Machine::start(1, 1024);
    let hog = space(1000);
    let touched = (0..1000)
        .take_while(|n| store(&hog, BASE + n * PAGE, 1).is_ok())
        .count();
    now(hog.unmap(BASE, 10 * PAGE)).unwrap();
    // It yields between two slices of reclaim.
    let mut fault = core::pin::pin!(hog.fault(BASE + touched * PAGE, Access::Write));
    let outcome = (0..10).find_map(|_| fault.as_mut().now_or_never());
    assert_eq!(outcome, Some(Ok(())));
}

#[test]
fn m10_a_munmap_that_cannot_get_its_tables_changes_nothing() {
    let _machine = sim::Machine::start(1, 4096);
    let parent = space(700);
    (0..700).for_each(|n| store(&parent, BASE + n * PAGE, 1).unwrap());
    let child = now(parent.fork()).unwrap();
    // The path to the page has three tables; each attempt may come one further.
    for n in [1, 2, 2] {
        fail_allocation(n);
        assert_eq!(
            now(parent.unmap(BASE + PAGE, 10 * PAGE)),
            Err(MapError::OutOfMemory)
        );
        fail_allocation(0);
        (0..20).for_each(|n| assert_eq!(load(&parent, BASE + n * PAGE), Ok(1)));
    }
    now(parent.unmap(BASE + PAGE, 10 * PAGE)).unwrap();
    assert_clean(&[parent, child], &[]);
}

#[test]
fn the_audit_finds_what_does_not_add_up() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(2);
    store(&space, BASE, 1).unwrap();
    let frame = space.frame_at(BASE).unwrap();
    frame::set_holders(frame, 2);
    let found = audit(from_ref(&space), &[]);
    assert_eq!((found.wrong, found.example), (1, Some((frame, 2, 1))));
    frame::set_holders(frame, 1);
    assert_clean(from_ref(&space), &[]);
    let leaked = FrameRef::zeroed(Purpose::User).unwrap().into_entry();
    assert_eq!(audit(&[space], &[]).example, Some((leaked, 1, 0)));
}
