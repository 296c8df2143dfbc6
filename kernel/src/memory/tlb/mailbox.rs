//! How a CPU asks another CPU for a flush, and how that acknowledges (rules M2, M7): the two small
//! protocols under the shootdown, without the contents of a request.
//!
//! Both are model-checked in the form that ships (`models`).

use super::cpu_set::CpuSet;
use crate::arch::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::arch::{CpuId, MAX_CPUS};
use crate::memory::planted::{Planted, planted};
use arrayvec::ArrayVec;

/// The flush requests to one CPU.
pub(in crate::memory) struct Mailbox {
    /// The CPUs that have left requests in `from`. While the set is not empty its CPU has been
    /// interrupted, or is about to look.
    senders: AtomicU64,
    /// The slots with requests to this CPU, by the CPU that they belong to.
    from: [AtomicU32; MAX_CPUS],
}

impl Mailbox {
    /// An empty one.
    pub(in crate::memory) fn new() -> Mailbox {
        Mailbox {
            senders: AtomicU64::new(0),
            from: core::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Leaves requests in some slots of `sender`. Says whether the CPU has to be interrupted:
    /// otherwise it has been asked already.
    #[must_use]
    pub(in crate::memory) fn post(&self, sender: CpuId, slots: u32) -> bool {
        // SeqCst, here and in `take`: the store to `from` comes before the one to `senders`, and
        // `take` swaps `senders` before `from`. So either `senders` was empty and the caller sends
        // an interrupt, or the CPU has yet to swap `senders`, and then observes the slot's bit.
        self.from[sender.0].fetch_or(slots, Ordering::SeqCst);
        let before = self
            .senders
            .fetch_or(CpuSet::only(sender).0, Ordering::SeqCst);
        before == 0
    }

    /// Takes the requests out: the sender of each, and which of its slots.
    pub(in crate::memory) fn take(&self) -> ArrayVec<(CpuId, u32), MAX_CPUS> {
        let late = planted(Planted::SendersClearedLate);
        let senders = if late {
            CpuSet(self.senders.load(Ordering::SeqCst))
        } else {
            CpuSet(self.senders.swap(0, Ordering::SeqCst))
        };
        let requests = senders.iter().map(|sender| {
            let slots = self.from[sender.0].swap(0, Ordering::SeqCst);
            (sender, slots)
        });
        let requests = requests.collect();
        if late {
            #[cfg(not(loom))]
            crate::arch::scheduling_point();
            self.senders.store(0, Ordering::SeqCst);
        }
        requests
    }

    /// Whether there seems to be no request. A later one comes with an interrupt.
    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.senders.load(Ordering::Relaxed) == 0
    }
}

/// The acknowledgements that a shootdown waits for. It serves one shootdown after the other.
pub(in crate::memory) struct Acks {
    /// Counted up when a shootdown is over.
    round: AtomicU64,
    /// The CPUs that have not acknowledged.
    waiting_for: AtomicU64,
}

impl Acks {
    /// No acknowledgement is missing.
    pub(in crate::memory) fn new() -> Acks {
        Acks {
            round: AtomicU64::new(0),
            waiting_for: AtomicU64::new(0),
        }
    }

    /// Begins to wait for these CPUs, before they are asked. Returns the round that has to
    /// end.
    pub(in crate::memory) fn begin(&self, cpus: CpuSet) -> u64 {
        // Relaxed: the SeqCst operations on the mailboxes publish it.
        self.waiting_for.store(cpus.0, Ordering::Relaxed);
        self.round.load(Ordering::Relaxed)
    }

    /// The CPU has flushed. Returns whether its acknowledgement is the last.
    #[must_use]
    pub(in crate::memory) fn acknowledge(&self, cpu: CpuId) -> bool {
        let bit = CpuSet::only(cpu).0;
        // AcqRel: each CPU's use of the old translations happens before its own `fetch_and`
        // (Release), which the last `fetch_and` observes (Acquire). So it happens before the last
        // CPU releases the references.
        self.waiting_for.fetch_and(!bit, Ordering::AcqRel) == bit
    }

    /// Ends the round, when all that was waiting for the acknowledgements is done.
    pub(in crate::memory) fn end(&self) {
        // Release: pairs with the Acquire in `is_over`. A task that observes the new round observes
        // what was done before.
        self.round.fetch_add(1, Ordering::Release);
    }

    /// Whether the round has ended.
    pub(in crate::memory) fn is_over(&self, round: u64) -> bool {
        // Acquire: pairs with the Release in `end`.
        self.round.load(Ordering::Acquire) != round
    }
}
