//! A CPU begins to use a page while another replaces it without a shootdown, since its accessed bit
//! is clear (rules M2, M4; `space/untouched.rs`). Afterwards the page's other holder finds itself
//! alone and writes it.

use super::{Contents, explore};
use crate::arch::Frame;
use crate::arch::level::Level;
use crate::arch::paging::{Bits, Entry, Table};
use crate::memory::frame::{self, FrameRef, Purpose};
use crate::memory::planted::{Planted, plant};
use crate::memory::reclaim::reclaimer;
use crate::memory::reclaim::retired::{Receipt, Retired};
use crate::memory::space::untouched::replace;
use crate::memory::table::{occupancy, walk};
use crate::testing::sim;
use loom::thread::{self, JoinHandle};
use std::sync::Arc;

/// What a page's entry has after COW was broken on its table.
const READ_ONLY: Bits = Bits::PRESENT.union(Bits::USER);

/// A tracked leaf table with one page that another holder, which is not in the model's tables, has too.
struct Shared {
    table: Table,
    page: Frame,
    contents: Contents,
}

fn shared() -> Shared {
    let fresh = || FrameRef::zeroed(Purpose::User).unwrap().into_entry();
    let page = fresh();
    frame::take(page).unwrap();
    // SAFETY: zeroed, and kept by the reference that `end` drops.
    let table = unsafe { Table::new(fresh()) };
    occupancy::fill(table, 0, Entry::new(page, READ_ONLY)).unwrap();
    let contents = Contents::new();
    Shared {
        table,
        page,
        contents,
    }
}

impl Shared {
    /// As the processor, or a walk of the kernel's: sets the accessed bit, and then uses the frame that
    /// it has found.
    fn read(&self) {
        let entry = walk::access_entry(self.table, 0).unwrap();
        if entry.frame() == Some(self.page) {
            self.contents.read();
        }
    }

    /// The write of the other thread. Its reference is gone at once if no CPU has used the page.
    fn write(&self) {
        replace(self.table, 0, READ_ONLY);
        while reclaimer::reclaim_here(1) {}
    }

    /// The other holder writes the page if it is alone, and gives it up.
    fn write_as_other_holder(&self) {
        if frame::is_sole(self.page) {
            self.contents.write(1);
        }
    }

    fn end(&self) {
        let page = Retired::new(self.page, Level::PAGE);
        let table = Retired::new(self.table.frame(), Level::LEAF_TABLE);
        for retired in [page, table] {
            retired.release(Receipt::all_forgot(), 0);
        }
        while reclaimer::reclaim_here(1) {}
    }
}

/// A thread with room for what the kernel puts on its stack: `loom` gives 32 KiB.
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    const STACK: usize = 1 << 15;
    let builder = thread::Builder::new().stack_size(STACK);
    builder.spawn(body).unwrap()
}

fn read_against_replacement(fault: Option<Planted>) {
    explore(move || spawn(move || on_a_machine(fault)).join().unwrap());
}

fn on_a_machine(fault: Option<Planted>) {
    let machine = sim::Machine::start(1, 16);
    let free = frame::free_frames();
    let shared = Arc::new(shared());
    let reader = {
        let shared = shared.clone();
        spawn(move || shared.read())
    };
    let other_holder = {
        let shared = shared.clone();
        spawn(move || shared.write_as_other_holder())
    };
    plant(fault);
    shared.write();
    plant(None);
    reader.join().unwrap();
    other_holder.join().unwrap();
    shared.end();
    assert_eq!(frame::free_frames(), free, "M11: frames are missing");
    machine.dismantle();
}

/// A CPU that has set the accessed bit uses the page, and the page is not replaced; or it finds the
/// copy. So the other holder does not find itself alone while the CPU reads.
///
/// Fault: the exchange ignores the accessed bit (`AccessedIgnored`); or the walk sets the bit by a
/// `fetch_or` and uses the frame that it had loaded before.
#[test]
fn a_page_is_used_or_is_replaced() {
    read_against_replacement(None);
}

#[test]
#[should_panic]
fn a_page_that_is_replaced_although_it_is_used_is_found() {
    read_against_replacement(Some(Planted::AccessedIgnored));
}
