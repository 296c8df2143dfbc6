//! A memory barrier on every CPU that runs the address space (membarrier(2)).
//!
//! It is the shootdown of a change to nothing: a CPU that is asked answers with atomic
//! operations that are barriers themselves. A CPU that is not in the set is not running the
//! program; it enters the set, or has left it, by an operation that is a barrier, too.

use super::address_space::AddressSpace;
use crate::memory::reclaim::retired::RetiredBatch;
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown;

impl AddressSpace {
    /// Returns when every CPU that was running the program has passed a full barrier since
    /// the call.
    pub async fn barrier(&self) {
        let ready = shootdown::ready().await;
        // It begins with an atomic operation that orders all that the caller has done before.
        let nothing = &mut RetiredBatch::new();
        let shootdown = self
            .active_cpus
            .flush_and_release(ready, FlushRange::NONE, nothing);
        shootdown::over(shootdown).await;
    }
}
