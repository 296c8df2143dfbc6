//! CPUs that come back to an address space, with PCIDs and without (rules M2, M6); and the
//! frame of zeroes (rules M1, M4, M9).

use super::*;
use core::pin::pin;

#[test]
fn m6_a_cpu_that_comes_back_keeps_what_nobody_has_changed() {
    let _machine = sim::Machine::start(1, 1024);
    let spaces = [space(1), space(1)];
    for (space, value) in spaces.iter().zip(1..) {
        activate(space);
        store(space, BASE, value).unwrap();
    }
    let kept = total(Counter::TranslationsKept);
    for (space, value) in spaces.iter().zip(1..) {
        activate(space);
        assert_eq!(sim::load(BASE), Ok(value));
    }
    assert_eq!(total(Counter::TranslationsKept), kept + 2);
    leave();
    activate(&spaces[1]);
    assert_eq!(total(Counter::TranslationsKept), kept + 3);
}

#[test]
fn m6_a_cpu_that_comes_back_forgets_what_was_changed_meanwhile() {
    for pcids in [0, 1, 3] {
        let _machine = sim::Machine::start(2, 1024);
        tlb::asid::set_pcids(pcids);
        let ours = space(1);
        store(&ours, BASE, 1).unwrap();
        sim::on(1, || {
            activate(&ours);
            assert_eq!(load(&ours, BASE), Ok(1));
            leave();
        });
        now(ours.unmap(BASE, PAGE)).unwrap();
        sim::on(1, || {
            activate(&ours);
            assert!(sim::load(BASE).is_err(), "stale, with {pcids} PCIDs");
        });
        assert!(!sim::take_ipi(1), "it was not asked");
    }
}

#[test]
fn m6_more_address_spaces_than_pcids_do_not_see_each_other() {
    for pcids in [0, 1, 3] {
        let _machine = sim::Machine::start(1, 1024);
        tlb::asid::set_pcids(pcids);
        let spaces: Vec<_> = (0..8).map(|_| space(1)).collect();
        for round in 0..3 {
            for (space, value) in spaces.iter().zip(0..) {
                activate(space);
                if round == 0 {
                    store(space, BASE, value).unwrap();
                }
                assert_eq!(load(space, BASE), Ok(value), "{pcids} PCIDs");
            }
        }
    }
}

#[test]
fn m2_what_is_left_under_a_pcid_of_the_dead_is_not_used() {
    let _machine = sim::Machine::start(1, 1024);
    for value in 1..20 {
        // The frames of the one before are used again, in other places.
        let ours = space(3);
        for page in 0..3 {
            assert_eq!(load(&ours, BASE + page * PAGE), Ok(0));
            store(&ours, BASE + page * PAGE, value).unwrap();
        }
        leave();
        drop(ours);
        reclaim_here();
    }
    assert_clean(&[], &[]);
}

#[test]
fn m6_a_change_that_comes_after_a_later_one_leaves_nothing_behind() {
    let _machine = sim::Machine::start(2, 1024);
    let parent = space(4);
    (0..4).for_each(|page| store(&parent, BASE + page * PAGE, 1).unwrap());
    let child = now(parent.fork()).unwrap();
    sim::on(1, || {
        activate(&parent);
        (0..4).for_each(|page| assert_eq!(load(&parent, BASE + page * PAGE), Ok(1)));
    });
    let mut first = pin!(parent.fault(BASE, Access::Write));
    assert!(first.as_mut().now_or_never().is_none());
    // CPU 1 has a change of its own before it takes note of the other.
    let mut second = pin!(parent.fault(BASE + PAGE, Access::Write));
    assert!(sim::on(1, || second.as_mut().now_or_never().is_none()));
    sim::on(1, serve);
    sim::on(0, serve);
    now(first).unwrap();
    sim::on(1, || now(second)).unwrap();
    sim::store(BASE, 2).unwrap();
    sim::on(1, || sim::store(BASE + PAGE, 3)).unwrap();
    assert_eq!(sim::on(1, || sim::load(BASE)), Ok(2));
    assert_eq!(load(&parent, BASE + PAGE), Ok(3));
    drop(child);
}

#[test]
fn m1_fresh_memory_that_is_only_read_takes_no_frame_but_tables() {
    let _machine = sim::Machine::start(1, 1024);
    let ours = space(100);
    assert_eq!(load(&ours, BASE), Ok(0));
    let free = free_frames();
    (0..100).for_each(|page| assert_eq!(load(&ours, BASE + page * PAGE), Ok(0)));
    assert_eq!(free_frames(), free);
    let child = now(ours.fork()).unwrap();
    store(&ours, BASE, 1).unwrap();
    activate(&child);
    store(&child, BASE + PAGE, 2).unwrap();
    let seen = |space| [0, 1, 2].map(|page| load(space, BASE + page * PAGE).unwrap());
    assert_eq!(seen(&child), [0, 2, 0]);
    activate(&ours);
    assert_eq!(seen(&ours), [1, 0, 0]);
    assert_clean(&[ours, child], &[]);
}

#[test]
fn m4_a_first_write_waits_until_the_zeroes_are_gone_everywhere() {
    let _machine = sim::Machine::start(2, 1024);
    let ours = space(1);
    sim::on(1, || {
        activate(&ours);
        assert_eq!(load(&ours, BASE), Ok(0));
    });
    let mut fault = pin!(ours.fault(BASE, Access::Write));
    assert!(fault.as_mut().now_or_never().is_none());
    assert!(sim::store(BASE, 1).is_err(), "CPU 1 still reads zeroes");
    sim::on(1, serve);
    now(fault).unwrap();
    sim::store(BASE, 1).unwrap();
    assert_eq!(sim::on(1, || load(&ours, BASE)), Ok(1));
    assert_clean(core::slice::from_ref(&ours), &[]);
}

#[test]
fn m9_prezeroed_frames_are_free_and_are_zero() {
    let _machine = sim::Machine::start(2, 4096);
    let free = free_frames();
    let dirty = space(300);
    (0..300).for_each(|page| store(&dirty, BASE + page * PAGE, 9).unwrap());
    leave();
    drop(dirty);
    reclaim_here();
    while frame::zeroed_pool::fill_some() {}
    assert_eq!(free_frames(), free);
    let ours = space(100);
    let ahead = total(Counter::PrezeroedHits);
    for page in 0..50 {
        store(&ours, BASE + page * PAGE + 1, 1).unwrap();
        assert_eq!(load(&ours, BASE + page * PAGE), Ok(0));
    }
    assert!(total(Counter::PrezeroedHits) > ahead + 10);
    assert_clean(&[ours], &[]);
}

#[test]
fn m10_prezeroed_frames_are_used_before_memory_is_out() {
    let machine = sim::Machine::start(2, 4096);
    let taken_by_one = |fill: bool| {
        let ours = space(4096);
        while fill && frame::zeroed_pool::fill_some() {}
        let mut pages = 0;
        while store(&ours, BASE + pages * PAGE, 1).is_ok() {
            pages += 1;
        }
        leave();
        assert_clean(core::slice::from_ref(&ours), &[]);
        drop(ours);
        reclaim_here();
        pages
    };
    let without = taken_by_one(false);
    assert_eq!(taken_by_one(true), without);
    drop(machine);
}
