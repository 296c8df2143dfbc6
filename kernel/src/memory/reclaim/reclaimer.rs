//! The queues of released references, the dead tables, and the tasks that work them off.

use super::dead_pages::{DeadPages, InList, PageChunk};
use super::retired::{Receipt, Retired};
use crate::arch::Frame;
use crate::arch::level::Level;
use crate::arch::paging::{Entry, Table};
use crate::arch::{self, PerMachine};
use crate::memory::frame::count::Dropped;
use crate::memory::frame::{self, Chain};
use crate::memory::stats::counters::{Counter, count};
use crate::memory::table::occupancy;
use crate::trace::{self, Kind};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

impl Retired {
    /// Queues the reference, which was retired at `since`, to be dropped.
    pub(in crate::memory) fn release(self, receipt: Receipt, since: u64) {
        let own = RECLAIMER.get().here();
        let released = Released {
            retired: ManuallyDrop::new(self),
            receipt,
            since,
        };
        match own.released.push(released) {
            // One wake-up for many references; few are dropped between two polls. Only this CPU
            // pushes here, so a queue that is longer already has its wake-up on the way.
            Ok(()) if own.released.len() == MANY => own.wake(),
            Ok(()) => {}
            Err(released) => released.drop_reference(),
        }
    }
}

impl Retired {
    /// Drops the reference immediately: for a caller that knows that it is not the last.
    pub(in crate::memory) fn release_now(self, receipt: Receipt) {
        let retired = ManuallyDrop::new(self);
        let since = 0;
        Released {
            retired,
            receipt,
            since,
        }
        .drop_reference();
    }
}

/// A retired reference that nothing can use any more.
struct Released {
    retired: ManuallyDrop<Retired>,
    receipt: Receipt,
    /// When it was retired.
    since: u64,
}

impl Released {
    fn drop_reference(self) {
        count(Counter::ReferencesDropped);
        let Retired { frame, level } = *self.retired;
        let (number, height) = (frame.number(), level.height());
        let shootdown = self.receipt.shootdown;
        trace::event(Kind::Drop, [number.into(), height.into(), shootdown]);
        drop_reference(frame, level);
    }
}

/// How many references wait in one CPU's queue at most.
const QUEUE: usize = 1024;
/// So many of them are work for the task; fewer are dropped between two polls.
const MANY: usize = 64;
/// How many steps the task does between two yields.
const SLICE: usize = 64;

/// What each CPU has of its own.
struct CpuQueue {
    released: ArrayQueue<Released>,
    /// Counted up when this CPU takes something to drop, and again when it has dropped
    /// it: odd means in between.
    steps: AtomicUsize,
    work: WaitQueue,
    /// Set while [`release_and_reclaim`] does the work itself, and the task need not wake up.
    holds_back: AtomicBool,
    /// The longest time that a reference which this CPU has dropped had been retired.
    longest: AtomicU64,
}

struct Reclaimer {
    queues: Vec<CachePadded<CpuQueue>>,
    /// Dead tables, a chain for each level.
    dead: Mutex<[Chain; Level::TABLES.len()]>,
    /// Pages of objects that are gone.
    dead_pages: Mutex<DeadPages>,
}

static RECLAIMER: PerMachine<Reclaimer> = PerMachine::new();

/// Makes the queues; [`run`] serves them once the executor runs.
pub(in crate::memory) fn init() {
    let queue = || CpuQueue {
        released: ArrayQueue::new(QUEUE),
        steps: AtomicUsize::new(0),
        work: WaitQueue::labelled(&Label("work")),
        holds_back: AtomicBool::new(false),
        longest: AtomicU64::new(0),
    };
    RECLAIMER.init(Reclaimer {
        queues: (0..arch::cpu_count())
            .map(|_| CachePadded::new(queue()))
            .collect(),
        dead: Mutex::new([const { Chain::new() }; Level::TABLES.len()]),
        dead_pages: Mutex::new(DeadPages::new(InList::NEW)),
    });
}

impl Reclaimer {
    fn here(&self) -> &CpuQueue {
        &self.queues[arch::cpu().0]
    }

    /// Drops up to `limit` references of this queue, or takes dead tables apart when there
    /// are no more. Returns how many steps it has done.
    fn steps(&self, from: &CpuQueue, limit: usize) -> usize {
        let mut oldest = u64::MAX;
        let done = (0..limit)
            .take_while(|_| self.step(from, &mut oldest))
            .count();
        if oldest != u64::MAX {
            self.here().note_age(arch::clock().saturating_sub(oldest));
        }
        done
    }

    /// Drops one reference of this queue, or takes one dead table apart. Says whether
    /// there was anything.
    fn step(&self, from: &CpuQueue, oldest: &mut u64) -> bool {
        let own = self.here();
        own.steps.fetch_add(1, Ordering::SeqCst);
        let found = match from.released.pop() {
            Some(released) => {
                *oldest = released.since.min(*oldest);
                released.drop_reference();
                true
            }
            None => self.dismantle_one() || self.drop_pages(),
        };
        own.steps.fetch_add(1, Ordering::SeqCst);
        found
    }

    /// Takes one dead table apart. Says whether there was one.
    fn dismantle_one(&self) -> bool {
        // Leaf tables first: they give most frames back.
        let found = {
            let mut dead = self.dead.lock();
            Level::TABLES
                .into_iter()
                .find_map(|level| Some((dead[level.chain()?].pop()?, level)))
        };
        let Some((frame, level)) = found else {
            return false;
        };
        // SAFETY: a dead table is a table, and nothing can reach it any more: it is ours until it
        // is freed below.
        let table = unsafe { Table::new(frame) };
        occupancy::each(table, |index, entry| {
            table.set(index, Entry::EMPTY);
            if let Some(child) = entry.frame() {
                drop_reference(child, level.below());
            }
        });
        // As empty as it was when it became a table.
        frame::free_zeroed(frame);
        true
    }

    /// Drops the frames of one dead chunk of pages. Says whether there was one.
    fn drop_pages(&self) -> bool {
        let chunk = self.dead_pages.lock().pop_front();
        chunk.is_some()
    }

    fn is_quiescent(&self) -> bool {
        // Nothing in the queues and no step begun, going on or ended while we looked.
        let steps = || {
            self.queues
                .iter()
                .map(|queue| queue.steps.load(Ordering::SeqCst))
        };
        let before: Vec<usize> = steps().collect();
        before.iter().all(|n| n % 2 == 0)
            && self.queues.iter().all(|queue| queue.released.is_empty())
            && self.dead.lock().iter().all(|chain| chain.is_empty())
            && self.dead_pages.lock().is_empty()
            && steps().eq(before.iter().copied())
    }
}

impl CpuQueue {
    /// There is work for the task.
    fn wake(&self) {
        if !self.holds_back.load(Ordering::Relaxed) {
            self.work.wake_one();
        }
    }

    fn note_age(&self, age: u64) {
        // Relaxed, and no read-modify-write: only this CPU writes it.
        if age > self.longest.load(Ordering::Relaxed) {
            self.longest.store(age, Ordering::Relaxed);
        }
    }
}

/// The longest time that a reference has been retired before it was dropped, in
/// nanoseconds.
pub(in crate::memory) fn longest_retired() -> u64 {
    let queues = RECLAIMER.get().queues.iter();
    queues
        .map(|queue| queue.longest.load(Ordering::Relaxed))
        .max()
        .unwrap_or(0)
}

/// Drops a reference which no CPU can use: to a page, or to a table that then may have to
/// be taken apart.
#[inline]
fn drop_reference(frame: Frame, level: Level) {
    if frame::drop_reference(frame) == Dropped::Last {
        nobody_holds(frame, level);
    }
}

fn nobody_holds(frame: Frame, level: Level) {
    match level.chain() {
        None => frame::free(frame),
        Some(chain) => {
            let reclaimer = RECLAIMER.get();
            reclaimer.dead.lock()[chain].push(frame);
            reclaimer.here().wake();
        }
    }
}

/// Hands a chunk of pages that no object has any more to the reclaimer. [`wake_for_pages`] is to
/// follow when all are there.
pub(in crate::memory) fn retire_pages(chunk: Box<PageChunk>) {
    RECLAIMER.get().dead_pages.lock().push_front(chunk);
}

/// Wakes this CPU's task for the chunks that were retired.
pub(in crate::memory) fn wake_for_pages() {
    RECLAIMER.get().here().wake();
}

/// The background task of one CPU. Never ends.
pub async fn run() {
    loop {
        let reclaimer = RECLAIMER.get();
        let own = reclaimer.here();
        own.work
            .wait_until(|| {
                let work = !own.released.is_empty()
                    || reclaimer.dead.lock().iter().any(|chain| !chain.is_empty())
                    || !reclaimer.dead_pages.lock().is_empty();
                work.then_some(())
            })
            .await;
        reclaimer.steps(own, SLICE);
        executor::yield_now().await;
    }
}

/// Direct reclaim of what this CPU has queued, up to `steps` steps: for a caller that gains by
/// it, such as a fault that would otherwise copy a page whose other holder is just going.
/// Returns whether there was anything to do.
pub(in crate::memory) fn reclaim_here(steps: usize) -> bool {
    let reclaimer = RECLAIMER.get();
    reclaimer.steps(reclaimer.here(), steps) != 0
}

/// Drops what waits in this CPU's queue, unless that is work for the task. To be called between two
/// polls: a poll of the task for a reference or two would cost more than they do, and would make a
/// thread that runs here wait.
pub(in crate::memory) fn drop_few() {
    let reclaimer = RECLAIMER.get();
    let own = reclaimer.here();
    // Mostly there is nothing, and to count that would take longer.
    if own.released.is_empty() {
        return;
    }
    let waiting = own.released.len();
    if waiting < MANY {
        reclaimer.steps(own, waiting);
    }
}

/// How many steps a process that ends does itself.
const OWN_STEPS: usize = 16;

/// Calls `release`, which releases references, and drops a few of them right away. A process that
/// ends does so; its parent then finds itself the only holder of what they shared. The task is
/// woken only if that was not all.
pub fn release_and_reclaim<T>(release: impl FnOnce() -> T) -> T {
    let reclaimer = RECLAIMER.get();
    let own = reclaimer.here();
    // Relaxed: only this CPU looks, and `release` does not wait.
    own.holds_back.store(true, Ordering::Relaxed);
    let result = release();
    let is_all = reclaimer.steps(own, OWN_STEPS) < OWN_STEPS;
    own.holds_back.store(false, Ordering::Relaxed);
    if !is_all {
        own.wake();
    }
    result
}

/// Whether references wait in this CPU's queue.
pub(in crate::memory) fn waits_here() -> bool {
    !RECLAIMER.get().here().released.is_empty()
}

/// As [`direct_reclaim`], but drops what waits in any CPU's queue: for an allocation that would fail
/// otherwise (rule M10).
pub(in crate::memory) fn reclaim_all_cpus(steps: usize) -> bool {
    let reclaimer = RECLAIMER.get();
    let mut left = steps;
    for queue in &reclaimer.queues {
        // An empty queue means that a dead table is taken instead, if there is one.
        left -= reclaimer.steps(queue, left);
    }
    left < steps
}

/// Drops what waits until there is room again or nothing is left to drop, a slice at a
/// time. Says whether there is room or something was dropped, so that it makes sense to try
/// again what memory was missing for (rule M10): another CPU may have dropped it meanwhile.
pub async fn direct_reclaim() -> bool {
    let mut any = false;
    while reclaim_all_cpus(SLICE) {
        any = true;
        if frame::has_room() {
            break;
        }
        executor::yield_now().await;
    }
    any || frame::has_room()
}

/// Whether nothing is left to drop, in no queue and in no CPU's hands.
pub fn is_quiescent() -> bool {
    RECLAIMER.get().is_quiescent()
}

/// Does a slice of the work that waits on any CPU.
pub(in crate::memory) fn reclaim_slice() {
    reclaim_all_cpus(SLICE);
}
