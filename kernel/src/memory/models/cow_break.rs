//! Several CPUs break COW of one table at once, and another holder of it goes away meanwhile
//! (rules M1, M2, M3). The tree is a real one, of the code that ships, in the memory of a
//! simulated machine; under `loom` a table has one entry.

use super::Contents;
use crate::arch::Frame;
use crate::arch::level::Level;
use crate::arch::paging::{Bits, Entry, Table};
use crate::memory::frame::{self, FrameRef, Purpose};
use crate::memory::planted::{Planted, plant};
use crate::memory::reclaim::reclaimer;
use crate::memory::reclaim::retired::RetiredBatch;
use crate::memory::reclaim::retired::{Receipt, Retired};
use crate::memory::space::cow_break::private_child;
use crate::memory::table::occupancy;
use crate::testing::sim;
use loom::thread::{self, JoinHandle};
use std::sync::Arc;

/// So often a CPU is overtaken by others where it could have gone on, in all ways.
const PREEMPTIONS: usize = 3;
/// The table that is copied is one of pages.
const SHARED: Level = Level::LEAF_TABLE;
const ABOVE: Level = Level::TABLES[1];
const ALL: Bits = Bits::PRESENT.union(Bits::WRITE).union(Bits::USER);

/// What two address spaces have after a fork, from the level above the shared table on.
struct Forked {
    parent: Table,
    child: Table,
    page: Frame,
    /// What is in the page: a word for each thread of the parent.
    words: [Contents; 2],
}

fn fresh_table() -> Table {
    let fresh = FrameRef::zeroed(Purpose::User).unwrap();
    // SAFETY: zeroed, and kept by the reference, which the holder of the table drops in the end.
    unsafe { Table::new(fresh.into_entry()) }
}

/// An address space whose only page can be written, and one that shares its table.
fn fork() -> Forked {
    let page = FrameRef::zeroed(Purpose::User).unwrap().into_entry();
    let (parent, child, shared) = (fresh_table(), fresh_table(), fresh_table());
    occupancy::fill(shared, 0, Entry::new(page, ALL)).unwrap();
    frame::take(shared.frame()).unwrap();
    let entry = Entry::new(shared.frame(), ALL.difference(Bits::WRITE));
    occupancy::fill(parent, 0, entry).unwrap();
    occupancy::fill(child, 0, entry).unwrap();
    Forked {
        parent,
        child,
        page,
        words: [Contents::new(), Contents::new()],
    }
}

impl Forked {
    /// Writes a word as a thread of the parent does: in the page, if that is the parent's alone,
    /// or else in a copy. Gives what the parent has left.
    fn write(&self, word: usize) -> RetiredBatch {
        let mut left = RetiredBatch::new();
        let table = private_child(self.parent, ABOVE, 0, &mut left).unwrap();
        if table.load(0).is_writable() {
            self.words[word].write(1);
            let entry = table.load(0);
            assert!(
                entry.is_writable(),
                "M3: a page that is written looks as if nobody could"
            );
        } else if frame::is_sole(self.page) {
            self.words[word].write(1);
        } else {
            self.words.iter().for_each(|word| {
                word.read();
            });
        }
        left
    }

    /// The child has a table of its own from now on, and goes on reading the page.
    fn break_cow_in_child(&self) {
        let mut left = RetiredBatch::new();
        let table = private_child(self.child, ABOVE, 0, &mut left).unwrap();
        release(left);
        assert!(!table.load(0).is_writable(), "M3: the page is shared");
        let word = self.words[0].read();
        assert_eq!(word, 0, "M3: the child reads what the parent has written");
    }

    /// Everything is given back.
    fn end(&self) {
        let tables = [self.parent, self.child];
        release(tables.map(|table| Retired::new(table.frame(), ABOVE)));
    }
}

/// All CPUs have forgotten.
fn release(left: impl IntoIterator<Item = Retired>) {
    for retired in left {
        retired.release(Receipt::all_forgot(), 0);
    }
    while reclaimer::reclaim_here(1) {}
}

/// A thread with room for what the kernel puts on its stack: `loom` gives 32 KiB.
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    const STACK: usize = 1 << 15;
    let builder = thread::Builder::new().stack_size(STACK);
    builder.spawn(body).unwrap()
}

/// Explores a model on a machine of its own, and looks whether all frames come back.
fn explore_on_a_machine(model: fn(&Arc<Forked>)) {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(PREEMPTIONS);
    orders.check(move || spawn(move || on_a_machine(model)).join().unwrap());
}

fn on_a_machine(model: fn(&Arc<Forked>)) {
    let machine = sim::Machine::start(1, 16);
    let free = frame::free_frames();
    let forked = Arc::new(fork());
    model(&forked);
    forked.end();
    assert_eq!(frame::free_frames(), free, "M11: frames are missing");
    machine.dismantle();
}

/// Two threads write the same page while the child, which has not touched it, ends.
fn two_threads_write_and_the_child_ends(forked: &Arc<Forked>) {
    let other = {
        let forked = forked.clone();
        spawn(move || forked.write(1))
    };
    let ending = {
        let forked = forked.clone();
        spawn(move || {
            let shared = forked.child.take(0).frame().unwrap();
            release([Retired::new(shared, SHARED)]);
        })
    };
    let left = forked.write(0);
    let left_by_other = other.join().unwrap();
    ending.join().unwrap();
    release(left.into_iter().chain(left_by_other));
}

/// A thread begins to copy a table, and its compare-and-exchange on the entry above fails because
/// another thread has found itself the last holder and reused the table. The first thread has
/// changed nothing. All references are counted in the end, whichever thread has won.
///
/// Fault: the copy of a table takes the writable bits out of the original before its
/// compare-and-exchange (`ProtectedBeforeWon`); or does not discard a copy that has not won; or the
/// reference to the original is dropped at once.
#[test]
fn who_does_not_win_a_table_has_changed_nothing() {
    explore_on_a_machine(two_threads_write_and_the_child_ends);
}

#[test]
#[should_panic(expected = "M3")]
fn a_table_that_is_protected_by_who_has_not_won_it_is_found() {
    explore_on_a_machine(|forked| {
        plant(Some(Planted::ProtectedBeforeWon));
        two_threads_write_and_the_child_ends(forked);
    });
}

/// The child breaks COW of the table too, and drops the original after its shootdown. A parent that
/// reuses the original observes by then that the page below is shared.
///
/// Fault: `RefCount::drop_one` counts down with `Relaxed`; or `is_sole` loads so; or the winner does
/// not clear the writable bits in the original.
#[test]
fn a_table_that_is_taken_over_shows_what_its_other_holder_shares() {
    explore_on_a_machine(|forked| {
        let child = {
            let forked = forked.clone();
            spawn(move || forked.break_cow_in_child())
        };
        let left = forked.write(0);
        child.join().unwrap();
        release(left);
    });
}
