//! Stacks that grow, limits, and pages that are there before they are used.

use super::*;
use crate::memory::vma::map::GUARD_GAP;

const STACK: usize = 0x6000_0000;

fn request(start: usize, pages: usize, flags: VmaFlags) -> MapRequest {
    MapRequest {
        place: Placement::Fixed(start),
        length: pages * PAGE,
        protection: Protection::READ | Protection::WRITE,
        allowed: Protection::all(),
        backing: Backing::Anonymous,
        flags,
        populated: false,
    }
}

/// An address space with a stack of one page that ends at `STACK`.
fn with_stack(limits: Limits) -> Arc<AddressSpace> {
    let space = AddressSpace::limited(limits).unwrap();
    now(space.map_as(request(STACK - PAGE, 1, VmaFlags::GROWS_DOWN))).unwrap();
    activate(&space);
    space
}

fn areas(space: &AddressSpace) -> Vec<(usize, usize)> {
    let mut areas = Vec::new();
    space.visit_vmas_now(0, |area| {
        areas.push((area.start, area.end));
        true
    });
    areas
}

#[test]
fn a_stack_grows_to_where_it_is_used() {
    let _machine = sim::Machine::start(1, 1024);
    let space = with_stack(Limits::USUAL);
    store(&space, STACK - 10 * PAGE + 5, 1).unwrap();
    assert_eq!(areas(&space), [(STACK - 10 * PAGE, STACK)]);
    // The kernel's access is one like the program's.
    now(space.write_bytes(STACK - 11 * PAGE - 2, b"abcd")).unwrap();
    assert_eq!(areas(&space), [(STACK - 12 * PAGE, STACK)]);
    let child = now(space.fork()).unwrap();
    store(&space, STACK - 20 * PAGE, 1).unwrap();
    activate(&child);
    assert_eq!(areas(&child), [(STACK - 12 * PAGE, STACK)]);
    store(&child, STACK - 13 * PAGE, 1).unwrap();
    assert_eq!(
        load(&child, STACK),
        Err(FaultError::NotMapped),
        "not upwards"
    );
    assert_clean(&[space, child], &[]);
}

#[test]
fn a_stack_grows_to_its_limit_and_no_further() {
    let _machine = sim::Machine::start(1, 1024);
    let space = with_stack(Limits {
        stack: 16 * PAGE,
        ..Limits::USUAL
    });
    let beyond = STACK - 16 * PAGE - 1;
    assert_eq!(store(&space, beyond, 1), Err(FaultError::NotMapped));
    store(&space, STACK - 16 * PAGE, 1).unwrap();
    assert_eq!(store(&space, beyond, 1), Err(FaultError::NotMapped));
    now(space.set_limits(Limits::USUAL));
    store(&space, beyond, 1).unwrap();
    assert_clean(&[space], &[]);
}

#[test]
fn a_stack_keeps_its_distance_from_other_memory() {
    let _machine = sim::Machine::start(1, 1024);
    let space = with_stack(Limits::USUAL);
    let below = STACK - GUARD_GAP - 10 * PAGE;
    map(&space, below - PAGE, 1);
    store(&space, below + GUARD_GAP, 1).unwrap();
    let too_near = below + GUARD_GAP - PAGE;
    assert_eq!(store(&space, too_near, 1), Err(FaultError::NotMapped));
    // No access to this is allowed, so the stack may run into it.
    now(space.protect(below - PAGE, PAGE, Protection::empty())).unwrap();
    store(&space, too_near, 1).unwrap();
    // Nothing is put into the gap that does not insist on it.
    now(space.unmap(below - PAGE, PAGE)).unwrap();
    let hint = Placement::Hint(too_near - 10 * PAGE);
    let rights = Protection::READ;
    let placed = now(space.map(hint, PAGE, rights, Backing::Anonymous)).unwrap();
    assert!(
        !(too_near - GUARD_GAP..STACK).contains(&placed),
        "{placed:#x}"
    );
    assert_clean(&[space], &[]);
}

#[test]
fn a_fault_far_from_any_stack_grows_nothing() {
    let _machine = sim::Machine::start(1, 1024);
    let space = with_stack(Limits::USUAL);
    map(&space, BASE, 1);
    for address in [0, BASE - PAGE, BASE + PAGE, STACK - (8 << 20) - 1, STACK] {
        assert_eq!(
            load(&space, address),
            Err(FaultError::NotMapped),
            "{address:#x}"
        );
    }
    assert_eq!(areas(&space), [(BASE, BASE + PAGE), (STACK - PAGE, STACK)]);
    assert_clean(&[space], &[]);
}

#[test]
fn limits_are_kept_by_all_that_maps() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(10);
    let rights = Protection::READ | Protection::WRITE;
    let limited = |address_space: usize, data: usize| Limits {
        address_space: address_space * PAGE,
        data: data * PAGE,
        ..Limits::USUAL
    };
    let map_any = |pages, rights| {
        let mapped = space.map(Placement::Any, pages * PAGE, rights, Backing::Anonymous);
        now(mapped).map(|start| now(space.unmap(start, pages * PAGE)).unwrap())
    };
    let no_room = Err(MapError::OutOfMemory);
    now(space.set_heap_start(BASE + 64 * PAGE));
    now(space.set_limits(limited(12, 100)));
    assert_eq!(map_any(2, Protection::READ), Ok(()));
    assert_eq!(map_any(3, Protection::READ), no_room);
    let start = BASE + 64 * PAGE;
    assert_eq!(now(space.set_break(start + 3 * PAGE)), start);
    assert_eq!(now(space.set_break(start + 2 * PAGE)), start + 2 * PAGE);
    now(space.set_break(start));
    let grow_to = |pages, keeps_old| {
        now(space.remap(Remap {
            start: BASE,
            old_length: 10 * PAGE,
            new_length: pages * PAGE,
            target: Target::At(Placement::Any),
            keeps_old,
        }))
    };
    assert_eq!(grow_to(13, false), Err(MapError::OutOfMemory));
    assert_eq!(grow_to(10, true), Err(MapError::OutOfMemory));
    // In place of what is there it is no more than before.
    map(&space, BASE, 10);
    now(space.set_limits(limited(100, 10)));
    assert_eq!(map_any(1, rights), no_room);
    assert_eq!(map_any(50, Protection::READ), Ok(()));
    let at = Placement::Fixed(BASE + 32 * PAGE);
    now(space.map(at, PAGE, Protection::READ, Backing::Anonymous)).unwrap();
    let as_data = now(space.protect(BASE + 32 * PAGE, PAGE, rights));
    assert_eq!(as_data, no_room, "it would be data");
    now(space.protect(BASE, 5 * PAGE, Protection::READ)).unwrap();
    now(space.protect(BASE + 32 * PAGE, PAGE, rights)).unwrap();
    assert_clean(&[space], &[]);
}

#[test]
fn pages_are_there_when_they_are_asked_for_beforehand() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    let at = BASE + 64 * PAGE;
    now(space.map_as(MapRequest {
        populated: true,
        ..request(at, 3, VmaFlags::empty())
    }))
    .unwrap();
    (0..3).for_each(|n| sim::store(at + n * PAGE, 1).unwrap());
    let mut pages = [9; 4];
    now(space.residence(BASE, &mut pages)).unwrap();
    assert_eq!(pages, [0; 4]);
    load(&space, BASE + PAGE).unwrap();
    now(space.populate(BASE + 2 * PAGE, PAGE, Populate::ByWriting)).unwrap();
    now(space.residence(BASE, &mut pages)).unwrap();
    assert_eq!(pages, [0, 1, 1, 0]);
    assert_eq!(
        now(space.residence(BASE + PAGE, &mut pages)),
        Err(MapError::NotMapped)
    );
    now(space.protect(BASE, PAGE, Protection::READ)).unwrap();
    let refused = now(space.populate(BASE, 2 * PAGE, Populate::ByWriting));
    assert_eq!(refused, Err(FaultError::NotAllowed));
    assert_clean(&[space], &[]);
}

#[test]
fn a_page_that_an_object_has_counts_as_there() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(1);
    let object = Object::with_len(3 * PAGE as u64).unwrap();
    object.write_at(PAGE as u64, &mut &b"x"[..], 1).unwrap();
    let at = BASE + 64 * PAGE;
    let backing = Backing::Shared(object.clone(), 0);
    now(space.map(Placement::Fixed(at), 3 * PAGE, Protection::READ, backing)).unwrap();
    let mut pages = [9; 3];
    now(space.residence(at, &mut pages)).unwrap();
    assert_eq!(pages, [0, 1, 0]);
    assert_clean(&[space], &[object]);
}

#[test]
fn a_lock_holds_what_is_there_and_is_not_inherited() {
    let _machine = sim::Machine::start(1, 1024);
    let space = space(4);
    now(space.set_locked(BASE, 2 * PAGE, true)).unwrap();
    let discard = |space: &AddressSpace, at| now(space.advise(at, PAGE, Advice::Discard));
    assert_eq!(discard(&space, BASE), Err(MapError::BadKind));
    assert_eq!(discard(&space, BASE + 2 * PAGE), Ok(()));
    let child = now(space.fork()).unwrap();
    assert_eq!(discard(&child, BASE), Ok(()));
    assert_eq!(
        now(space.set_locked(BASE, 9 * PAGE, false)),
        Err(MapError::NotMapped)
    );
    assert_eq!(discard(&space, BASE), Ok(()), "unlocked as far as the hole");
    now(space.set_all_locked(None, true)).unwrap();
    let at = BASE + 64 * PAGE;
    map(&space, at, 2);
    sim::store(at + PAGE, 1).unwrap();
    now(space.set_all_locked(Some(false), false)).unwrap();
    assert_eq!(discard(&space, at), Ok(()));
    assert_clean(&[space, child], &[]);
}
