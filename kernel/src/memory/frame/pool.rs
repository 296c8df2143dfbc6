//! The free frames (rule M10).
//!
//! A CPU allocates from a small cache of its own and frees to it. Caches are filled from the
//! common pool and drained to it in batches. When the pool is empty, a CPU looks into the other
//! CPUs' caches ([`take_from_any_cache`]).
//!
//! The last frames are a reserve: memory for user programs and their tables is refused when
//! only the reserve is left, while the kernel's heap may still grow into it. So a system call
//! that has asked ([`ensure_free`]) finds memory for its few small objects.
//!
//! Lock order: a cache's lock, then the pool's. At most one cache is locked at a time.

use super::free_map::FreeMap;
use super::metadata::holders;
use crate::arch::{self, BootInfo, FRAME_SIZE, Frame, PerMachine, PhysRange};
use crate::memory::fault_injection::{self, Injected};
use crate::memory::stats::counters::{Counter, count};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;
use spin::Mutex;

/// No free frame is left for this purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

impl From<Injected> for OutOfMemory {
    fn from(_: Injected) -> OutOfMemory {
        OutOfMemory
    }
}

/// What a frame is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// User pages, page tables, file contents: refused when only the reserve is left.
    User,
    /// The kernel's heap: may use the reserve.
    Kernel,
}

/// Frames that a CPU keeps for itself, and how many move at a time.
const CACHE: usize = 64;
const BATCH: usize = CACHE / 2;

/// Frames kept back for the kernel's heap: as many as Linux keeps (`min_free_kbytes`, which grows with
/// the square root of memory), and at least 1 MiB.
fn reserve_of(frames: usize) -> usize {
    const LEAST: usize = if cfg!(loom) { 0 } else { 256 };
    let kib = (frames * (FRAME_SIZE / 1024) * 16).isqrt();
    (kib / (FRAME_SIZE / 1024)).max(LEAST)
}

struct Pool {
    free: Mutex<FreeMap>,
    /// How many frames are in the map, for readers that only want to know whether much is left.
    pooled: AtomicUsize,
    reserve: usize,
    /// Frames that were free at the start.
    managed: usize,
}

static POOL: PerMachine<Pool> = PerMachine::new();

/// A few free frames for one CPU.
type Cache = CachePadded<Mutex<ArrayVec<Frame, CACHE>>>;

/// One for each CPU. They are on the heap, so there are none for the heap's first frames.
static CACHES: PerMachine<Vec<Cache>> = PerMachine::new();

/// Makes the caches, when there is a heap.
pub(super) fn init_caches() {
    let cache = || CachePadded::new(Mutex::new(ArrayVec::new_const()));
    CACHES.init((0..arch::cpu_count()).map(|_| cache()).collect());
}

/// The caches of all CPUs; none at the very start.
fn caches() -> &'static [Cache] {
    CACHES.try_get().map_or(&[], |caches| caches)
}

/// Makes the pool of all frames that are free at boot, but for those in `taken`.
pub(super) fn init(boot: &BootInfo, taken: PhysRange, mut free: FreeMap) {
    for range in boot.free {
        let start = match range.start == taken.start {
            true => taken.end,
            false => range.start,
        };
        let frames = Frame::containing(start).number()..Frame::containing(range.end).number();
        for number in frames {
            free.push(Frame::new(number));
        }
    }
    let managed = free.len();
    POOL.init(Pool {
        free: Mutex::new(free),
        pooled: AtomicUsize::new(managed),
        reserve: reserve_of(managed),
        managed,
    });
}

impl Pool {
    /// How many of `len` frames in the pool may be put aside: what is there when memory is not
    /// short.
    fn surplus(&self, len: usize) -> usize {
        len.saturating_sub(2 * self.reserve + CACHE)
    }
}

/// A free frame, from this CPU's cache or the pool, that nothing holds.
pub(super) fn allocate(purpose: Purpose) -> Option<Frame> {
    let pool = POOL.get();
    let floor = match purpose {
        Purpose::User => pool.reserve,
        Purpose::Kernel => 0,
    };
    let Some(cache) = caches().get(arch::cpu().0) else {
        return pool.free.lock().pop();
    };
    let mut cache = cache.lock();
    if let Some(frame) = cache.pop() {
        return Some(frame);
    }
    let mut free = pool.free.lock();
    let batch = BATCH.min(free.len().saturating_sub(floor));
    for _ in 0..batch {
        cache.extend(free.pop());
    }
    pool.pooled.store(free.len(), Ordering::Relaxed);
    drop(free);
    cache.pop()
}

/// Frames that are neighbours and that nothing holds, for the kernel's heap: the first of them. They
/// come from the pool, or not at all.
#[cfg(target_os = "none")]
pub(super) fn allocate_run(count: usize) -> Option<Frame> {
    let pool = POOL.get();
    let mut free = pool.free.lock();
    let first = free.pop_run(count);
    pool.pooled.store(free.len(), Ordering::Relaxed);
    first
}

/// A frame out of any CPU's cache, for when the pool has none.
pub(super) fn take_from_any_cache() -> Option<Frame> {
    caches().iter().find_map(|cache| cache.lock().pop())
}

/// Gives a frame that has no holder back.
pub(in crate::memory) fn free(frame: Frame) {
    assert!(
        holders(frame) == 0,
        "M1: {frame:?} was freed while it is held"
    );
    let pool = POOL.get();
    match caches().get(arch::cpu().0) {
        None => pool.free.lock().push(frame),
        Some(cache) => {
            let mut cache = cache.lock();
            if cache.is_full() {
                let mut free = pool.free.lock();
                for frame in cache.drain(..BATCH) {
                    free.push(frame);
                }
                pool.pooled.store(free.len(), Ordering::Relaxed);
            }
            cache.push(frame);
        }
    }
    count(Counter::FramesFreed);
}

/// Free frames in the pool and in the caches.
pub(super) fn len() -> usize {
    let cached: usize = caches().iter().map(|cache| cache.lock().len()).sum();
    cached + POOL.get().free.lock().len()
}

/// Whether there are frames to put aside.
pub(super) fn has_surplus() -> bool {
    let pool = POOL.get();
    pool.surplus(pool.pooled.load(Ordering::Relaxed)) != 0
}

/// Takes up to `n` frames out of the pool to put them aside.
pub(super) fn surplus(n: usize) -> impl Iterator<Item = Frame> {
    let pool = POOL.get();
    (0..n).map_while(move |_| {
        let mut free = pool.free.lock();
        let frame = match pool.surplus(free.len()) {
            0 => None,
            _ => free.pop(),
        };
        pool.pooled.store(free.len(), Ordering::Relaxed);
        frame
    })
}

/// Frames that the allocator manages, free or not.
pub fn managed_frames() -> usize {
    POOL.get().managed
}

/// Whether there are some frames for user programs beyond the reserve.
pub(in crate::memory) fn has_room() -> bool {
    let pool = POOL.get();
    pool.pooled.load(Ordering::Relaxed) > pool.reserve + CACHE
}

/// Asks whether the kernel may make small objects on behalf of a user program now: there
/// is memory beyond the reserve. Called at the start of what a program could do
/// without end (fork, mmap, open, a pipe, a large argument list), and again after a wait.
pub fn ensure_free() -> Result<(), OutOfMemory> {
    ensure_free_bytes(0)
}

/// As [`ensure_free`], for objects of so many bytes together and some small ones.
pub fn ensure_free_bytes(bytes: usize) -> Result<(), OutOfMemory> {
    fault_injection::check()?;
    let pool = POOL.get();
    // Half of the reserve stays for those that have asked before.
    if pool.pooled.load(Ordering::Relaxed) > pool.reserve / 2 + bytes.div_ceil(FRAME_SIZE) {
        Ok(())
    } else {
        Err(OutOfMemory)
    }
}
