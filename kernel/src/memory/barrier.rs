//! A memory barrier on every CPU that runs the address space (membarrier(2)).
//!
//! It is a shootdown of nothing: a CPU that is asked answers with atomic operations that are
//! barriers themselves. A CPU that is not in the set is not running the program; it enters
//! the set, or has left it, by an operation that is a barrier, too.

use super::flush::{Range, RetiredBatch};
use super::shootdown;
use super::space::AddressSpace;
use crate::arch;
use core::sync::atomic::{Ordering, fence};

impl AddressSpace {
    /// Returns when every CPU that was running the program has passed a full barrier since
    /// the call.
    pub async fn barrier(&self) {
        let ready = shootdown::ready().await;
        // Orders what the caller has done before the look at who is active.
        fence(Ordering::SeqCst);
        let others = self.activity.cpus().without(arch::cpu());
        if !others.is_empty() {
            let nothing = &mut RetiredBatch::new();
            ready.send(others, Range::NONE, nothing).over().await;
        }
        fence(Ordering::SeqCst);
    }
}
