//! Rule M4 in one small place, where the great mix seldom comes: a CPU enters the address
//! space while another, which thought itself alone there, is about to replace a page by
//! its copy; and before the shootdown is over another thread writes the page.

use super::*;
use crate::memory::planted::{Planted, plant};
use core::cell::Cell;
use core::pin::pin;

/// Seeds of each test.
const SEEDS: u64 = 800;

/// Whether a CPU reads an old value after a new one was written.
fn reads_the_old_page(seed: u64) -> bool {
    let _machine = sim::Machine::start(2, 512);
    let parent = space(1);
    sim::store_word(BASE, 1).unwrap_err();
    now(parent.fault(BASE, Access::Write)).unwrap();
    sim::store_word(BASE, 1).unwrap();
    // Holds the page as well.
    let _child = now(parent.fork()).unwrap();
    leave();
    let shared = Rc::new((parent, Cell::new(1), Cell::new(false)));
    let writer = {
        let shared = shared.clone();
        move || {
            let (space, value, stale) = &*shared;
            activate(space);
            // Two threads of the process; the first may have to wait for the other CPU.
            let mut first = pin!(space.fault(BASE, Access::Write));
            let mut second = pin!(space.fault(BASE, Access::Write));
            let ready =
                first.as_mut().now_or_never().is_some() || second.as_mut().now_or_never().is_some();
            if ready && sim::store_word(BASE, 2).is_ok() {
                value.set(2);
            }
            // The other CPU goes on with what it has.
            (0..20).for_each(|_| schedule::pause());
            if stale.get() {
                schedule::report("M4: old after new".into());
            }
        }
    };
    let reader = {
        let shared = shared.clone();
        move || {
            let (space, value, stale) = &*shared;
            activate(space);
            for _ in 0..20 {
                if let Ok(read) = sim::load_word(BASE)
                    && read != value.get()
                {
                    stale.set(true);
                }
                schedule::pause();
            }
            shootdown::serve();
        }
    };
    let bodies: Vec<Box<dyn FnOnce()>> = vec![Box::new(writer), Box::new(reader)];
    let outcome = schedule::run(seed, vec![BASE], 100_000, bodies);
    // Where a run is broken off a CPU still stands in the address space.
    core::mem::forget(shared);
    outcome.broken.is_some()
}

#[test]
fn m4_a_cpu_that_comes_while_a_page_is_copied_never_reads_the_old_one_after_the_new() {
    for seed in 0..SEEDS {
        assert!(!reads_the_old_page(seed), "seed {seed}");
    }
}

#[test]
fn m4_a_page_taken_over_while_a_shootdown_is_on_its_way_is_found() {
    plant(Some(Planted::HastyReuse));
    let found = (0..SEEDS).find(|&seed| reads_the_old_page(seed));
    plant(None);
    println!("found by seed {found:?}");
    assert!(found.is_some());
}
