//! Shootdowns that are spared because no CPU has used a page (`space/untouched.rs`, rules M2, M4, M5),
//! by hand. The orders of several CPUs are in `simulation/untouched.rs`.

use super::*;
use crate::memory::planted::{Planted, plant};
use core::pin::pin;

/// A page whose first write makes the leaf table tracked, one that CPU 1 has read since, and two that no
/// CPU has used since.
const FIRST: usize = BASE;
const READ: usize = BASE + PAGE;
const UNREAD: usize = BASE + 2 * PAGE;
const ELSEWHERE: usize = 0x5000_0000;

/// A process that is active on two CPUs, whose leaf table is tracked, and its child.
fn tracked() -> (sim::Machine, Arc<AddressSpace>, Arc<AddressSpace>) {
    let machine = sim::Machine::start(2, 1024);
    let parent = space(4);
    for page in 0..4 {
        store(&parent, BASE + page * PAGE, 1).unwrap();
    }
    // No page is copied by fork itself.
    parent.first_writes.keep(&[PAGE, 2 * PAGE].into());
    let child = now(parent.fork()).unwrap();
    sim::on(1, || {
        activate(&parent);
        load(&parent, READ).unwrap();
        load(&parent, UNREAD).unwrap();
    });
    {
        let mut fault = pin!(parent.fault(FIRST, Access::Write));
        assert!(fault.as_mut().now_or_never().is_none());
        sim::on(1, tlb::shootdown::serve);
        now(fault).unwrap();
    }
    sim::on(1, || load(&parent, READ)).unwrap();
    sim::take_ipi(1);
    (machine, parent, child)
}

/// Whether the call waits for CPU 1. It comes to its end.
fn asks<T>(call: impl Future<Output = T>) -> bool {
    let mut call = pin!(call);
    let waits = call.as_mut().now_or_never().is_none();
    if waits {
        sim::on(1, tlb::shootdown::serve);
        let _ = now(call);
    }
    assert_eq!(sim::take_ipi(1), waits);
    waits
}

fn end(spaces: &[Arc<AddressSpace>]) {
    sim::on(1, reclaim_here);
    assert_clean(spaces, &[]);
}

#[test]
fn m4_a_page_that_no_cpu_has_used_is_replaced_without_a_shootdown() {
    let (_machine, parent, child) = tracked();
    assert!(!asks(parent.fault(UNREAD, Access::Write)));
    sim::store(UNREAD, 2).unwrap();
    assert_eq!(sim::on(1, || load(&parent, UNREAD)), Ok(2));
    assert!(asks(parent.fault(READ, Access::Write)), "CPU 1 has read it");
    sim::store(READ, 2).unwrap();
    assert_eq!(sim::on(1, || load(&parent, READ)), Ok(2));
    activate(&child);
    assert_eq!((load(&child, UNREAD), load(&child, READ)), (Ok(1), Ok(1)));
    end(&[parent, child]);
}

#[test]
fn m4_the_kernels_own_read_counts_as_a_use() {
    let (_machine, parent, _child) = tracked();
    sim::on(1, || now(parent.read_word(UNREAD))).unwrap();
    assert!(asks(parent.fault(UNREAD, Access::Write)));
}

#[test]
fn m4_a_copied_table_that_keeps_its_accessed_bits_spares_nothing() {
    plant(Some(Planted::AccessedKept));
    let (_machine, parent, _child) = tracked();
    let asks = asks(parent.fault(UNREAD, Access::Write));
    plant(None);
    assert!(asks);
}

#[test]
fn m5_munmap_asks_no_cpu_for_a_page_that_none_has_used() {
    let (_machine, parent, child) = tracked();
    assert!(!asks(parent.unmap(UNREAD, 2 * PAGE)));
    assert_eq!(
        sim::on(1, || load(&parent, UNREAD)),
        Err(FaultError::NotMapped)
    );
    assert!(asks(parent.unmap(READ, PAGE)), "CPU 1 has read it");
    assert_eq!(
        sim::on(1, || load(&parent, READ)),
        Err(FaultError::NotMapped)
    );
    end(&[parent, child]);
}

#[test]
fn m5_madvise_asks_no_cpu_for_a_page_that_none_has_used() {
    let (_machine, parent, child) = tracked();
    assert!(!asks(parent.advise(UNREAD, PAGE, Advice::Discard)));
    assert_eq!(sim::on(1, || load(&parent, UNREAD)), Ok(0));
    assert!(asks(parent.advise(READ, PAGE, Advice::Discard)));
    end(&[parent, child]);
}

#[test]
fn m5_mprotect_asks_no_cpu_for_a_page_that_none_has_used() {
    let (_machine, parent, child) = tracked();
    assert!(!asks(parent.protect(UNREAD, PAGE, Protection::empty())));
    assert_eq!(
        sim::on(1, || load(&parent, UNREAD)),
        Err(FaultError::NotAllowed)
    );
    assert!(asks(parent.protect(READ, PAGE, Protection::empty())));
    assert_eq!(
        sim::on(1, || load(&parent, READ)),
        Err(FaultError::NotAllowed)
    );
    end(&[parent, child]);
}

#[test]
fn m5_mremap_asks_no_cpu_for_a_page_that_none_has_used() {
    let (_machine, parent, child) = tracked();
    let moves = |start, target| Remap {
        start,
        old_length: PAGE,
        new_length: PAGE,
        target: Target::At(Placement::Fixed(target)),
        keeps_old: false,
    };
    assert!(!asks(parent.remap(moves(UNREAD, ELSEWHERE))));
    assert_eq!(
        sim::on(1, || load(&parent, UNREAD)),
        Err(FaultError::NotMapped)
    );
    assert_eq!(sim::on(1, || load(&parent, ELSEWHERE)), Ok(1));
    assert!(asks(parent.remap(moves(READ, ELSEWHERE + PAGE))));
    end(&[parent, child]);
}

#[test]
fn m5_a_page_that_goes_although_a_cpu_has_used_it_is_found() {
    let (_machine, parent, _child) = tracked();
    plant(Some(Planted::AccessedIgnored));
    let asks = asks(parent.unmap(READ, PAGE));
    plant(None);
    assert!(!asks);
    assert!(
        sim::on(1, || sim::load(READ)).is_ok(),
        "CPU 1 uses it still"
    );
}
