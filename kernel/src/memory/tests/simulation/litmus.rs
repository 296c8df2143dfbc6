//! In which order threads of one process see each other's stores, across faults (rule M4):
//! the small shapes that memory models are explained by (Sewell and others: x86-TSO, 2010).
//! The great mix checks each load against the model; here each shape has its name, and the
//! pages are where copy-on-write could break it.

use super::*;
use crate::arch::Frame;
use crate::memory::planted::{Planted, plant};
use crate::testing::sim::stores;
use core::cell::{Cell, RefCell};

/// Seeds of each shape, in each circumstance.
const SEEDS: u64 = 300;
const X: usize = BASE;
const Y: usize = BASE + PAGE;
/// A page that no thread uses.
const Z: usize = BASE + 2 * PAGE;

/// What a thread does, one after the other.
#[derive(Clone, Copy)]
enum Do {
    Store(usize, u64),
    Load(usize),
    /// Loads until there is something.
    Await(usize),
    /// MFENCE.
    Fence,
}
use Do::{Await, Fence, Load, Store};

/// What has become of the pages before, or becomes of them meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    /// A child holds them: a write makes a copy.
    Shared,
    /// A child held them: a write reuses them.
    LeftByChild,
    /// A child holds them, and the leaf table is tracked: a page that no CPU has used is replaced
    /// without a shootdown (`space/untouched.rs`).
    Tracked,
    /// Another thread forks.
    Forking,
}

const ALWAYS: [When; 4] = [
    When::Shared,
    When::LeftByChild,
    When::Tracked,
    When::Forking,
];

struct Common {
    space: Arc<AddressSpace>,
    running: Cell<usize>,
    children: RefCell<Vec<Arc<AddressSpace>>>,
    /// What each thread has loaded.
    loaded: Vec<RefCell<Vec<u64>>>,
}

/// An interrupt may arrive now, and a store of this CPU's has to wait no longer then.
fn interruptible() {
    if sim::interrupt_arrives(sim::here()) {
        stores::drain();
        shootdown::serve();
    }
}

fn translate(space: &AddressSpace, address: usize, access: Access) -> Frame {
    loop {
        schedule::point();
        interruptible();
        if let Ok(frame) = sim::translate(address, access) {
            return frame;
        }
        drive(space.fault(address, access)).unwrap();
    }
}

fn load(space: &AddressSpace, address: usize) -> u64 {
    let frame = translate(space, address, Access::Read);
    stores::get(frame, 0)
}

fn run_thread(common: &Common, number: usize, program: &[Do]) {
    activate(&common.space);
    for &step in program {
        match step {
            Store(address, value) => {
                let frame = translate(&common.space, address, Access::Write);
                stores::put(frame, 0, value, Box::new(|| {}));
            }
            Load(address) => {
                let value = load(&common.space, address);
                common.loaded[number].borrow_mut().push(value);
            }
            Await(address) => while load(&common.space, address) == 0 {},
            Fence => stores::drain(),
        }
    }
    finish(common);
}

fn run_forker(common: &Common) {
    activate(&common.space);
    for _ in 0..2 {
        let child = drive(common.space.fork()).unwrap();
        common.children.borrow_mut().push(child);
    }
    finish(common);
}

/// Runs on in user mode until the others have come to their ends, too.
fn finish(common: &Common) {
    common.running.set(common.running.get() - 1);
    while common.running.get() != 0 {
        interruptible();
        schedule::pause();
    }
    stores::drain();
    leave();
    shootdown::serve();
}

/// A write of Z while the address space is active on another CPU, which has not used any page.
fn track(space: &Arc<AddressSpace>) {
    sim::on(1, || activate(space));
    let mut fault = core::pin::pin!(space.fault(Z, Access::Write));
    if fault.as_mut().now_or_never().is_none() {
        sim::on(1, shootdown::serve);
        now(fault).unwrap();
    }
    sim::on(1, || {
        leave();
        reclaim_here();
        sim::take_ipi(1);
    });
}

/// What the threads have loaded, in the order that follows from the seed.
fn outcome(seed: u64, when: When, programs: &[&'static [Do]]) -> Result<Vec<Vec<u64>>, String> {
    let cpus = programs.len() + usize::from(when == When::Forking);
    let _machine = sim::Machine::start(cpus, 1024);
    let space = space(3);
    for page in [X, Y, Z] {
        while sim::store_word(page, 0).is_err() {
            now(space.fault(page, Access::Write)).unwrap();
        }
    }
    let child = (when != When::Forking).then(|| now(space.fork()).unwrap());
    let child = child.filter(|_| matches!(when, When::Shared | When::Tracked));
    if when == When::Tracked {
        track(&space);
    }
    reclaim_here();
    leave();
    let common = Rc::new(Common {
        space,
        running: Cell::new(cpus),
        children: RefCell::new(child.into_iter().collect()),
        loaded: programs.iter().map(|_| RefCell::default()).collect(),
    });
    let threads = programs.iter().enumerate().map(|(number, &program)| {
        let common = common.clone();
        Box::new(move || run_thread(&common, number, program)) as Box<dyn FnOnce()>
    });
    let mut bodies: Vec<_> = threads.collect();
    if when == When::Forking {
        let common = common.clone();
        bodies.push(Box::new(move || run_forker(&common)));
    }
    let outcome = schedule::run(seed, vec![X, Y], 1_000_000, bodies);
    let loaded = common.loaded.iter().map(|loaded| loaded.borrow().clone());
    let loaded = loaded.collect();
    // Where a run is broken off a CPU still stands in the address space.
    core::mem::forget(common);
    outcome.broken.map_or(Ok(loaded), Err)
}

/// All outcomes of a shape, over all seeds.
fn outcomes(when: When, programs: &[&'static [Do]]) -> Vec<Vec<Vec<u64>>> {
    (0..SEEDS)
        .map(|seed| outcome(seed, when, programs).unwrap_or_else(|wrong| panic!("{seed}: {wrong}")))
        .collect()
}

fn never(programs: &[&'static [Do]], forbidden: impl Fn(&[Vec<u64>]) -> bool) {
    for when in ALWAYS {
        for (seed, loaded) in outcomes(when, programs).iter().enumerate() {
            assert!(!forbidden(loaded), "{when:?}, seed {seed}: {loaded:?}");
        }
    }
}

/// What the memory model allows has to be seen, too: a machine that never does it is kinder than
/// a real one, and finds nothing.
fn sometimes(programs: &[&'static [Do]], allowed: impl Fn(&[Vec<u64>]) -> bool) {
    for when in ALWAYS {
        let outcomes = outcomes(when, programs);
        let seen = outcomes.iter().filter(|loaded| allowed(loaded)).count();
        println!("{when:?}: {seen} times in {SEEDS}");
        assert!(seen != 0, "{when:?}: never seen");
    }
}

const MESSAGE: [&[Do]; 2] = [&[Store(X, 1), Store(Y, 1)], &[Load(X), Await(Y), Load(X)]];

/// The same after a store that breaks COW of the leaf table.
const LATER_MESSAGE: [&[Do]; 2] = [
    &[Store(Z, 1), Store(X, 1), Store(Y, 1)],
    &[Load(X), Await(Y), Load(X)],
];

/// Forbidden: a thread has observed the flag, and then loads the old message.
fn message_is_old(loaded: &[Vec<u64>]) -> bool {
    loaded[1].last() == Some(&0)
}

#[test]
fn m4_message_passing_across_a_fault() {
    never(&MESSAGE, message_is_old);
}

#[test]
fn m4_message_passing_across_faults_that_ask_no_cpu() {
    never(&LATER_MESSAGE, message_is_old);
}

#[test]
fn m4_two_loads_of_a_word_never_go_back() {
    let programs: [&[Do]; 3] = [
        &[Store(X, 1), Store(X, 2)],
        &[Load(X), Load(X), Load(X)],
        &[Load(X), Load(X)],
    ];
    never(&programs, |loaded| !loaded.iter().all(|it| it.is_sorted()));
}

#[test]
fn m4_both_see_a_store_with_fences_between() {
    let programs: [&[Do]; 2] = [
        &[Store(X, 1), Fence, Load(Y)],
        &[Store(Y, 1), Fence, Load(X)],
    ];
    never(&programs, |loaded| loaded[0] == [0] && loaded[1] == [0]);
}

#[test]
fn two_that_see_no_store_of_each_other_are_seen_without_fences() {
    let programs: [&[Do]; 2] = [&[Store(X, 1), Load(Y)], &[Store(Y, 1), Load(X)]];
    sometimes(&programs, |loaded| loaded[0] == [0] && loaded[1] == [0]);
}

#[test]
fn a_store_is_seen_by_its_own_cpu_first() {
    let programs: [&[Do]; 2] = [
        &[Store(X, 1), Load(X), Load(Y)],
        &[Store(Y, 1), Load(Y), Load(X)],
    ];
    never(&programs, |loaded| loaded[0][0] == 0 || loaded[1][0] == 0);
    sometimes(&programs, |loaded| {
        loaded[0] == [1, 0] && loaded[1] == [1, 0]
    });
}

#[test]
fn m4_all_see_two_stores_in_one_order() {
    let programs: [&[Do]; 4] = [
        &[Store(X, 1)],
        &[Store(Y, 1)],
        &[Load(X), Load(Y)],
        &[Load(Y), Load(X)],
    ];
    never(&programs, |loaded| {
        loaded[2] == [1, 0] && loaded[3] == [1, 0]
    });
}

/// With the fault planted an old message is read.
fn breaks_message_passing(fault: Planted, when: When, programs: &[&'static [Do]]) {
    plant(Some(fault));
    let found = (0..20 * SEEDS).find(|&seed| {
        let outcome = outcome(seed, when, programs);
        outcome.is_ok_and(|loaded| message_is_old(&loaded))
    });
    plant(None);
    println!("{fault:?}: found by seed {found:?}");
    assert!(found.is_some());
}

#[test]
fn m4_a_copy_that_is_writable_at_once_breaks_message_passing() {
    breaks_message_passing(Planted::WritableBeforeAcks, When::Shared, &MESSAGE);
}

#[test]
fn m4_a_table_that_is_tracked_early_breaks_message_passing() {
    breaks_message_passing(Planted::TrackedBeforeAcks, When::Shared, &LATER_MESSAGE);
}

#[test]
fn m4_an_exchange_that_ignores_the_accessed_bit_breaks_message_passing() {
    breaks_message_passing(Planted::AccessedIgnored, When::Tracked, &MESSAGE);
}
