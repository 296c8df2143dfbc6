//! Shootdown: making other CPUs flush translations (rules M2, M5, M7).
//!
//! A shootdown has a [`Slot`] of the CPU that sends it. The slot has what to flush, the CPUs that
//! have not acknowledged yet, and the references that are released then. So nothing depends on the
//! task that sent it: that may be killed while it waits. The CPU that acknowledges last releases
//! the references, frees the slot and wakes the waiters.
//!
//! ```text
//!  CPU 0 sends                                  CPU 2 serves
//!  slots[5]: range, waiting_for {2,3}, retired
//!                                               mailbox: from[0]: bit 5
//!  from[0] |= bit 5                                      senders: bit 0
//!  senders |= bit 0 ── was it empty? IPI ──>    takes senders, then from[0]; flushes;
//!                                               waiting_for -= 2
//! ```
//!
//! Nothing here allocates, and a mailbox is never full: it has one bit for each slot of each CPU.
//! A CPU's own slots can run out. [`ready`] waits for a free one before anything is changed that
//! could not wait. Only its own CPU fills a slot, and nothing else runs there until the next
//! await, so being ready takes one look and no reservation.
//!
//! A CPU looks into its mailbox when an interrupt ends user mode, and between two polls. No CPU
//! spins for another.

use super::asid::{self, Change, SpaceId};
use super::cpu_set::CpuSet;
use super::mailbox::{Acks, Mailbox};
use super::range::FlushRange;
use crate::arch::{self, CpuId, PerMachine};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::retired::{Receipt, RetiredBatch};
use crate::memory::stats::counters::{Counter, count};
use crate::memory::stats::histogram::Histogram;
use crate::sched::ipi::wake_cpu;
use crate::trace::{self, Kind};
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// Shootdowns that one CPU can have under way; a bit for each in an `AtomicU32`.
const SLOTS: usize = 16;
/// All slots.
const ALL_FREE: u32 = (1 << SLOTS) - 1;

/// A shootdown, or room for one.
struct Slot {
    acks: Acks,
    /// What to forget, and when that was asked. Written before the slot's bit appears in an
    /// mailbox, which publishes them.
    space: AtomicU64,
    generation: AtomicU64,
    start: AtomicUsize,
    end: AtomicUsize,
    sent: AtomicU64,
    /// Its name in the trace.
    number: AtomicU64,
    /// Filled by the sender, emptied by the CPU that acknowledges last, so never contended.
    retired: Mutex<RetiredBatch>,
    waiters: WaitQueue,
}

/// The shootdowns that one CPU has sent.
struct SentShootdowns {
    slots: [CachePadded<Slot>; SLOTS],
    /// Slots that are not in use. Only the CPU itself takes bits out.
    free: AtomicU32,
    waiters: WaitQueue,
}

struct Shootdowns {
    sent: Vec<CachePadded<SentShootdowns>>,
    mailboxes: Vec<CachePadded<Mailbox>>,
    /// How long it took until the last acknowledgement, in nanoseconds.
    latency: Histogram,
}

static SHOOTDOWNS: PerMachine<Shootdowns> = PerMachine::new();

pub(in crate::memory) fn init() {
    let slot = || {
        CachePadded::new(Slot {
            acks: Acks::new(),
            space: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            number: AtomicU64::new(0),
            retired: Mutex::new(RetiredBatch::new()),
            waiters: WaitQueue::labelled(&Label("shootdown")),
        })
    };
    let sent = || SentShootdowns {
        slots: core::array::from_fn(|_| slot()),
        free: AtomicU32::new(ALL_FREE),
        waiters: WaitQueue::labelled(&Label("room for a shootdown")),
    };
    let cpus = || 0..arch::cpu_count();
    SHOOTDOWNS.init(Shootdowns {
        sent: cpus().map(|_| CachePadded::new(sent())).collect(),
        mailboxes: cpus().map(|_| CachePadded::new(Mailbox::new())).collect(),
        latency: Histogram::new(),
    });
}

/// Says that this CPU has a free slot. It is not `Send`, so no task can keep it across an
/// await, after which it would not be true any more.
pub(in crate::memory) struct Ready(PhantomData<*const ()>);

/// The same, if it is so now.
pub(in crate::memory) fn ready_now() -> Option<Ready> {
    let sent = &SHOOTDOWNS.get().sent[arch::cpu().0];
    sent.has_room().then_some(Ready(PhantomData))
}

/// Waits until this CPU can send a shootdown. To be called before anything is changed for
/// which one may be due.
pub(in crate::memory) async fn ready() -> Ready {
    loop {
        if let Some(ready) = ready_now() {
            return ready;
        }
        let sent = &SHOOTDOWNS.get().sent[arch::cpu().0];
        sent.waiters
            .wait_until(|| sent.has_room().then_some(()))
            .await;
        // This may be another CPU now.
    }
}

impl Ready {
    /// For an address space in which no CPU is but the caller's: no other CPU has to flush.
    pub(in crate::memory) fn nobody_to_ask() -> Ready {
        Ready(PhantomData)
    }

    /// Asks these CPUs to take note of the change. The references are released when they have.
    pub(in crate::memory) fn send(
        self,
        cpus: CpuSet,
        change: Change,
        retired: &mut RetiredBatch,
    ) -> Ticket {
        count(Counter::ShootdownsSent);
        let number = trace::number();
        trace::event(
            Kind::Shootdown,
            [number, cpus.0, change.range.pages() as u64],
        );
        let here = arch::cpu();
        let all = SHOOTDOWNS.get();
        let sent = &all.sent[here.0];
        // Acquire: pairs with the Release of the `fetch_or` in `acknowledge`. The CPU that freed
        // the slot is done with it.
        let index = sent.free.load(Ordering::Acquire).trailing_zeros() as usize;
        let slot = &sent.slots[index];
        let bit = 1 << index;
        sent.free.fetch_and(!bit, Ordering::Relaxed);
        // Relaxed: the SeqCst operations on the mailboxes publish all of this.
        slot.space.store(change.space.to_raw(), Ordering::Relaxed);
        slot.generation.store(change.generation, Ordering::Relaxed);
        slot.start.store(change.range.start, Ordering::Relaxed);
        slot.end.store(change.range.end, Ordering::Relaxed);
        slot.sent.store(arch::clock(), Ordering::Relaxed);
        slot.number.store(number, Ordering::Relaxed);
        *slot.retired.lock() = mem::take(retired);
        let ticket = Ticket {
            cpu: here,
            index,
            round: slot.acks.begin(cpus),
        };
        for cpu in cpus.iter() {
            post(&all.mailboxes[cpu.0], cpu, here, bit);
        }
        ticket
    }
}

/// Names a shootdown, to wait for it or to ask whether it is over.
#[derive(Clone, Copy, Debug)]
pub(in crate::memory) struct Ticket {
    cpu: CpuId,
    index: usize,
    /// The round of the slot that has to end.
    round: u64,
}

impl Ticket {
    fn slot(self) -> &'static Slot {
        &SHOOTDOWNS.get().sent[self.cpu.0].slots[self.index]
    }

    /// Whether all CPUs have acknowledged.
    pub(in crate::memory) fn is_over(self) -> bool {
        self.slot().acks.is_over(self.round)
    }

    /// Waits for the last acknowledgement. Any number of tasks may wait. Giving up changes nothing
    /// for the shootdown.
    pub(in crate::memory) async fn over(self) {
        self.slot()
            .waiters
            .wait_until(|| self.is_over().then_some(()))
            .await;
    }
}

/// Waits until the shootdown is over, if there is one.
pub(in crate::memory) async fn over(shootdown: Option<Ticket>) {
    if let Some(shootdown) = shootdown {
        shootdown.over().await;
    }
}

impl SentShootdowns {
    fn has_room(&self) -> bool {
        self.free.load(Ordering::Relaxed) != 0
    }

    /// The CPU has flushed what the slot asks for.
    fn acknowledge(&self, index: usize, cpu: CpuId) {
        let slot = &self.slots[index];
        // Before the acknowledgement: afterwards the slot may have another shootdown.
        let number = slot.number.load(Ordering::Relaxed);
        let is_last = slot.acks.acknowledge(cpu);
        trace::event(Kind::Ack, [number, is_last.into()]);
        if !is_last {
            return;
        }
        slot.end(Receipt::all_acknowledged(number));
        // Release: pairs with the Acquire in `send`. From here on the slot may be in use again;
        // a waiter that is woken for nothing waits on.
        self.free.fetch_or(1 << index, Ordering::Release);
        slot.waiters.wake_all();
        if !self.waiters.is_empty() {
            self.waiters.wake_all();
        }
    }
}

impl Slot {
    fn change(&self) -> Change {
        Change {
            space: SpaceId::from_raw(self.space.load(Ordering::Relaxed)),
            generation: self.generation.load(Ordering::Relaxed),
            range: FlushRange {
                start: self.start.load(Ordering::Relaxed),
                end: self.end.load(Ordering::Relaxed),
            },
        }
    }

    /// The last acknowledgement is there.
    fn end(&self, receipt: Receipt) {
        let sent = self.sent.load(Ordering::Relaxed);
        let taken = arch::clock().saturating_sub(sent);
        SHOOTDOWNS.get().latency.record(taken);
        mem::take(&mut *self.retired.lock())
            .into_iter()
            .for_each(|retired| retired.release(receipt, sent));
        // A task that observes the end observes that the references are gone (`Acks::end`).
        self.acks.end();
    }
}

/// Leaves a request in a CPU's mailbox, and interrupts the CPU if it has not been asked already.
fn post(mailbox: &Mailbox, cpu: CpuId, sender: CpuId, slot: u32) {
    if !mailbox.post(sender, slot) {
        count(Counter::ShootdownsMerged);
    } else if !planted(Planted::LostIpi) && wake_cpu(cpu) {
        count(Counter::ShootdownInterrupts);
        trace::event(Kind::Interrupt, [cpu.0 as u64]);
    }
}

/// Whether another CPU has asked this one for something.
pub(in crate::memory) fn has_request() -> bool {
    !SHOOTDOWNS.get().mailboxes[arch::cpu().0].is_empty()
}

/// Serves the requests of other CPUs. Called when an interrupt has ended user mode.
pub fn serve() {
    let cpu = arch::cpu();
    let all = SHOOTDOWNS.get();
    let mailbox = &all.mailboxes[cpu.0];
    if mailbox.is_empty() {
        return;
    }
    let requests = mailbox.take();
    let asked = || {
        requests.iter().flat_map(|&(sender, slots)| {
            let sent = &all.sent[sender.0];
            let asked = (0..SLOTS).filter(move |index| slots & 1 << index != 0);
            asked.map(move |index| (sent, index))
        })
    };
    forget(asked().map(|(sent, index)| sent.slots[index].change()));
    asked().for_each(|(sent, index)| sent.acknowledge(index, cpu));
}

/// Takes note of all these changes, with one flush of everything if they are several (rule
/// M7).
fn forget(changes: impl Iterator<Item = Change>) {
    let slots = asid::here();
    let together = changes
        .filter(|&change| slots.concerns(change))
        .reduce(|one, other| Change {
            generation: one.generation.max(other.generation),
            range: FlushRange::ALL,
            ..one
        });
    if let Some(change) = together {
        slots.forget(change);
    }
}

/// Whether the CPU has been asked for something and has not looked yet.
#[cfg(all(test, not(loom)))]
pub(in crate::memory) fn has_requests(cpu: usize) -> bool {
    !SHOOTDOWNS.get().mailboxes[cpu].is_empty()
}

/// Whether no shootdown is under way: a slot is free again when its references have been
/// released.
pub fn is_quiescent() -> bool {
    let sent = &SHOOTDOWNS.get().sent;
    sent.iter()
        .all(|sent| sent.free.load(Ordering::Acquire) == ALL_FREE)
}

/// The latency that `percent` of all shootdowns did not exceed, in nanoseconds.
pub(in crate::memory) fn latency(percent: u64) -> u64 {
    SHOOTDOWNS.get().latency.quantile(percent)
}
