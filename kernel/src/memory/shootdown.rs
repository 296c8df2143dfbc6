//! Making other CPUs forget translations (rules M2, M5, M7).
//!
//! [`AddressSpace::flush`] is called after an entry was changed. It flushes this CPU, and
//! when the address space is active nowhere else that is all: the receipt comes at once.
//! Otherwise a [`Shootdown`] is sent to those CPUs. It owns the references which it will
//! release, so nothing depends on the task that asked for it: that may be killed while it
//! waits. The CPU that acknowledges last makes the receipt, releases the references and
//! wakes the waiter.
//!
//! Each CPU has a lock-free queue of requests, and a flag that says that it has been
//! asked: who finds it set sends no second interrupt. A CPU serves its queue when the
//! interrupt ends user mode or a halt, and between two polls. Nobody spins for anybody.

use super::FRAME_SIZE;
use super::active::{self, Activity, CpuSet};
use super::counters::{Counter, count};
use super::planted::{Planted, planted};
use super::reclaim::{Receipt, Retired};
use crate::arch::{self, CpuId, PerMachine};
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::future::poll_fn;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::Poll;
use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use futures_util::task::AtomicWaker;
use spin::Mutex;

/// References that one shootdown releases at the most.
pub(super) const BATCH: usize = 64;
/// References on their way to a shootdown.
pub(super) type RetiredBatch = ArrayVec<Retired, BATCH>;

/// From this many pages on everything is flushed at once (rule M7). An INVLPG costs about
/// as much as a few misses do; Linux uses 33 too (tlb_single_page_flush_ceiling).
const FULL_FLUSH: usize = 33;

/// The addresses whose translations have changed; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Range {
    /// All that a user program can address.
    pub(super) const ALL: Range = Range {
        start: 0,
        end: usize::MAX,
    };

    /// The page at this address.
    pub(super) fn page(address: usize) -> Range {
        let start = crate::arch::level::page_of(address);
        Range {
            start,
            end: start + FRAME_SIZE,
        }
    }

    fn flush_here(self) {
        if self.end - self.start >= FULL_FLUSH * FRAME_SIZE {
            arch::flush_all();
        } else {
            // Each INVLPG also drops all entries of the paging-structure caches (Intel SDM vol. 3,
            // 4.10.4.1), so this is enough for tables that were replaced, too.
            (self.start..self.end)
                .step_by(FRAME_SIZE)
                .for_each(arch::flush_page);
        }
    }
}

/// What came of a flush.
#[must_use]
pub(super) enum Flushed {
    /// No CPU has the old translations any more.
    Everywhere(Receipt),
    /// These others may, and have to be asked.
    NotOn(CpuSet),
}

impl Activity {
    /// Flushes this CPU after a change of entries in the range, and says who else has to.
    pub(super) fn flush(&self, range: Range) -> Flushed {
        count(Counter::ShootdownsAsked);
        let here = arch::cpu();
        let active = self.advance();
        if active.contains(here) {
            range.flush_here();
        }
        let others = active.without(here);
        if others.is_empty() {
            count(Counter::ShootdownsAvoided);
            Flushed::Everywhere(Receipt::all_forgot())
        } else {
            Flushed::NotOn(others)
        }
    }

    /// Flushes, and releases the references as soon as nobody can use them. Returns what
    /// there is to wait for, if anything is.
    pub(super) fn flush_and_release(
        &self,
        range: Range,
        retired: &mut RetiredBatch,
    ) -> Option<Arc<Shootdown>> {
        match self.flush(range) {
            Flushed::Everywhere(receipt) => {
                retired
                    .drain(..)
                    .for_each(|retired| retired.release(receipt));
                None
            }
            Flushed::NotOn(others) if planted(Planted::DroppedBeforeAcks) => {
                let receipt = Receipt::all_forgot();
                retired
                    .drain(..)
                    .for_each(|retired| retired.release(receipt));
                Some(Shootdown::send(others, range, RetiredBatch::new()))
            }
            Flushed::NotOn(others) => Some(Shootdown::send(others, range, mem::take(retired))),
        }
    }
}

/// A request to some CPUs to forget translations, and what may be released when they
/// have.
pub struct Shootdown {
    range: Range,
    /// The CPUs whose word is missing.
    waiting_for: AtomicU64,
    retired: Mutex<RetiredBatch>,
    waiter: AtomicWaker,
}

impl Shootdown {
    fn send(cpus: CpuSet, range: Range, retired: RetiredBatch) -> Arc<Shootdown> {
        count(Counter::ShootdownsSent);
        let shootdown = Arc::new(Shootdown {
            range,
            waiting_for: AtomicU64::new(cpus.0),
            retired: Mutex::new(retired),
            waiter: AtomicWaker::new(),
        });
        for cpu in cpus.iter() {
            INBOXES.get()[cpu.0].ask(cpu, shootdown.clone());
        }
        shootdown
    }

    /// This CPU has forgotten.
    fn acknowledge(&self, cpu: CpuId) {
        let bit = CpuSet::only(cpu).0;
        // AcqRel: what every CPU did through the old translations happens before the release
        // below.
        let missing = self.waiting_for.fetch_and(!bit, Ordering::AcqRel);
        if missing == bit {
            let retired = mem::take(&mut *self.retired.lock());
            retired
                .into_iter()
                .for_each(|retired| retired.release(Receipt::all_forgot()));
            self.waiter.wake();
        }
    }

    /// Waits for the last word. One task at a time may wait; dropping the future changes
    /// nothing for the shootdown.
    pub(super) async fn done(&self) {
        poll_fn(|context| {
            self.waiter.register(context.waker());
            // Acquire: pairs with the AcqRel of the last acknowledgement.
            match self.waiting_for.load(Ordering::Acquire) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

/// The requests to one CPU.
struct Inbox {
    requests: SegQueue<Arc<Shootdown>>,
    /// The CPU has been told to look; cleared by itself before it looks.
    asked: AtomicBool,
}

static INBOXES: PerMachine<Vec<CachePadded<Inbox>>> = PerMachine::new();

pub(super) fn init() {
    let inbox = || Inbox {
        requests: SegQueue::new(),
        asked: AtomicBool::new(false),
    };
    INBOXES.init(
        (0..arch::cpu_count())
            .map(|_| CachePadded::new(inbox()))
            .collect(),
    );
}

impl Inbox {
    fn ask(&self, cpu: CpuId, shootdown: Arc<Shootdown>) {
        self.requests.push(shootdown);
        // SeqCst, as in `serve`: either we find the flag cleared and send an interrupt, or
        // the CPU has yet to clear it and then finds the request.
        if !self.asked.swap(true, Ordering::SeqCst) {
            count(Counter::ShootdownInterrupts);
            if planted(Planted::LostKick) {
                return;
            }
            arch::kick(cpu);
        }
    }
}

/// Does what other CPUs have asked this one to do. Called when an interrupt has ended
/// user mode or a halt, and between polls.
pub fn serve() {
    let cpu = arch::cpu();
    let inbox = &INBOXES.get()[cpu.0];
    if !inbox.asked.load(Ordering::Relaxed) {
        return;
    }
    inbox.asked.swap(false, Ordering::SeqCst);
    let mut requests: ArrayVec<Arc<Shootdown>, 16> = ArrayVec::new();
    loop {
        requests.extend(core::iter::from_fn(|| inbox.requests.pop()).take(16));
        match requests.as_slice() {
            [] => return,
            [one] => one.range.flush_here(),
            _ => arch::flush_all(),
        }
        // Flushing for an address space that this CPU has left meanwhile does no harm; it left
        // CR3 as well.
        requests
            .drain(..)
            .for_each(|request| request.acknowledge(cpu));
    }
}

/// Whether the CPU has been asked for something and has not looked yet.
#[cfg(test)]
pub(super) fn is_asked(cpu: usize) -> bool {
    INBOXES.get()[cpu].asked.load(Ordering::SeqCst)
}

/// Whether nothing is asked of any CPU.
pub fn is_settled() -> bool {
    INBOXES.get().iter().all(|inbox| inbox.requests.is_empty())
}

/// Whether this CPU may serve requests now: it must not be inside an access to user
/// memory.
pub(super) fn assert_active(space: &super::space::AddressSpace) {
    debug_assert!(
        active::is_current(space),
        "user memory of an address space that is not active here"
    );
}
