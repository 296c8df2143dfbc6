//! Objects that several CPUs use at once.

use super::*;
use crate::testing::sim::schedule;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const CPUS: usize = 3;
const SEEDS: u64 = 200;

fn make_the_same_page(seed: u64) {
    let _machine = sim::Machine::start(CPUS, 512);
    let object = Object::new().unwrap();
    object.truncate(PAGE as u64);
    let bodies = (0..CPUS).map(|_| {
        let object = object.clone();
        Box::new(move || drop(object.page(0).unwrap())) as Box<dyn FnOnce()>
    });
    let outcome = schedule::run(seed, Vec::new(), 100_000, bodies.collect());
    assert_eq!(outcome.broken, None, "seed {seed}");
}

/// Several CPUs make a page that is not there yet. All frames but one are spare, and are given
/// back without the object's lock: else a CPU may be stopped while it has that, and others spin.
#[test]
fn e1_a_spare_page_is_given_back_without_the_lock() {
    let (done, over) = mpsc::channel();
    thread::spawn(move || {
        (0..SEEDS).for_each(make_the_same_page);
        let _ = done.send(());
    });
    let over = over.recv_timeout(Duration::from_secs(60));
    assert!(over.is_ok(), "E1: a CPU spins: {over:?}");
}

#[test]
fn m5_pages_beyond_the_end_of_a_file_that_was_cut_leave_every_map_of_it() {
    let _machine = sim::Machine::start(1, 1024);
    let object = Object::with_len(3 * PAGE as u64).unwrap();
    let space = AddressSpace::new().unwrap();
    let rights = Protection::READ | Protection::WRITE;
    let backings = [
        Backing::Private(object.clone(), 0),
        Backing::Shared(object.clone(), PAGE as u64),
    ];
    let (private, shared) = (BASE, BASE + 16 * PAGE);
    for (start, backing) in [private, shared].into_iter().zip(backings) {
        let length = 2 * PAGE;
        now(space.map(Placement::Fixed(start), length, rights, backing)).unwrap();
    }
    activate(&space);
    for page in [private, private + PAGE, shared, shared + PAGE] {
        store(&space, page, 7).unwrap();
    }
    let child = now(space.fork()).unwrap();
    object.truncate(PAGE as u64 + 1);
    for space in [&space, &child] {
        now(space.unmap_beyond_end_here(&object));
        activate(space);
        for kept in [private, private + PAGE, shared] {
            assert!(load(space, kept).is_ok());
        }
        assert_eq!(load(space, shared + PAGE), Err(FaultError::BeyondEnd));
    }
    object.truncate(PAGE as u64);
    for space in [&space, &child] {
        now(space.unmap_beyond_end_here(&object));
        activate(space);
        assert_eq!(load(space, private), Ok(7));
        for cut in [private + PAGE, shared, shared + PAGE] {
            assert_eq!(load(space, cut), Err(FaultError::BeyondEnd));
        }
    }
    object.truncate(3 * PAGE as u64);
    for page in [private + PAGE, shared, shared + PAGE] {
        assert_eq!(load(&child, page), Ok(0), "no old bytes");
    }
    leave();
    assert_clean(&[space, child], &[object]);
}
