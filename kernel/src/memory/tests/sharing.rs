//! Fork, and what a write does afterwards.

use super::*;

#[test]
fn fork_takes_one_frame_whatever_the_size() {
    let _machine = sim::Machine::start(1, 8192);
    for pages in [1, 600, 3000] {
        let parent = space(pages);
        (0..pages).for_each(|n| store(&parent, BASE + n * PAGE, 1).unwrap());
        let before = free_frames();
        let child = now(parent.fork()).unwrap();
        assert_eq!(before - free_frames(), 1, "the root, and nothing else");
        drop(child);
        reclaim_here();
        leave();
    }
}

#[test]
fn a_write_is_seen_by_its_own_side_only() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(2);
    store(&parent, BASE, 1).unwrap();
    store(&parent, BASE + PAGE, 2).unwrap();
    let child = now(parent.fork()).unwrap();
    store(&parent, BASE, 10).unwrap();
    activate(&child);
    assert_eq!(load(&child, BASE), Ok(1));
    store(&child, BASE + PAGE, 20).unwrap();
    activate(&parent);
    assert_eq!(
        (load(&parent, BASE), load(&parent, BASE + PAGE)),
        (Ok(10), Ok(2))
    );
    let spaces = [parent, child];
    assert_clean(&spaces, &[]);
}

#[test]
fn whoever_is_left_with_a_table_may_not_write_the_pages_that_its_copy_shares() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(2);
    store(&parent, BASE, 1).unwrap();
    store(&parent, BASE + PAGE, 2).unwrap();
    let child = now(parent.fork()).unwrap();
    store(&parent, BASE, 10).unwrap();
    // Now the child is the only holder of the tables, and takes them over.
    reclaim_here();
    activate(&child);
    store(&child, BASE + PAGE, 20).unwrap();
    activate(&parent);
    assert_eq!(load(&parent, BASE + PAGE), Ok(2));
    assert_clean(&[parent, child], &[]);
}

#[test]
fn m3_a_stale_writable_entry_does_not_survive_fork() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    store(&parent, BASE, 1).unwrap();
    let child = now(parent.fork()).unwrap();
    assert!(
        sim::store(BASE, 2).is_err(),
        "the TLB still lets the parent write what it shares"
    );
    activate(&child);
    assert_eq!(load(&child, BASE), Ok(1));
}

#[test]
fn a_sole_owner_takes_over_without_a_copy() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    store(&parent, BASE, 1).unwrap();
    let frame = parent.frame_at(BASE);
    drop(now(parent.fork()).unwrap());
    reclaim_here();
    let copies = total(Counter::CowCopies);
    store(&parent, BASE, 2).unwrap();
    assert_eq!(parent.frame_at(BASE), frame);
    assert_eq!(total(Counter::CowCopies), copies);
    assert_clean(&[parent], &[]);
}

#[test]
fn what_nobody_wrote_stays_shared() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(8);
    (0..8).for_each(|n| store(&parent, BASE + n * PAGE, n as u8).unwrap());
    let child = now(parent.fork()).unwrap();
    activate(&child);
    store(&child, BASE + 3 * PAGE, 99).unwrap();
    let child_frames: Vec<_> = (0..8).map(|n| child.frame_at(BASE + n * PAGE)).collect();
    activate(&parent);
    for (n, &frame) in child_frames.iter().enumerate() {
        assert_eq!(
            parent.frame_at(BASE + n * PAGE) == frame,
            n != 3,
            "page {n}"
        );
    }
    assert_clean(&[parent, child], &[]);
}

#[test]
fn three_generations_each_see_their_own() {
    let _machine = sim::Machine::start(1, 2048);
    let first = space(3);
    (0..3).for_each(|n| store(&first, BASE + n * PAGE, 1).unwrap());
    let second = now(first.fork()).unwrap();
    activate(&second);
    store(&second, BASE, 2).unwrap();
    let third = now(second.fork()).unwrap();
    activate(&third);
    store(&third, BASE + PAGE, 3).unwrap();
    for (space, expected) in [
        (&first, [1, 1, 1]),
        (&second, [2, 1, 1]),
        (&third, [2, 3, 1]),
    ] {
        activate(space);
        let seen: Vec<u8> = (0..3)
            .map(|n| load(space, BASE + n * PAGE).unwrap())
            .collect();
        assert_eq!(seen, expected);
    }
    leave();
    drop(second);
    assert_clean(&[first, third], &[]);
}

#[test]
fn shared_memory_stays_shared_across_fork() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    let object = Object::with_len(2 * PAGE as u64).unwrap();
    let at = BASE + 16 * PAGE;
    let rights = Protection::READ | Protection::WRITE;
    let backing = Backing::Shared(object.clone(), 0);
    now(parent.map(Placement::Fixed(at), 2 * PAGE, rights, backing)).unwrap();
    store(&parent, at, 1).unwrap();
    let child = now(parent.fork()).unwrap();
    activate(&child);
    store(&child, at, 2).unwrap();
    store(&child, at + PAGE, 3).unwrap();
    activate(&parent);
    assert_eq!(
        (load(&parent, at), load(&parent, at + PAGE)),
        (Ok(2), Ok(3))
    );
    assert_clean(&[parent, child], &[object]);
}

#[test]
fn a_private_mapping_of_a_file_never_writes_the_file() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let object = Object::new().unwrap();
    object.write_at(0, &mut &b"file"[..], 4).unwrap();
    let at = BASE + 16 * PAGE;
    let rights = Protection::READ | Protection::WRITE;
    let backing = Backing::Private(object.clone(), 0);
    now(space.map(Placement::Fixed(at), 2 * PAGE, rights, backing)).unwrap();
    assert_eq!(load(&space, at), Ok(b'f'));
    store(&space, at, b'F').unwrap();
    let mut bytes = [0; 4];
    object.read_at(0, &mut &mut bytes[..], 4);
    assert_eq!(&bytes, b"file");
    assert_eq!(load(&space, at + PAGE), Err(FaultError::BeyondEnd));
    assert_clean(&[space], &[object]);
}

#[test]
fn m1_a_page_with_too_many_holders_fails_the_fork_and_nothing_else() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    store(&parent, BASE, 1).unwrap();
    let table = parent.root_table().load(0).frame().unwrap();
    frame::set_holders(table, frame::count::RefCount::MAX);
    assert_eq!(now(parent.fork()).err(), Some(OutOfMemory));
    frame::set_holders(table, 1);
    store(&parent, BASE, 2).unwrap();
    assert_clean(&[parent], &[]);
}

#[test]
fn m9_fresh_memory_is_zero_even_if_the_frame_was_used() {
    let _machine = sim::Machine::start(1, 400);
    let first = space(20);
    (0..20).for_each(|n| store(&first, BASE + n * PAGE, 0xaa).unwrap());
    leave();
    drop(first);
    reclaim_here();
    let second = space(90);
    let mut pages = 0;
    while let Ok(value) = load(&second, BASE + pages * PAGE) {
        assert_eq!(value, 0, "page {pages}");
        pages += 1;
        if pages == 90 {
            break;
        }
    }
    assert!(pages > 0);
}
