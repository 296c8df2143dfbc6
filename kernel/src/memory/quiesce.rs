//! Waiting until nothing is left to reclaim.

use crate::memory::reclaim::reclaimer;
use crate::memory::tlb::shootdown;
use crate::memory::vma::dead_maps;

/// Whether nothing is left to drop: in no queue and in no CPU's hands.
pub fn is_quiescent() -> bool {
    dead_maps::is_quiescent() && reclaimer::is_quiescent()
}

/// Waits until no shootdown is under way and nothing is left to drop.
pub async fn quiesce() {
    // In this order: what a shootdown releases is in a queue before it is over.
    while !(shootdown::is_quiescent() && is_quiescent()) {
        dead_maps::drop_slice();
        reclaimer::reclaim_slice();
        executor::yield_now().await;
    }
}
