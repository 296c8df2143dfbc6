//! Large maps whose address spaces are gone: a task drops their areas a slice at a time (rule E4).
//!
//! A process with tens of thousands of areas would otherwise hold its CPU for as long as it takes to
//! drop them all, on whichever CPU lets go of it last.

use crate::arch::PerMachine;
use crate::memory::vma::map::NODE;
use crate::memory::vma::tree::Teardown;
use crate::memory::vma::vm_area::Vma;
use core::sync::atomic::{AtomicUsize, Ordering};
use crossbeam_queue::ArrayQueue;
use executor::Label;
use executor::sync::WaitQueue;

/// How many maps may wait. One more is dropped where its address space ends.
const WAITING: usize = 32;
/// How many nodes are dropped between two yields.
const SLICE: usize = 32;

type DeadMap = Teardown<Vma, NODE>;

struct DeadMaps {
    maps: ArrayQueue<DeadMap>,
    /// How many there are, those in the hands of a task included.
    count: AtomicUsize,
    work: WaitQueue,
}

static DEAD_MAPS: PerMachine<DeadMaps> = PerMachine::new();

/// Called once, when there is a heap.
pub(in crate::memory) fn init() {
    DEAD_MAPS.init(DeadMaps {
        maps: ArrayQueue::new(WAITING),
        count: AtomicUsize::new(0),
        work: WaitQueue::labelled(&Label("dead maps")),
    });
}

/// Hands a map over to be dropped.
pub(super) fn put(map: DeadMap) {
    let dead = DEAD_MAPS.get();
    // Relaxed: the one that looks whether any is left has seen the process end before, and so
    // this.
    dead.count.fetch_add(1, Ordering::Relaxed);
    keep(dead, map);
    dead.work.wake_one();
}

/// Drops a slice of one map, if any waits. Whether there was one.
pub(in crate::memory) fn drop_slice() -> bool {
    let dead = DEAD_MAPS.get();
    let Some(mut map) = dead.maps.pop() else {
        return false;
    };
    if !map.step(SLICE) {
        // Release: pairs with the load in `is_quiescent`. What the map had is dropped before.
        dead.count.fetch_sub(1, Ordering::Release);
    } else {
        keep(dead, map);
    }
    true
}

/// Lets a map wait, or drops it if there is no room.
fn keep(dead: &DeadMaps, map: DeadMap) {
    if let Err(mut map) = dead.maps.push(map) {
        while map.step(usize::MAX) {}
        dead.count.fetch_sub(1, Ordering::Release);
    }
}

/// Whether no map is left to be dropped.
pub(in crate::memory) fn is_quiescent() -> bool {
    DEAD_MAPS.get().count.load(Ordering::Acquire) == 0
}

/// The task that drops them.
pub async fn run() {
    let dead = DEAD_MAPS.get();
    loop {
        dead.work
            .wait_until(|| (!dead.maps.is_empty()).then_some(()))
            .await;
        drop_slice();
        executor::yield_now().await;
    }
}
