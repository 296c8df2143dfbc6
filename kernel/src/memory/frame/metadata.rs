//! The metadata of frames (rule M1): an array with twelve bytes for each frame of memory.
//!
//! A frame has its [`RefCount`], a link, and, if it is a table, its occupancy bitmap. The link
//! chains frames whose count is 0 (`chain.rs`): free frames, and dead tables. So a list of
//! such frames takes no other memory.

use super::count::{Dropped, RefCount, TooManyHolders};
use super::free_map::{self, FreeMap};
use crate::arch::{self, Frame, PerMachine};
use core::sync::atomic::{AtomicU32, Ordering};

/// The end of a chain; also the link of a frame that is held and has no mark.
pub(super) const NIL: u32 = u32::MAX;
/// The mark of a frame of the kernel's heap.
pub(in crate::memory) const HEAP: u32 = u32::MAX - 1;

/// Metadata of one frame. All zeroes are those of a free frame.
pub(super) struct FrameInfo {
    pub(super) count: RefCount,
    /// While the count is 0: the next frame of the chain. Otherwise [`HEAP`] for a frame of the
    /// kernel's heap, else [`NIL`].
    pub(super) link: AtomicU32,
    /// Of a table: its occupancy bitmap (`table/occupancy.rs`).
    occupancy: arch::atomic::AtomicU32,
}

pub(super) struct Frames {
    info: &'static [FrameInfo],
    /// The frame of zeroes: what programs read where they have never written. Nothing ever
    /// writes it, it is never free, and its holders are not counted (rule M1).
    pub(super) zeroes: Frame,
}

static FRAMES: PerMachine<Frames> = PerMachine::new();

/// How many bytes the metadata of so many frames takes, the map of free ones behind it included.
pub(super) const fn bytes(frames: usize) -> usize {
    map_offset(frames) + free_map::words(frames) * size_of::<u64>()
}

/// Where the map of free frames begins.
const fn map_offset(frames: usize) -> usize {
    (frames * size_of::<FrameInfo>()).next_multiple_of(align_of::<u64>())
}

/// Sets the array up for the frames 0 to `frames`, in memory that begins at `home`. `zeroes`
/// becomes the frame of zeroes. Returns an empty map of free frames.
///
/// # Safety
/// All of this memory is zeroed, long enough, contiguous in the kernel's direct map, and nothing
/// else ever uses it.
pub(super) unsafe fn init(home: Frame, frames: usize, zeroes: Frame) -> FreeMap {
    // SAFETY: as the caller promises.
    let info = unsafe { at(home, frames) };
    let table = Frames { info, zeroes };
    table.info(zeroes).count.make_permanent();
    FRAMES.init(table);
    // SAFETY: as the caller promises.
    FreeMap::new(unsafe { map_at(home, frames) }, frames)
}

/// # Safety
/// As for [`init`].
#[cfg(not(loom))]
unsafe fn at(home: Frame, frames: usize) -> &'static [FrameInfo] {
    let first = arch::frame_ptr(home).cast::<FrameInfo>();
    // SAFETY: as the caller promises; a frame is aligned, and zeroes are valid.
    unsafe { core::slice::from_raw_parts(first.as_ptr(), frames) }
}

/// # Safety
/// As for [`init`].
#[cfg(not(loom))]
unsafe fn map_at(home: Frame, frames: usize) -> &'static mut [u64] {
    // SAFETY: as the caller promises, the memory goes on so far behind the array.
    let first = unsafe { arch::frame_ptr(home).add(map_offset(frames)) };
    // SAFETY: as above; the place is aligned, and zeroes are valid.
    unsafe { core::slice::from_raw_parts_mut(first.cast().as_ptr(), free_map::words(frames)) }
}

/// The same, not in the machine's memory.
#[cfg(loom)]
unsafe fn map_at(_home: Frame, frames: usize) -> &'static mut [u64] {
    alloc::vec![0; free_map::words(frames)].leak()
}

/// The same as [`at`], but `loom`'s atomics are made one by one, and are not in the machine's memory.
#[cfg(loom)]
unsafe fn at(_home: Frame, frames: usize) -> &'static [FrameInfo] {
    let info = || FrameInfo {
        count: RefCount::new(),
        link: AtomicU32::new(0),
        occupancy: arch::atomic::AtomicU32::new(0),
    };
    let all: alloc::vec::Vec<_> = (0..frames).map(|_| info()).collect();
    all.leak()
}

pub(super) fn all() -> &'static Frames {
    FRAMES.get()
}

impl Frames {
    pub(super) fn info(&self, frame: Frame) -> &FrameInfo {
        // A frame number that is out of range comes from a broken table entry: the bounds check is
        // the kernel's own invariant.
        &self.info[frame.number() as usize]
    }
}

/// Makes the caller the holder of a free frame that it has taken from the allocator.
pub(super) fn claim(frame: Frame) -> Frame {
    let info = all().info(frame);
    info.count.claim();
    info.link.store(NIL, Ordering::Relaxed);
    info.occupancy.store(0, Ordering::Relaxed);
    frame
}

/// Takes one more reference to a frame to which the caller holds one.
#[inline]
pub(in crate::memory) fn take(frame: Frame) -> Result<(), TooManyHolders> {
    all().info(frame).count.take()
}

/// Drops a reference. On `Last` the caller has to free or to dismantle the frame.
#[inline]
pub(in crate::memory) fn drop_reference(frame: Frame) -> Dropped {
    all().info(frame).count.drop_one()
}

/// Whether the caller, which holds a reference to the frame, is its only holder.
pub(in crate::memory) fn is_sole(frame: Frame) -> bool {
    all().info(frame).count.is_sole()
}

/// Whether it is the frame of zeroes.
pub fn is_zeroes(frame: Frame) -> bool {
    frame == all().zeroes
}

/// How many holders the frame has at this moment.
pub fn holders(frame: Frame) -> u32 {
    all().info(frame).count.get()
}

/// The occupancy bitmap of a table (`table/occupancy.rs`).
pub(in crate::memory) fn occupancy(table: Frame) -> u32 {
    // Relaxed: see the head of `table/occupancy.rs`.
    all().info(table).occupancy.load(Ordering::Relaxed)
}

/// Adds bits to the occupancy bitmap of a table.
pub(in crate::memory) fn mark_occupied(table: Frame, blocks: u32) {
    let bitmap = &all().info(table).occupancy;
    // Relaxed: the store of the entry that follows is a Release. Most entries come into a block
    // that has some.
    if bitmap.load(Ordering::Relaxed) & blocks != blocks {
        bitmap.fetch_or(blocks, Ordering::Relaxed);
    }
}

/// Marks a frame that the caller holds as the kernel heap's.
#[cfg(target_os = "none")]
pub(super) fn mark_heap(frame: Frame) {
    all().info(frame).link.store(HEAP, Ordering::Relaxed);
}

/// Every frame that has holders, but the frame of zeroes, with the number of holders and its
/// mark, for the audit.
pub(in crate::memory) fn held() -> impl Iterator<Item = (Frame, u32, u32)> {
    let infos = all().info.iter().enumerate();
    infos
        .filter(|(_, info)| info.count.get() != 0 && !info.count.is_permanent())
        .map(|(number, info)| {
            (
                Frame::new(number as u32),
                info.count.get(),
                info.link.load(Ordering::Relaxed),
            )
        })
}

/// Frames from number 0 to the end of memory.
pub(in crate::memory) fn table_len() -> usize {
    all().info.len()
}

#[cfg(all(test, not(loom)))]
pub(in crate::memory) fn set_holders(frame: Frame, count: u32) {
    all().info(frame).count.set(count);
}
