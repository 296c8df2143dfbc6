//! mmap, munmap, mprotect, brk, and access by the kernel.

use super::*;
use crate::memory::AccessError;

#[test]
fn m5_what_is_unmapped_is_gone_and_its_frames_are_free() {
    let _machine = sim::Machine::start(1, 4096);
    let space = space(1500);
    (0..1500).for_each(|n| store(&space, BASE + n * PAGE, 1).unwrap());
    let before = free_frames();
    now(space.unmap(BASE + 3 * PAGE, 1400 * PAGE)).unwrap();
    reclaim_here();
    assert!(
        free_frames() >= before + 1400,
        "pages and the tables that held only them"
    );
    assert!(sim::load(BASE + 3 * PAGE).is_err() && sim::load(BASE + 1402 * PAGE).is_err());
    assert_eq!(load(&space, BASE + 700 * PAGE), Err(FaultError::NotMapped));
    assert_eq!(
        (load(&space, BASE), load(&space, BASE + 1403 * PAGE)),
        (Ok(1), Ok(1))
    );
    assert_clean(&[space], &[]);
}

#[test]
fn unmapping_what_is_shared_leaves_the_other_side_alone() {
    let _machine = sim::Machine::start(1, 4096);
    let parent = space(600);
    (0..600).for_each(|n| store(&parent, BASE + n * PAGE, 7).unwrap());
    let child = now(parent.fork()).unwrap();
    now(parent.unmap(BASE, 599 * PAGE)).unwrap();
    activate(&child);
    assert!((0..600).all(|n| load(&child, BASE + n * PAGE) == Ok(7)));
    activate(&parent);
    assert_eq!(load(&parent, BASE + 599 * PAGE), Ok(7));
    assert_clean(&[parent, child], &[]);
}

/// A hole in the tables at either end of the range says nothing about its middle.
#[test]
fn unmapping_between_holes_leaves_the_other_side_alone() {
    let reach = crate::arch::level::LEAF_REACH;
    for (touched, first, last) in [
        // Holes within one table of pages, then a whole table missing at each end.
        (BASE + 3 * PAGE, BASE + PAGE, BASE + 5 * PAGE),
        (BASE + 5 * reach, BASE + PAGE, BASE + 9 * reach + PAGE),
        // One end covers its table whole.
        (BASE + 3 * PAGE, BASE, BASE + 5 * PAGE),
    ] {
        let _machine = sim::Machine::start(1, 1024);
        let parent = space(10 * reach / PAGE);
        store(&parent, touched, 7).unwrap();
        let child = now(parent.fork()).unwrap();
        now(parent.unmap(first, last - first)).unwrap();
        assert_eq!(load(&parent, touched), Err(FaultError::NotMapped));
        activate(&child);
        assert_eq!(load(&child, touched), Ok(7), "{touched:#x}");
        assert_clean(&[parent, child], &[]);
    }
}

#[test]
fn m5_a_right_that_is_taken_is_gone_when_the_call_returns() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    (0..4).for_each(|n| store(&space, BASE + n * PAGE, 1).unwrap());
    now(space.protect(BASE + PAGE, PAGE, Protection::READ)).unwrap();
    assert!(sim::store(BASE + PAGE, 2).is_err());
    assert_eq!(store(&space, BASE + PAGE, 2), Err(FaultError::NotAllowed));
    now(space.protect(BASE + 2 * PAGE, PAGE, Protection::empty())).unwrap();
    assert!(sim::load(BASE + 2 * PAGE).is_err());
    assert_eq!(load(&space, BASE + 2 * PAGE), Err(FaultError::NotAllowed));
    now(space.protect(BASE, 4 * PAGE, Protection::READ | Protection::WRITE)).unwrap();
    (0..4).for_each(|n| assert_eq!(load(&space, BASE + n * PAGE), Ok(1), "page {n}"));
    (0..4).for_each(|n| store(&space, BASE + n * PAGE, 2).unwrap());
    assert_clean(&[space], &[]);
}

/// Neither does the limit get lost where areas are cut and joined.
#[test]
fn a_limited_mapping_never_gets_more_rights() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let object = Object::with_len(4 * PAGE as u64).unwrap();
    let (at, read, write) = (BASE + 16 * PAGE, Protection::READ, Protection::WRITE);
    let backing = Backing::Shared(object.clone(), 0);
    let half = |offset| Backing::Shared(object.clone(), offset);
    let all = Protection::all();
    let limited_to = |place, length, protection, allowed, backing| {
        space.map_as(MapRequest {
            place,
            length,
            protection,
            allowed,
            backing,
            flags: VmaFlags::empty(),
            populated: false,
        })
    };
    let limited = limited_to(Placement::Fixed(at), 2 * PAGE, read, all - write, backing);
    assert_eq!(now(limited), Ok(at));
    let (next, offset) = (at + 2 * PAGE, 2 * PAGE as u64);
    assert_eq!(
        now(space.map(Placement::Fixed(next), 2 * PAGE, read, half(offset))),
        Ok(next)
    );
    for (start, pages, error) in [
        (at, 2, MapError::NotAllowed),
        (at, 1, MapError::NotAllowed),
        (at + PAGE, 2, MapError::NotAllowed),
        (BASE, 32, MapError::NotMapped),
    ] {
        let protected = now(space.protect(start, pages * PAGE, read | write));
        assert_eq!(protected, Err(error), "{pages} pages from {start:#x}");
    }
    now(space.protect(at + PAGE, PAGE, Protection::empty())).unwrap();
    let again = now(space.protect(at + PAGE, PAGE, write));
    assert_eq!(again, Err(MapError::NotAllowed));
    assert_eq!(store(&space, at, 1), Err(FaultError::NotAllowed));
    now(space.protect(next, 2 * PAGE, read | write)).unwrap();
    store(&space, next, 1).unwrap();
    let backing = half(0);
    let wrong = limited_to(Placement::Any, PAGE, write, read, backing);
    assert_eq!(now(wrong), Err(MapError::NotAllowed));
    assert_clean(&[space], &[object]);
}

#[test]
fn protecting_one_side_of_a_fork_leaves_the_other_alone() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(2);
    store(&parent, BASE, 1).unwrap();
    let child = now(parent.fork()).unwrap();
    now(parent.protect(BASE, PAGE, Protection::empty())).unwrap();
    activate(&child);
    assert_eq!(load(&child, BASE), Ok(1));
    store(&child, BASE, 2).unwrap();
    assert_clean(&[parent, child], &[]);
}

#[test]
fn what_lies_before_a_gap_is_protected() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    (0..4).for_each(|n| store(&space, BASE + n * PAGE, 1).unwrap());
    now(space.unmap(BASE + 2 * PAGE, PAGE)).unwrap();
    let protected = now(space.protect(BASE + PAGE, 3 * PAGE, Protection::READ));
    assert_eq!(protected, Err(MapError::NotMapped));
    assert!(sim::store(BASE + PAGE, 2).is_err());
    assert_eq!(
        store(&space, BASE + PAGE, 2),
        Err(FaultError::NotAllowed),
        "neither by a fault"
    );
    for (start, pages) in [(BASE + 2 * PAGE, 2), (BASE - PAGE, 5)] {
        let protected = now(space.protect(start, pages * PAGE, Protection::empty()));
        assert_eq!(protected, Err(MapError::NotMapped));
    }
    for untouched in [BASE, BASE + 3 * PAGE] {
        store(&space, untouched, 2).unwrap();
    }
    assert_clean(&[space], &[]);
}

#[test]
fn what_lies_before_an_area_that_may_not_is_protected() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(3);
    (0..3).for_each(|n| store(&space, BASE + n * PAGE, 1).unwrap());
    let object = Object::with_len(PAGE as u64).unwrap();
    now(space.unmap(BASE + PAGE, PAGE)).unwrap();
    let limited = space.map_as(MapRequest {
        place: Placement::Fixed(BASE + PAGE),
        length: PAGE,
        protection: Protection::WRITE,
        allowed: Protection::WRITE,
        backing: Backing::Shared(object.clone(), 0),
        flags: VmaFlags::empty(),
        populated: false,
    });
    now(limited).unwrap();
    let protected = now(space.protect(BASE, 3 * PAGE, Protection::READ));
    assert_eq!(protected, Err(MapError::NotAllowed));
    assert_eq!(store(&space, BASE, 2), Err(FaultError::NotAllowed));
    for untouched in [BASE + PAGE, BASE + 2 * PAGE] {
        store(&space, untouched, 2).unwrap();
    }
    assert_clean(&[space], &[object]);
}

#[test]
fn a_range_out_of_reach_is_an_error() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(2);
    assert_eq!(now(space.unmap(BASE + 1, PAGE)), Err(MapError::BadRange));
    assert_eq!(now(space.unmap(USER_END, PAGE)), Err(MapError::BadRange));
    let absurd = now(space.map(
        Placement::Any,
        1 << 48,
        Protection::READ,
        Backing::Anonymous,
    ));
    assert_eq!(absurd, Err(MapError::OutOfMemory));
}

#[test]
fn the_heap_grows_and_shrinks() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let start = BASE + 64 * PAGE;
    now(space.set_heap_start(start));
    assert_eq!(now(space.set_break(0)), start);
    assert_eq!(now(space.set_break(start + 5000)), start + 5000);
    store(&space, start + 4999, 1).unwrap();
    assert_eq!(now(space.set_break(start + 10)), start + 10);
    assert!(sim::load(start + 4999).is_err());
    store(&space, start + 9, 1).unwrap();
    assert_eq!(
        now(space.set_break(start - PAGE)),
        start + 10,
        "not below its start"
    );
    assert_clean(&[space], &[]);
}

#[test]
fn m8_the_kernel_writes_as_the_user_would() {
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(2);
    store(&parent, BASE + PAGE - 1, 1).unwrap();
    let child = now(parent.fork()).unwrap();
    now(parent.write_bytes(BASE + PAGE - 2, b"abcd")).unwrap();
    activate(&child);
    let mut seen = [0; 4];
    now(child.read_bytes(BASE + PAGE - 2, &mut seen)).unwrap();
    assert_eq!(seen, [0, 1, 0, 0]);
    now(child.protect(BASE, PAGE, Protection::READ)).unwrap();
    assert_eq!(
        now(child.write_bytes(BASE, b"x")),
        Err(AccessError::BadAddress)
    );
    // The page is still there, but no access to it is allowed.
    now(child.protect(BASE, PAGE, Protection::empty())).unwrap();
    assert_eq!(
        now(child.read_bytes(BASE, &mut [0])),
        Err(AccessError::BadAddress)
    );
    for bad in [
        0,
        BASE + 2 * PAGE - 1,
        USER_END - 1,
        usize::MAX - 1,
        1 << 63,
    ] {
        assert_eq!(
            now(child.write_bytes(bad, b"xy")),
            Err(AccessError::BadAddress),
            "{bad:#x}"
        );
        assert_eq!(
            now(child.read_bytes(bad, &mut seen)),
            Err(AccessError::BadAddress),
            "{bad:#x}"
        );
    }
    assert_clean(&[parent, child], &[]);
}

#[test]
fn strings_end_at_their_zero_and_no_later() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    now(space.write_bytes(BASE + PAGE - 4, b"abc\0")).unwrap();
    assert_eq!(
        now(space.read_string(BASE + PAGE - 4, 100)).unwrap(),
        b"abc"
    );
    now(space.write_bytes(BASE + PAGE - 4, b"abcd")).unwrap();
    assert_eq!(
        now(space.read_string(BASE + PAGE - 4, 100)),
        Err(AccessError::BadAddress)
    );
    assert_eq!(now(space.read_string(BASE, 0)), Err(AccessError::TooLong));
}

#[test]
fn vectored_transfers_cross_segments_and_pages() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    for (n, (base, length)) in [(BASE + PAGE - 1, 3), (BASE, 0), (BASE + 3 * PAGE, 2)]
        .iter()
        .enumerate()
    {
        let entry: [usize; 2] = [*base, *length];
        let bytes: Vec<u8> = entry.iter().flat_map(|word| word.to_le_bytes()).collect();
        now(space.write_bytes(BASE + 2 * PAGE + 16 * n, &bytes)).unwrap();
    }
    let mut buffer = now(UserBuf::vectored(&space, BASE + 2 * PAGE, 3)).unwrap();
    assert_eq!(buffer.remaining(), 5);
    let mut bytes = &b"hello"[..];
    while buffer.remaining() != 0 {
        let done = buffer.put(bytes);
        bytes = &bytes[done..];
        now(buffer.fault_in(Access::Write)).unwrap();
    }
    assert_eq!(
        (
            load(&space, BASE + PAGE + 1),
            load(&space, BASE + 3 * PAGE + 1)
        ),
        (Ok(b'l'), Ok(b'o'))
    );
}

#[test]
fn m1_munmap_between_two_untouched_ends_leaves_the_child_alone() {
    const REACH: usize = crate::arch::level::LEAF_REACH;
    let _machine = sim::Machine::start(1, 1024);
    let parent = space(1);
    // Neither the first page nor the last has a leaf table, and the one between them hangs in
    // a table that the child shares.
    let start = 8 * REACH + PAGE;
    map(&parent, start, 3 * 512);
    store(&parent, 9 * REACH, 7).unwrap();
    let child = now(parent.fork()).unwrap();
    now(parent.unmap(start, 3 * REACH)).unwrap();
    assert_eq!(load(&parent, 9 * REACH), Err(FaultError::NotMapped));
    activate(&child);
    assert_eq!(load(&child, 9 * REACH), Ok(7));
    assert_clean(&[parent, child], &[]);
}

#[test]
fn what_is_not_there_costs_nothing() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let (at, length) = (1 << 40, 1 << 46);
    let nothing = Protection::empty();
    now(space.map(Placement::Fixed(at), length, nothing, Backing::Anonymous)).unwrap();
    let begin = std::time::Instant::now();
    let rights = Protection::READ | Protection::WRITE;
    now(space.protect(at, length, rights)).unwrap();
    store(&space, at + length / 2, 1).unwrap();
    assert_eq!(space.usage_now(), (length + PAGE, PAGE));
    now(space.unmap(at, length)).unwrap();
    // Table by table it would be minutes.
    assert!(begin.elapsed() < core::time::Duration::from_secs(5));
    assert_clean(&[space], &[]);
}
