//! A stock of frames that are full of zeroes already (rule M9), so that the first touch of a
//! page, and each new table, need not wait for that.
//!
//! A background task fills it while some CPU has nothing better to do; then the task sleeps
//! until the stock is half empty. Each CPU takes a batch at a time, and from that one by
//! one. The frames in the stock are free: they are counted so, and given back one by
//! one when the pool has none. A table that was taken apart is full of zeroes as well and goes
//! to the batch of its CPU, so that a child's tables become those of the next.
//!
//! On a machine with one CPU nothing is zeroed ahead. The same CPU would do the same work at
//! another time, and what a program costs would depend on what ran before it.
//!
//! Lock order: a CPU's batch, then the stock.

use crate::arch::Frame;
use crate::arch::{self, PerMachine};
use crate::memory::frame::page_copy;
use crate::memory::frame::{self, Chain};
use crate::memory::stats::counters::{Counter, count};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// How many frames the stock has at most: 2 MiB, and not more than 1/64 of memory.
const MARK: usize = 512;
/// How many a CPU takes at a time, and how many are zeroed between two yields.
const BATCH: usize = 16;

/// What a CPU has at hand: there is room for some tables besides.
type Batch = ArrayVec<Frame, { 2 * BATCH }>;

struct Stock {
    /// What a full stock has; 0 where there is none.
    mark: usize,
    chain: Mutex<Chain>,
    /// How long the chain is: a hint for who does not want to lock it.
    len: AtomicUsize,
    batches: Vec<CachePadded<Mutex<Batch>>>,
    wanted: WaitQueue,
}

static STOCK: PerMachine<Stock> = PerMachine::new();

/// Makes an empty stock; [`run`] fills it.
pub(in crate::memory) fn init() {
    let mark = match arch::cpu_count() {
        1 => 0,
        _ => MARK.min(frame::managed_frames() / 64),
    };
    let batch = || CachePadded::new(Mutex::new(Batch::new()));
    STOCK.init(Stock {
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
    let stock = STOCK.try_get()?;
    let mut batch = stock.batches[arch::cpu().0].lock();
    let was_empty = batch.is_empty();
    if was_empty {
        stock.refill(&mut batch);
    }
    let frame = batch.pop();
    drop(batch);
    // Only now and then, and with no lock held.
    if was_empty && stock.is_low() {
        stock.wanted.wake_one();
    }
    frame.inspect(|_| count(Counter::PrezeroedHits))
}

/// Takes a frame that is free and full of zeroes, or gives it back where there is no room.
pub(in crate::memory) fn put(frame: Frame) -> Result<(), Frame> {
    let stock = STOCK.try_get().ok_or(frame)?;
    let mut batch = stock.batches[arch::cpu().0].lock();
    batch.try_push(frame).map_err(|full| full.element())
}

/// A frame out of the stock, for who finds no other.
pub(in crate::memory) fn give_back() -> Option<Frame> {
    let stock = STOCK.try_get()?;
    let from_chain = stock.pop();
    from_chain.or_else(|| stock.batches.iter().find_map(|batch| batch.lock().pop()))
}

/// Frames in the stock.
pub(in crate::memory) fn len() -> usize {
    STOCK.try_get().map_or(0, |stock| {
        let batches: usize = stock.batches.iter().map(|batch| batch.lock().len()).sum();
        batches + stock.chain.lock().len()
    })
}

/// The task that fills the stock. Never ends.
pub async fn run() {
    let stock = STOCK.get();
    loop {
        let work = || (stock.is_low() && frame::has_surplus()).then_some(());
        stock.wanted.wait_until(work).await;
        while fill_some() {
            executor::yield_now().await;
        }
        executor::yield_now().await;
    }
}

/// Zeroes some frames, if the stock is not full and memory not short. Says whether it did.
pub(in crate::memory) fn fill_some() -> bool {
    let stock = STOCK.get();
    if stock.len.load(Ordering::Relaxed) >= stock.mark {
        return false;
    }
    let fresh: ArrayVec<Frame, BATCH> = frame::surplus(BATCH).collect();
    for &frame in &fresh {
        // SAFETY: taken out of the pool a moment ago: nobody else has it.
        unsafe { page_copy::zero(frame) };
    }
    let mut chain = stock.chain.lock();
    for &frame in &fresh {
        chain.push(frame);
    }
    stock.len.store(chain.len(), Ordering::Relaxed);
    !fresh.is_empty()
}

impl Stock {
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
