//! What a fork copies itself, ahead of the faults.

use super::*;
use crate::memory::planted::{Planted, plant};
use core::pin::pin;

/// Whether both have the same frame for a page.
fn is_shared(parent: &Arc<AddressSpace>, child: &Arc<AddressSpace>, page: usize) -> bool {
    let [one, other] = [parent, child].map(|space| {
        activate(space);
        space.frame_at(BASE + page * PAGE)
    });
    one == other
}

/// A parent of four pages, which writes page 2 first after each fork.
fn with_a_habit() -> Arc<AddressSpace> {
    let parent = space(4);
    (0..4).for_each(|page| store(&parent, BASE + page * PAGE, 1).unwrap());
    let child = now(parent.fork()).unwrap();
    store(&parent, BASE + 2 * PAGE, 2).unwrap();
    drop(child);
    reclaim_here();
    parent
}

#[test]
fn the_page_that_was_written_first_after_one_fork_is_copied_by_the_next() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = with_a_habit();
    let child = now(parent.fork()).unwrap();
    let shared = [0, 1, 2, 3].map(|page| is_shared(&parent, &child, page));
    assert_eq!(shared, [true, true, false, true]);
    // Neither side takes a fault, nor sees the other's.
    let page = BASE + 2 * PAGE;
    activate(&parent);
    sim::store(page, 3).unwrap();
    activate(&child);
    assert_eq!(sim::load(page), Ok(2));
    sim::store(page, 4).unwrap();
    // The other pages are as after any fork.
    assert!(sim::store(BASE, 4).is_err());
    store(&child, BASE, 4).unwrap();
    activate(&parent);
    assert!(sim::store(BASE + PAGE, 5).is_err());
    assert_eq!(sim::load(page), Ok(3));
    assert_eq!(load(&parent, BASE), Ok(1));
    assert_clean(&[parent, child], &[]);
}

#[test]
fn a_page_that_was_not_written_since_is_shared_again() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = with_a_habit();
    let first = now(parent.fork()).unwrap();
    let second = now(parent.fork()).unwrap();
    assert!(!is_shared(&parent, &first, 2));
    assert!(is_shared(&parent, &second, 2));
    let child_of_the_first = now(first.fork()).unwrap();
    assert!(is_shared(&first, &child_of_the_first, 2));
    assert_clean(&[parent, first, second, child_of_the_first], &[]);
}

#[test]
fn a_child_has_its_parents_habits() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = with_a_habit();
    let child = now(parent.fork()).unwrap();
    activate(&child);
    sim::store(BASE + 2 * PAGE, 9).unwrap();
    let grandchild = now(child.fork()).unwrap();
    assert!(!is_shared(&child, &grandchild, 2));
    activate(&grandchild);
    assert_eq!(load(&grandchild, BASE + 2 * PAGE), Ok(9));
    assert_clean(&[parent, child, grandchild], &[]);
}

#[test]
fn a_page_that_is_meant_to_be_shared_is_not_copied() {
    let _machine = sim::Machine::start(1, 1024);
    let object = Object::with_len(PAGE as u64).unwrap();
    let parent = space(1);
    let at = BASE + 64 * PAGE;
    let rights = Protection::READ | Protection::WRITE;
    let backing = Backing::Shared(object.clone(), 0);
    now(parent.map(Placement::Fixed(at), PAGE, rights, backing)).unwrap();
    for value in 0..3 {
        store(&parent, at, value).unwrap();
        let child = now(parent.fork()).unwrap();
        activate(&child);
        store(&child, at, 100 + value).unwrap();
        activate(&parent);
        assert_eq!(load(&parent, at), Ok(100 + value));
    }
    assert_clean(&[parent], &[object]);
}

/// Two CPUs write, the one after the other, a page that fork copies eagerly and one that it does not, while
/// a fork waits for the second CPU. Returns what the child has of each.
fn written_while_fork_waits() -> (u8, u8) {
    let _machine = sim::Machine::start(2, 1024);
    let parent = with_a_habit();
    let (ahead, other) = (BASE + 2 * PAGE, BASE + 3 * PAGE);
    store(&parent, other, 1).unwrap();
    sim::on(1, || {
        activate(&parent);
        store(&parent, ahead, 5).unwrap();
        store(&parent, other, 5).unwrap();
    });
    let child = {
        let mut fork = pin!(parent.fork());
        assert!(fork.as_mut().now_or_never().is_none());
        sim::on(1, || {
            sim::store(ahead, 6).unwrap();
            sim::store(other, 6).unwrap();
            serve();
        });
        now(fork).unwrap()
    };
    activate(&child);
    let found = (load(&child, ahead).unwrap(), load(&child, other).unwrap());
    assert_clean(&[parent, child], &[]);
    found
}

#[test]
fn m3_an_eager_copy_has_what_all_cpus_have_written() {
    assert_eq!(written_while_fork_waits(), (6, 6));
    plant(Some(Planted::EagerCowBeforeAcks));
    let found = written_while_fork_waits();
    plant(None);
    assert_eq!(found, (5, 6), "the later write without the earlier one");
}

#[test]
fn m10_a_fork_that_finds_no_memory_for_its_copies_shares_the_page() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = with_a_habit();
    let page = BASE + 2 * PAGE;
    for n in 1..8 {
        store(&parent, page, n).unwrap();
        fail_allocation(n.into());
        let child = now(parent.fork());
        fail_allocation(0);
        // The look whether there is memory at all is one, and the node with which the child can
        // take areas away; the parent's is kept from the fork before.
        assert_eq!(child.is_err(), n <= 3, "the root is all that it must have");
        store(&parent, page, 100).unwrap();
        if let Ok(child) = child {
            activate(&child);
            assert_eq!(load(&child, page), Ok(n));
            store(&child, page, 101).unwrap();
            activate(&parent);
            drop(child);
        }
        assert_eq!(load(&parent, page), Ok(100));
        assert_clean(core::slice::from_ref(&parent), &[]);
    }
}
