//! Rule M3 in one small place, where the great mix seldom comes: several threads of one
//! address space break COW on the same tables while the other holder goes away. One copies a
//! table, another finds itself the last holder, takes the same table over and writes
//! the page below it; the copy comes too late then, and must not have changed anything.

use super::*;
use crate::memory::planted::{Planted, plant};
use core::cell::Cell;

/// Seeds of each test.
const SEEDS: u64 = 60;
/// CPUs, with a thread each; the first one forks, the others write.
const CPUS: usize = 4;
/// Forks in a run.
const FORKS: usize = 30;

struct Common {
    space: Arc<AddressSpace>,
    /// The first thread still forks.
    forking: Cell<bool>,
    running: Cell<usize>,
}

/// Has children that go away at some time.
fn fork(common: &Common) {
    for _ in 0..FORKS {
        // COW is not broken on what fork copies eagerly: it shall remember no page of ours.
        let elsewhere = [PAGE, 2 * PAGE].into();
        common.space.first_writes.keep(&elsewhere);
        let child = drive(common.space.fork()).unwrap();
        (0..schedule::random(3)).for_each(|_| between_polls());
        drop(child);
        while reclaimer::reclaim_here(1) {}
        (0..schedule::random(10)).for_each(|_| between_polls());
    }
    common.forking.set(false);
}

/// Writes a word of its own again and again, and looks whether it is there.
fn write(common: &Common, word: usize) {
    let mut value = 0;
    while common.forking.get() {
        value += 1;
        while sim::store_word(word, value).is_err() {
            drive(common.space.fault(word, Access::Write)).unwrap();
        }
        (0..schedule::random(4)).for_each(|_| between_polls());
        let found = loop {
            match sim::load_word(word) {
                Ok(found) => break found,
                Err(_) => drive(common.space.fault(word, Access::Read)).unwrap(),
            }
        };
        if found != value {
            schedule::report(format!("M3: {value} was written, and {found} is read"));
        }
    }
}

fn between_polls() {
    shootdown::serve();
    schedule::pause();
}

/// Whether a write is lost.
fn loses_a_write(seed: u64) -> bool {
    let _machine = sim::Machine::start(CPUS, 512);
    let space = space(1);
    now(space.fault(BASE, Access::Write)).unwrap();
    leave();
    let common = Rc::new(Common {
        space,
        forking: Cell::new(true),
        running: Cell::new(CPUS),
    });
    let bodies = (0..CPUS).map(|cpu| {
        let common = common.clone();
        Box::new(move || {
            activate(&common.space);
            match cpu {
                0 => fork(&common),
                _ => write(&common, BASE + 64 * cpu),
            }
            common.running.set(common.running.get() - 1);
            while common.running.get() != 0 {
                between_polls();
            }
        }) as Box<dyn FnOnce()>
    });
    let outcome = schedule::run(seed, vec![BASE], 5_000_000, bodies.collect());
    // Where a run is broken off a CPU still stands in the address space.
    core::mem::forget(common);
    outcome.broken.is_some()
}

#[test]
fn m3_threads_that_break_cow_of_the_same_tables_lose_no_write() {
    for seed in 0..SEEDS {
        assert!(!loses_a_write(seed), "seed {seed}");
    }
}

#[test]
fn m3_a_table_that_is_protected_by_who_has_not_won_it_is_found() {
    plant(Some(Planted::ProtectedBeforeWon));
    let found = (0..20 * SEEDS).find(|&seed| loses_a_write(seed));
    plant(None);
    println!("found by seed {found:?}");
    assert!(found.is_some());
}
