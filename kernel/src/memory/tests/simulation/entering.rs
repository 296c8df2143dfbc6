//! Rule M6 in one small place, where the great mix seldom comes: a CPU enters the address
//! space just while another unmaps a page of it. Either it is asked, or it begins with the
//! tables as they are afterwards.

use super::*;
use crate::memory::planted::{Planted, plant};
use core::cell::Cell;

/// Seeds that must find nothing.
const SEEDS: u64 = 800;
/// Seeds among which one must find what is planted; one in a few thousand does.
const SEEDS_UNTIL_FOUND: u64 = 30_000;

/// Whether a CPU reads a page after munmap has returned.
fn reads_what_is_gone(seed: u64) -> bool {
    let _machine = sim::Machine::start(2, 512);
    let space = space(1);
    now(space.fault(BASE, Access::Write)).unwrap();
    leave();
    let shared = Rc::new((space, Cell::new(false)));
    let unmapper = {
        let shared = shared.clone();
        move || {
            let (space, gone) = &*shared;
            activate(space);
            let outcome = space.unmap(BASE, PAGE).now_or_never();
            gone.set(outcome.is_some());
            (0..20).for_each(|_| schedule::pause());
        }
    };
    let reader = {
        let shared = shared.clone();
        move || {
            let (space, gone) = &*shared;
            activate(space);
            for _ in 0..20 {
                if sim::load_word(BASE).is_ok() && gone.get() {
                    schedule::report("M6: read after munmap".into());
                }
                schedule::pause();
            }
            shootdown::serve();
        }
    };
    let bodies: Vec<Box<dyn FnOnce()>> = vec![Box::new(unmapper), Box::new(reader)];
    let outcome = schedule::run(seed, vec![BASE], 100_000, bodies);
    // Where a run is broken off a CPU still stands in the address space.
    core::mem::forget(shared);
    outcome.broken.is_some()
}

#[test]
fn m6_a_cpu_that_enters_during_munmap_never_reads_the_page_afterwards() {
    for seed in 0..SEEDS {
        assert!(!reads_what_is_gone(seed), "seed {seed}");
    }
}

#[test]
fn m6_a_cpu_that_enters_the_set_late_is_found() {
    plant(Some(Planted::LateEntry));
    let found = (0..SEEDS_UNTIL_FOUND).find(|&seed| reads_what_is_gone(seed));
    plant(None);
    println!("found by seed {found:?}");
    assert!(found.is_some());
}
