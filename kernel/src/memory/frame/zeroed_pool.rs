//! A pool of free frames that are full of zeroes already (rule M9), so that the first touch of
//! a page, and each new table, need not wait for the clearing.
//!
//! A background task fills the pool while some CPU has no other work. Then the task sleeps
//! until the pool is half empty. Each CPU takes a batch at a time, and single frames from its
//! batch. The frames count as free; [`give_back`] returns them one by one when there are no
//! others. A table that was taken apart is full of zeroes as well and goes to the batch of its
//! CPU, so the tables of a dead child become those of the next child.
//!
//! On a machine with one CPU nothing is zeroed in advance. The same CPU would do the same work
//! at another time, and the cost of a program would depend on what ran before it.
//!
//! Lock order: a CPU's batch, then the chain.

use super::chain::Chain;
use super::{page_copy, pool};
use crate::arch::{self, Frame, PerMachine};
use crate::memory::stats::counters::{Counter, count};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// How many frames the pool has at most: 2 MiB, and not more than 1/64 of memory.
const MARK: usize = 512;
/// How many a CPU takes at a time, and how many are zeroed between two yields.
const BATCH: usize = 16;

/// A CPU's batch. It has room for some freed tables besides.
type Batch = ArrayVec<Frame, { 2 * BATCH }>;

struct ZeroedPool {
    /// The length of a full chain; 0 where nothing is zeroed in advance.
    mark: usize,
    chain: Mutex<Chain>,
    /// The length of the chain: a hint for readers that do not want to lock it.
    len: AtomicUsize,
    batches: Vec<CachePadded<Mutex<Batch>>>,
    wanted: WaitQueue,
}

static ZEROED_POOL: PerMachine<ZeroedPool> = PerMachine::new();

/// Makes an empty pool; [`run`] fills it.
pub(in crate::memory) fn init() {
    let mark = match arch::cpu_count() {
        1 => 0,
        _ => MARK.min(pool::managed_frames() / 64),
    };
    let batch = || CachePadded::new(Mutex::new(Batch::new()));
    ZEROED_POOL.init(ZeroedPool {
        mark,
        chain: Mutex::new(Chain::new()),
        len: AtomicUsize::new(0),
        batches: (0..arch::cpu_count()).map(|_| batch()).collect(),
        wanted: WaitQueue::labelled(&Label("frames to zero")),
    });
}

/// A free frame full of zeroes, if there is one at hand.
pub(in crate::memory) fn take() -> Option<Frame> {
    // Not there yet when the heap takes its first frames.
    let zeroed = ZEROED_POOL.try_get()?;
    let mut batch = zeroed.batches[arch::cpu().0].lock();
    let was_empty = batch.is_empty();
    if was_empty {
        zeroed.refill(&mut batch);
    }
    let frame = batch.pop();
    drop(batch);
    // Only now and then, and with no lock held.
    if was_empty && zeroed.is_low() {
        zeroed.wanted.wake_one();
    }
    frame.inspect(|_| count(Counter::PrezeroedHits))
}

/// Takes a frame that is free and full of zeroes, or gives it back where there is no room.
pub(in crate::memory) fn put(frame: Frame) -> Result<(), Frame> {
    let zeroed = ZEROED_POOL.try_get().ok_or(frame)?;
    let mut batch = zeroed.batches[arch::cpu().0].lock();
    batch.try_push(frame).map_err(|full| full.element())
}

/// A frame out of the pool, for a caller that finds no other.
pub(in crate::memory) fn give_back() -> Option<Frame> {
    let zeroed = ZEROED_POOL.try_get()?;
    let from_chain = zeroed.pop();
    from_chain.or_else(|| zeroed.batches.iter().find_map(|batch| batch.lock().pop()))
}

/// Frames in the pool.
pub(in crate::memory) fn len() -> usize {
    ZEROED_POOL.try_get().map_or(0, |zeroed| {
        let batches: usize = zeroed.batches.iter().map(|batch| batch.lock().len()).sum();
        batches + zeroed.chain.lock().len()
    })
}

/// The task that fills the pool. Never ends.
pub async fn run() {
    let zeroed = ZEROED_POOL.get();
    loop {
        let work = || (zeroed.is_low() && pool::has_surplus()).then_some(());
        zeroed.wanted.wait_until(work).await;
        while fill_some() {
            executor::yield_now().await;
        }
        executor::yield_now().await;
    }
}

/// Zeroes some frames, if the pool is not full and memory not short. Says whether it did.
pub(in crate::memory) fn fill_some() -> bool {
    let zeroed = ZEROED_POOL.get();
    if zeroed.len.load(Ordering::Relaxed) >= zeroed.mark {
        return false;
    }
    let fresh: ArrayVec<Frame, BATCH> = pool::surplus(BATCH).collect();
    for &frame in &fresh {
        // SAFETY: taken out of the pool a moment ago: nothing else has it.
        unsafe { page_copy::zero(frame) };
    }
    let mut chain = zeroed.chain.lock();
    for &frame in &fresh {
        chain.push(frame);
    }
    zeroed.len.store(chain.len(), Ordering::Relaxed);
    !fresh.is_empty()
}

impl ZeroedPool {
    fn is_low(&self) -> bool {
        self.len.load(Ordering::Relaxed) < self.mark / 2
    }

    fn pop(&self) -> Option<Frame> {
        let mut chain = self.chain.lock();
        let frame = chain.pop();
        self.len.store(chain.len(), Ordering::Relaxed);
        frame
    }

    /// Fills a CPU's batch, as far as there is something to fill it with.
    fn refill(&self, batch: &mut Batch) {
        if self.len.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut chain = self.chain.lock();
        batch.extend(core::iter::from_fn(|| chain.pop()).take(BATCH));
        self.len.store(chain.len(), Ordering::Relaxed);
    }
}
