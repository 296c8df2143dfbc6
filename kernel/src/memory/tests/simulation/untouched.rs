//! Breaking COW without a shootdown (`space/untouched.rs`, rules M2, M4), in a small place where the
//! great mix seldom comes: two threads of a process on two CPUs, one that writes and one that reads
//! the same pages of one leaf table, and a child that writes its own copies on a third.

use super::*;
use crate::memory::planted::{Planted, plant};
use crate::memory::stats::counters::{Counter, total};
use core::cell::Cell;
use core::pin::pin;

/// Seeds of each test.
const SEEDS: u64 = 1500;
/// What the parent has written before the fork, what it writes after it, and what the child does.
const BEFORE: u64 = 1;
const AFTER: u64 = 2;
const CHILDS: u64 = 3;

/// How the reader reads.
#[derive(Clone, Copy, PartialEq)]
enum Reader {
    /// By instructions, now and then.
    Program,
    /// By system calls.
    Kernel,
}

struct Common {
    parent: Arc<AddressSpace>,
    child: Arc<AddressSpace>,
    /// The last value of each page that a store of the parent has ended with.
    stored: [Cell<u64>; 3],
    running: Cell<usize>,
    /// Copies without a shootdown.
    replaced: Cell<u64>,
}

const PAGES: [usize; 3] = [BASE, BASE + PAGE, BASE + 2 * PAGE];

/// The writing thread has two faults under way at once, as two threads of its CPU would: the second
/// begins while the first waits for its shootdown. What comes after both has a tracked table.
fn write(common: &Common) {
    let space = &common.parent;
    activate(space);
    let mut first = pin!(space.fault(PAGES[1], Access::Write));
    let mut is_over = first.as_mut().now_or_never().is_some();
    for (index, page) in PAGES.into_iter().enumerate() {
        while sim::store_word(page, AFTER).is_err() {
            drive_here(space.fault(page, Access::Write)).unwrap();
        }
        common.stored[index].set(AFTER);
        (0..schedule::random(4)).for_each(|_| between_polls());
        while index == 1 && !is_over {
            between_polls();
            is_over = first.as_mut().now_or_never().is_some();
        }
    }
}

/// A value that is read has to be one that the parent wrote, and no older than what was stored when the
/// load began.
fn read(common: &Common, how: Reader) {
    let space = &common.parent;
    activate(space);
    for _ in 0..12 {
        let index = match (how, schedule::random(4)) {
            (Reader::Kernel, _) | (_, 0) => 2,
            (_, other) => other % 2,
        };
        let at_least = common.stored[index].get();
        let found = match how {
            Reader::Program => sim::load_word(PAGES[index]).ok(),
            Reader::Kernel => {
                let mut read = pin!(space.read_word(PAGES[index]));
                read.as_mut()
                    .now_or_never()
                    .and_then(Result::ok)
                    .map(|word| word as u64)
            }
        };
        match found {
            Some(CHILDS) => schedule::report("M2: the parent reads what the child wrote".into()),
            Some(value) if value < at_least => schedule::report("M4: old after new".into()),
            Some(_) => {}
            None => {
                let _ = drive_here(space.fault(PAGES[index], Access::Read));
            }
        }
        (0..schedule::random(3)).for_each(|_| between_polls());
    }
}

/// The child writes its pages, as soon as it is the only holder in place.
fn write_as_child(common: &Common) {
    let space = &common.child;
    activate(space);
    for _ in 0..6 {
        for page in PAGES.into_iter().rev() {
            (0..schedule::random(30)).for_each(|_| between_polls());
            while sim::store_word(page, CHILDS).is_err() {
                let _ = drive_here(space.fault(page, Access::Write));
            }
        }
        while reclaimer::reclaim_here(1) {}
    }
}

fn drive_here<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Some(result) = future.as_mut().now_or_never() {
            return result;
        }
        between_polls();
    }
}

fn between_polls() {
    shootdown::serve();
    while reclaimer::reclaim_here(1) {}
    schedule::pause();
}

/// What is wrong in a run, if anything, and how many pages were replaced without a shootdown.
fn run(seed: u64, how: Reader) -> (Option<String>, u64) {
    let _machine = sim::Machine::start(3, 512);
    let parent = space(PAGES.len());
    for page in PAGES {
        now(parent.fault(page, Access::Write)).unwrap();
        sim::store_word(page, BEFORE).unwrap();
    }
    // COW is not broken on what fork copies eagerly: it shall remember no page of ours.
    parent.first_writes.keep(&[PAGE, 2 * PAGE].into());
    let child = now(parent.fork()).unwrap();
    leave();
    let before = total(Counter::CowCopiesUntouched);
    let common = Rc::new(Common {
        parent,
        child,
        stored: [const { Cell::new(BEFORE) }; 3],
        running: Cell::new(3),
        replaced: Cell::new(0),
    });
    let bodies = (0..3).map(|cpu| {
        let common = common.clone();
        Box::new(move || {
            match cpu {
                0 => write(&common),
                1 => read(&common, how),
                _ => write_as_child(&common),
            }
            common.running.set(common.running.get() - 1);
            while common.running.get() != 0 {
                between_polls();
            }
            let replaced = total(Counter::CowCopiesUntouched) - before;
            common.replaced.set(replaced);
        }) as Box<dyn FnOnce()>
    });
    // The TLBs learn by themselves of the first two: of the third only what is read.
    let outcome = schedule::run(seed, PAGES[..2].to_vec(), 1_000_000, bodies.collect());
    let replaced = common.replaced.get();
    // Where a run is broken off a CPU still stands in the address space.
    core::mem::forget(common);
    (outcome.broken, replaced)
}

fn finds(fault: Planted, how: Reader) {
    plant(Some(fault));
    let found = (0..10 * SEEDS).find_map(|seed| run(seed, how).0.map(|wrong| (seed, wrong)));
    plant(None);
    let (seed, wrong) = found.unwrap_or_else(|| panic!("{fault:?} was not found"));
    println!("{fault:?}: found by {} seeds: {wrong}", seed + 1);
}

#[test]
fn m4_pages_are_replaced_without_a_shootdown_and_none_is_read_after_it_has_gone() {
    let mut replaced = 0;
    for seed in 0..SEEDS {
        for how in [Reader::Program, Reader::Kernel] {
            let (wrong, more) = run(seed, how);
            assert_eq!(wrong, None, "seed {seed}");
            replaced += more;
        }
    }
    println!("{replaced} pages replaced without a shootdown");
    assert!(replaced > 0);
}

#[test]
fn m4_a_table_that_is_tracked_before_the_acknowledgements_is_found() {
    finds(Planted::TrackedBeforeAcks, Reader::Program);
}

#[test]
fn m4_a_table_that_is_tracked_after_a_flush_of_one_page_is_found() {
    finds(Planted::TrackedByOnePage, Reader::Program);
}

#[test]
fn m4_an_accessed_bit_that_is_ignored_is_found() {
    finds(Planted::AccessedIgnored, Reader::Program);
}

#[test]
fn m2_a_page_that_the_kernel_uses_without_a_trace_is_found() {
    finds(Planted::KernelLeavesNoTrace, Reader::Kernel);
}
