//! Every frame of the machine: who holds it, and the free ones (rules M1, M9, M10).
//!
//! Each frame has twelve bytes of metadata: its [`RefCount`]; a link, by which frames
//! that nobody holds are chained (free ones here, dead tables in the reclaimer) without
//! memory for lists; and for a table the lines in use (`occupancy.rs`). A CPU allocates from and frees to a small cache of its own; caches
//! are filled from and drained to the common pool in batches. When the pool is empty, a
//! CPU looks into the others' caches before it gives up.
//!
//! The last frames are a reserve: memory for user programs and their tables is refused
//! when only the reserve is left, while the kernel's heap may still grow into it. So a
//! system call that was admitted ([`ensure_free`]) finds memory for its few small objects.
//!
//! Lock order: a cache's lock, then the pool's. At most one cache is locked at a time.

pub(in crate::memory) mod count;
mod info;
pub(in crate::memory) mod page_copy;
mod reference;
pub(in crate::memory) mod zeroed_pool;

pub use reference::FrameRef;

use crate::arch::FRAME_SIZE;
use crate::arch::Frame;
use crate::arch::{self, BootInfo, MAX_CPUS, PerMachine, PhysRange};
use crate::memory::frame::count::{Dropped, TooManyHolders};
use crate::memory::stats::counters::{Counter, count};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;
use info::FrameInfo;
use spin::Mutex;

/// No free frame is left for this purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// What a frame is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// User pages, page tables, file contents: refused when only the reserve is left.
    User,
    /// The kernel's heap: may use the reserve.
    Kernel,
}

/// The end of a chain.
const NIL: u32 = u32::MAX;
/// The mark of a frame of the kernel's heap.
pub(in crate::memory) const HEAP: u32 = u32::MAX - 1;

/// Frames that a CPU keeps for itself, and how many move at a time.
const CACHE: usize = 64;
const BATCH: usize = CACHE / 2;

/// Frames kept back for the kernel's heap: 1/64 of memory, at least 1 MiB.
fn reserve_of(frames: usize) -> usize {
    const LEAST: usize = if cfg!(loom) { 0 } else { 256 };
    (frames / 64).max(LEAST)
}

struct FrameTable {
    info: &'static [FrameInfo],
    /// The frame of zeroes: what programs read where they have never written. Nobody ever
    /// writes it, it is never free, and its holders are not counted (rule M1).
    zeroes: Frame,
    pool: Mutex<Chain>,
    /// How long the pool's chain is, for those who only want to know whether much is left.
    pooled: AtomicUsize,
    reserve: usize,
    /// Frames that were free when the table was made.
    managed: usize,
    /// Frames that the kernel's heap has taken.
    heap: AtomicUsize,
    /// Whether anybody has asked for one of these; never taken back.
    fails_on_purpose: AtomicBool,
    /// For tests: the allocation for programs with this number from now fails (0: none does),
    /// and then every so many.
    fail_in: AtomicUsize,
    fail_every: AtomicUsize,
    /// Likewise, of each CPU's allocations.
    fail_here: [AtomicUsize; MAX_CPUS],
}

static TABLE: PerMachine<FrameTable> = PerMachine::new();

/// A few free frames for one CPU.
type Cache = CachePadded<Mutex<ArrayVec<u32, CACHE>>>;

/// One for each CPU. They are on the heap, so that there are none for its first frames.
static CACHES: PerMachine<Vec<Cache>> = PerMachine::new();

/// Makes the caches, when there is a heap.
pub(in crate::memory) fn init_caches() {
    let cache = || CachePadded::new(Mutex::new(ArrayVec::new_const()));
    CACHES.init((0..arch::cpu_count()).map(|_| cache()).collect());
}

/// The caches of all CPUs; none at the very start.
fn caches() -> &'static [Cache] {
    CACHES.try_get().map_or(&[], |caches| caches)
}

/// A chain of frames with count 0, linked through their metadata.
pub(in crate::memory) struct Chain {
    head: u32,
    len: usize,
}

impl Chain {
    /// An empty chain.
    pub(in crate::memory) const fn new() -> Chain {
        Chain { head: NIL, len: 0 }
    }

    /// Whether nothing is on it.
    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// How many are on it.
    pub(in crate::memory) fn len(&self) -> usize {
        self.len
    }

    /// Puts a frame that nobody holds on the chain.
    pub(in crate::memory) fn push(&mut self, frame: Frame) {
        self.push_in(TABLE.get().info, frame.number());
    }

    /// Takes the frame that was put on last.
    pub(in crate::memory) fn pop(&mut self) -> Option<Frame> {
        self.pop_in(TABLE.get().info).map(Frame::new)
    }

    // Relaxed: a chain is only touched under its lock.
    fn push_in(&mut self, info: &[FrameInfo], number: u32) {
        info[number as usize]
            .link
            .store(self.head, Ordering::Relaxed);
        self.head = number;
        self.len += 1;
    }

    fn pop_in(&mut self, info: &[FrameInfo]) -> Option<u32> {
        let number = self.head;
        if number == NIL {
            return None;
        }
        self.head = info[number as usize].link.load(Ordering::Relaxed);
        self.len -= 1;
        Some(number)
    }
}

/// Sets the frame table up, in the first free range that has room for it and for `aside`
/// bytes more, which are not managed. Returns where those are.
///
/// # Panics
/// If no free range can hold them: the machine is too small to run anything.
pub(in crate::memory) fn init(boot: &BootInfo, aside: usize) -> PhysRange {
    let bytes = boot.frames * mem::size_of::<FrameInfo>();
    let table = bytes.next_multiple_of(FRAME_SIZE) as u64;
    // The frame of zeroes comes behind the table.
    let taken = table + FRAME_SIZE as u64;
    let size = taken + aside.next_multiple_of(FRAME_SIZE) as u64;
    let home = boot
        .free
        .iter()
        .find(|range| range.end - range.start >= size)
        .expect("no free range of memory has room for the frame table");
    for number in 0..taken / FRAME_SIZE as u64 {
        // SAFETY: the range is free memory that nobody else uses yet.
        unsafe { page_copy::zero(Frame::containing(home.start).add(number as u32)) };
    }
    // SAFETY: the frames of `home` are contiguous in the kernel's direct map, free, were zeroed
    // above, and belong to the table from now on.
    let info = unsafe { info::at(Frame::containing(home.start), boot.frames) };
    let zeroes = Frame::containing(home.start + table);
    info[zeroes.number() as usize].count.make_permanent();
    let mut pool = Chain::new();
    for range in boot.free.iter().rev() {
        let start = if range == home {
            home.start + size
        } else {
            range.start
        };
        let frames = Frame::containing(start).number()..Frame::containing(range.end).number();
        for number in frames.rev() {
            pool.push_in(info, number);
        }
    }
    let managed = pool.len;
    TABLE.init(FrameTable {
        info,
        zeroes,
        pool: Mutex::new(pool),
        pooled: AtomicUsize::new(managed),
        reserve: reserve_of(managed),
        managed,
        heap: AtomicUsize::new(0),
        fails_on_purpose: AtomicBool::new(false),
        fail_in: AtomicUsize::new(0),
        fail_every: AtomicUsize::new(0),
        fail_here: [const { AtomicUsize::new(0) }; MAX_CPUS],
    });
    PhysRange {
        start: home.start + taken,
        end: home.start + size,
    }
}

impl FrameTable {
    fn info(&self, frame: Frame) -> &FrameInfo {
        // A frame number that is out of range comes from a broken table entry:
        // the bounds check is the kernel's own invariant.
        &self.info[frame.number() as usize]
    }

    fn allocate(&self, purpose: Purpose) -> Result<u32, OutOfMemory> {
        let floor = match purpose {
            Purpose::User => self.reserve,
            Purpose::Kernel => 0,
        };
        let Some(cache) = caches().get(arch::cpu().0) else {
            return self.pool.lock().pop_in(self.info).ok_or(OutOfMemory);
        };
        let mut cache = cache.lock();
        if let Some(number) = cache.pop() {
            return Ok(number);
        }
        {
            let mut pool = self.pool.lock();
            let batch = BATCH.min(pool.len.saturating_sub(floor));
            for _ in 0..batch {
                cache.extend(pool.pop_in(self.info));
            }
            self.pooled.store(pool.len, Ordering::Relaxed);
        }
        if let Some(number) = cache.pop() {
            return Ok(number);
        }
        drop(cache);
        rob()
    }

    fn free(&self, frame: Frame) {
        let Some(cache) = caches().get(arch::cpu().0) else {
            return self.pool.lock().push_in(self.info, frame.number());
        };
        let mut cache = cache.lock();
        if cache.is_full() {
            let mut pool = self.pool.lock();
            for number in cache.drain(..BATCH) {
                pool.push_in(self.info, number);
            }
            self.pooled.store(pool.len, Ordering::Relaxed);
        }
        cache.push(frame.number());
    }

    /// Whether this allocation is one that was chosen to fail.
    #[inline]
    fn fails(&self) -> bool {
        self.fails_on_purpose.load(Ordering::Relaxed) && (self.fails_now() || self.fails_here())
    }

    /// As [`fails_now`](Self::fails_now), for the number of this CPU; and so do all after it.
    fn fails_here(&self) -> bool {
        let fail_here = &self.fail_here[arch::cpu().0];
        // Relaxed: only the CPU itself changes it.
        match fail_here.load(Ordering::Relaxed) {
            0 => return false,
            ALL_FAIL => {}
            1 => fail_here.store(ALL_FAIL, Ordering::Relaxed),
            number => {
                fail_here.store(number - 1, Ordering::Relaxed);
                return false;
            }
        }
        true
    }

    fn fails_now(&self) -> bool {
        let period = self.fail_every.load(Ordering::Relaxed);
        let next = |n: usize| match n {
            0 => None,
            1 => Some(period),
            _ => Some(n - 1),
        };
        let before = self
            .fail_in
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        before == Ok(1)
    }

    fn free_frames(&self) -> usize {
        let cached: usize = caches().iter().map(|cache| cache.lock().len()).sum();
        cached + self.pool.lock().len + zeroed_pool::len()
    }

    /// How many frames of the pool may be put aside: what is there when memory is not short.
    fn surplus(&self, pool: usize) -> usize {
        pool.saturating_sub(2 * self.reserve + CACHE)
    }
}

/// Takes a frame out of the stock of zeroed ones or out of some CPU's cache, when the pool
/// has none.
fn rob() -> Result<u32, OutOfMemory> {
    let cached = || caches().iter().find_map(|cache| cache.lock().pop());
    zeroed_pool::give_back()
        .map(Frame::number)
        .or_else(cached)
        .ok_or(OutOfMemory)
}

/// Whether there are frames to put aside.
pub(in crate::memory) fn has_surplus() -> bool {
    let table = TABLE.get();
    table.surplus(table.pooled.load(Ordering::Relaxed)) != 0
}

/// Takes up to `n` frames out of the pool to put them aside.
pub(in crate::memory) fn surplus(n: usize) -> impl Iterator<Item = Frame> {
    let table = TABLE.get();
    (0..n).map_while(move |_| {
        let mut pool = table.pool.lock();
        let number = match table.surplus(pool.len) {
            0 => None,
            _ => pool.pop_in(table.info),
        };
        table.pooled.store(pool.len, Ordering::Relaxed);
        number.map(Frame::new)
    })
}

/// Fails if this allocation is the one that was chosen to.
pub(in crate::memory) fn fail_on_purpose() -> Result<(), OutOfMemory> {
    if TABLE.get().fails() {
        count(Counter::AllocationsFailed);
        return Err(OutOfMemory);
    }
    Ok(())
}

/// A free frame, which has the caller as its only holder now.
fn allocate(purpose: Purpose) -> Result<Frame, OutOfMemory> {
    let allocated = TABLE.get().allocate(purpose);
    if allocated.is_err() {
        count(Counter::AllocationsFailed);
    }
    allocated.map(|number| claim(Frame::new(number)))
}

/// Makes the caller the holder of a free frame that it has taken.
fn claim(frame: Frame) -> Frame {
    let info = TABLE.get().info(frame);
    info.count.claim();
    info.link.store(NIL, Ordering::Relaxed);
    info.occupancy.store(0, Ordering::Relaxed);
    frame
}

/// Takes one more reference to a frame to which the caller holds one.
#[inline]
pub(in crate::memory) fn take(frame: Frame) -> Result<(), TooManyHolders> {
    TABLE.get().info(frame).count.take()
}

/// Drops a reference; on `Last` the frame is the caller's to free or to dismantle.
#[inline]
pub(in crate::memory) fn drop_reference(frame: Frame) -> Dropped {
    TABLE.get().info(frame).count.drop_one()
}

/// Gives a frame that nobody holds back to the allocator.
pub(in crate::memory) fn free(frame: Frame) {
    let table = TABLE.get();
    assert!(
        table.info(frame).count.get() == 0,
        "M1: {frame:?} was freed while it is held"
    );
    table.free(frame);
    count(Counter::FramesFreed);
}

/// As [`free`], for a frame that the caller has left full of zeroes (rule M9).
pub(in crate::memory) fn free_zeroed(frame: Frame) {
    assert!(
        holders(frame) == 0,
        "M1: {frame:?} was freed while it is held"
    );
    match zeroed_pool::put(frame) {
        Ok(()) => count(Counter::FramesFreed),
        Err(frame) => free(frame),
    }
}

/// The lines of a table in which there may be entries, a bit each (`occupancy.rs`).
pub(in crate::memory) fn occupancy(table: Frame) -> u32 {
    // Relaxed: see the head of `occupancy.rs`.
    TABLE.get().info(table).occupancy.load(Ordering::Relaxed)
}

/// Adds to those lines.
pub(in crate::memory) fn mark_occupied(table: Frame, lines: u32) {
    let word = &TABLE.get().info(table).occupancy;
    // Relaxed: the entry that is stored next is a release. Most entries come into a line that
    // has some.
    if word.load(Ordering::Relaxed) & lines != lines {
        word.fetch_or(lines, Ordering::Relaxed);
    }
}

/// Whether the caller, who holds a reference to the frame, is its only holder.
pub(in crate::memory) fn is_sole(frame: Frame) -> bool {
    TABLE.get().info(frame).count.is_sole()
}

/// Whether it is the frame of zeroes.
pub fn is_zeroes(frame: Frame) -> bool {
    frame == TABLE.get().zeroes
}

/// How many holders the frame has at this moment.
pub fn holders(frame: Frame) -> u32 {
    TABLE.get().info(frame).count.get()
}

/// Free frames, all CPUs' caches included.
pub fn free_frames() -> usize {
    TABLE.get().free_frames()
}

/// Frames that the allocator manages, free or not.
pub fn managed_frames() -> usize {
    TABLE.get().managed
}

/// Every frame that somebody holds, but the frame of zeroes, with the number of holders and
/// its mark, for the audit.
pub(in crate::memory) fn held() -> impl Iterator<Item = (Frame, u32, u32)> {
    let all = TABLE.get().info.iter().enumerate();
    all.filter(|(_, info)| info.count.get() != 0 && !info.count.is_permanent())
        .map(|(number, info)| {
            (
                Frame::new(number as u32),
                info.count.get(),
                info.link.load(Ordering::Relaxed),
            )
        })
}

/// Takes a frame for the kernel's heap, for good, and marks it as such.
#[cfg(target_os = "none")]
pub(in crate::memory) fn take_for_heap() -> Result<Frame, OutOfMemory> {
    let frame = FrameRef::zeroed(Purpose::Kernel)?.into_entry();
    let table = TABLE.get();
    table.info(frame).link.store(HEAP, Ordering::Relaxed);
    table.heap.fetch_add(1, Ordering::Relaxed);
    Ok(frame)
}

/// Whether the kernel's heap can grow by so many frames, and the tables for them.
#[cfg(target_os = "none")]
pub(in crate::memory) fn has_for_heap(frames: usize) -> bool {
    const TABLES: usize = 4;
    TABLE.get().free_frames() >= frames + frames / crate::arch::paging::ENTRIES + TABLES
}

/// Frames that the kernel's heap has taken, its tables included.
pub fn heap_frames() -> usize {
    TABLE.get().heap.load(Ordering::Relaxed)
}

/// Frames from number 0 to the end of memory.
pub(in crate::memory) fn table_len() -> usize {
    TABLE.get().info.len()
}

/// Asks whether the kernel may make small objects on behalf of a user program now: there
/// is memory beyond the reserve. Called at the start of what a program could do
/// without end (fork, mmap, open, a pipe, a large argument list), and again after a wait.
pub fn ensure_free() -> Result<(), OutOfMemory> {
    ensure_free_bytes(0)
}

/// As [`ensure_free`], for objects of so many bytes together and some small ones.
pub fn ensure_free_bytes(bytes: usize) -> Result<(), OutOfMemory> {
    fail_on_purpose()?;
    let table = TABLE.get();
    // Half of the reserve stays for those that were admitted before.
    if table.pooled.load(Ordering::Relaxed) > table.reserve / 2 + bytes.div_ceil(FRAME_SIZE) {
        Ok(())
    } else {
        Err(OutOfMemory)
    }
}

/// Whether there are some frames for user programs beyond the reserve.
pub(in crate::memory) fn has_room() -> bool {
    let table = TABLE.get();
    table.pooled.load(Ordering::Relaxed) > table.reserve + CACHE
}

/// Makes the `n`-th allocation of a frame for programs from now fail (1: the next; 0: none),
/// once. For tests of rule M10.
pub fn fail_allocation(n: usize) {
    fail_allocations(n, 0);
}

/// What is left of a number given to [`fail_allocation_here`] when that many were made: all
/// fail from then on.
pub const ALL_FAIL: usize = usize::MAX;

/// As [`fail_allocation`], of this CPU's allocations, and then all that follow, so that who tries
/// again meets the same; returns what was left of the number given before.
pub fn fail_allocation_here(n: usize) -> usize {
    let table = TABLE.get();
    table.fails_on_purpose.store(true, Ordering::Relaxed);
    table.fail_here[arch::cpu().0].swap(n, Ordering::Relaxed)
}

/// As [`fail_allocation`], and then every `period`-th (0: no other).
pub fn fail_allocations(n: usize, period: usize) {
    let table = TABLE.get();
    table.fail_every.store(period, Ordering::Relaxed);
    table.fail_in.store(n, Ordering::Relaxed);
    table.fails_on_purpose.store(true, Ordering::Relaxed);
}

#[cfg(all(test, not(loom)))]
pub(in crate::memory) fn set_holders(frame: Frame, count: u32) {
    TABLE.get().info(frame).count.set(count);
}
