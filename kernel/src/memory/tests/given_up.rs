//! A thread is killed while it waits for other CPUs, in the middle of a change of the
//! mappings, and others go on in the same memory (rules M3, M5): no thread gets the lock
//! before the shootdown is acknowledged, and none gets an old page at an address that is handed
//! out again.

use super::*;
use crate::memory::planted::{Planted, plant};
use core::pin::pin;

/// CPU 1 may read and write the page at `BASE` through its TLB, and another thread is about
/// to be killed on CPU 0.
fn stale_on_cpu_1() -> (sim::Machine, Arc<AddressSpace>) {
    let machine = sim::Machine::start(2, 1024);
    let space = space(2);
    store(&space, BASE, 1).unwrap();
    sim::on(1, || {
        activate(&space);
        store(&space, BASE, 2).unwrap();
    });
    (machine, space)
}

/// Begins the call, which has to wait, and gives it up.
fn give_up<T>(call: impl Future<Output = T>) {
    let mut call = pin!(call);
    assert!(call.as_mut().now_or_never().is_none(), "nobody to wait for");
}

/// Another thread maps the page at `BASE`. Says whether it has to wait, and, when it is
/// done, what CPU 1 reads there after the new page has been written.
fn reuse(space: &Arc<AddressSpace>) -> (bool, u8) {
    let rights = Protection::READ | Protection::WRITE;
    let mut mapping = pin!(space.map(Placement::Fixed(BASE), PAGE, rights, Backing::Anonymous));
    let waits = mapping.as_mut().now_or_never().is_none();
    if waits {
        sim::on(1, serve);
        now(mapping).unwrap();
    }
    store(space, BASE, 77).unwrap();
    (waits, sim::on(1, || load(space, BASE)).unwrap())
}

fn clean_up(space: &Arc<AddressSpace>) {
    sim::on(1, || {
        serve();
        leave();
        reclaim_here();
    });
    assert_clean(core::slice::from_ref(space), &[]);
}

#[test]
fn m5_a_range_is_not_handed_out_before_its_shootdown_is_complete() {
    let (_machine, space) = stale_on_cpu_1();
    give_up(space.unmap(BASE, PAGE));
    assert_eq!(reuse(&space), (true, 77));
    clean_up(&space);
}

#[test]
fn m5_without_that_the_other_cpu_reads_the_old_page() {
    let (_machine, space) = stale_on_cpu_1();
    plant(Some(Planted::RangeReusedBeforeAcks));
    give_up(space.unmap(BASE, PAGE));
    let seen = reuse(&space);
    plant(None);
    assert_eq!(seen, (false, 2), "the fault that the rule is for");
    clean_up(&space);
}

/// No area has to be made for this: the fault itself has to wait.
#[test]
fn m5_a_fault_waits_for_what_was_discarded() {
    let (_machine, space) = stale_on_cpu_1();
    give_up(space.advise(BASE, PAGE, Advice::Discard));
    let mut fault = pin!(space.fault(BASE, Access::Write));
    assert!(fault.as_mut().now_or_never().is_none());
    sim::on(1, serve);
    now(fault).unwrap();
    assert_eq!(sim::on(1, || load(&space, BASE)), Ok(0));
    clean_up(&space);
}

#[test]
fn m5_the_old_place_of_a_move_is_not_handed_out_early() {
    let (_machine, space) = stale_on_cpu_1();
    let elsewhere = BASE + 64 * PAGE;
    give_up(space.remap(Remap {
        start: BASE,
        old_length: PAGE,
        new_length: PAGE,
        target: Target::At(Placement::Fixed(elsewhere)),
        keeps_old: false,
    }));
    assert_eq!(reuse(&space), (true, 77));
    assert_eq!(load(&space, elsewhere), Ok(2), "it has moved all the same");
    clean_up(&space);
}

#[test]
fn m5_a_right_is_gone_before_anybody_changes_the_area_again() {
    let (_machine, space) = stale_on_cpu_1();
    give_up(space.protect(BASE, PAGE, Protection::READ));
    let mut again = pin!(space.protect(BASE, PAGE, Protection::empty()));
    assert!(again.as_mut().now_or_never().is_none());
    sim::on(1, serve);
    assert!(sim::on(1, || sim::store(BASE, 3)).is_err());
    sim::on(1, serve);
    while again.as_mut().now_or_never().is_none() {
        sim::on(1, serve);
    }
    clean_up(&space);
}

/// The child is gone with the thread that made it, but its references are not dropped yet:
/// a write would copy a page that CPU 1 can still write.
#[test]
fn m3_no_page_is_copied_before_a_fork_that_was_given_up_is_acknowledged() {
    let (_machine, space) = stale_on_cpu_1();
    give_up(space.fork());
    let mut fault = pin!(space.fault(BASE, Access::Write));
    assert!(fault.as_mut().now_or_never().is_none());
    sim::on(1, || sim::store(BASE, 5)).unwrap();
    sim::on(1, serve);
    while fault.as_mut().now_or_never().is_none() {
        sim::on(1, serve);
    }
    assert_eq!(load(&space, BASE), Ok(5), "a write of CPU 1 is lost");
    clean_up(&space);
}
