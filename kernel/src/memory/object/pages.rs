//! The pages of an object: a map from page numbers to frames.
//!
//! Pages are kept in chunks, and the chunks in a balanced tree that is linked through them. A chunk
//! is allocated before the object is locked, so an insertion cannot fail, and removing allocates
//! nothing.

use crate::memory::frame::FrameRef;
use crate::memory::reclaim::dead_pages::{ByNumber, CHUNK, PageChunk};
use crate::memory::reclaim::reclaimer;
use alloc::boxed::Box;
use core::ops::Range;
use intrusive_collections::{Bound, RBTree};

/// The pages of an object that are there.
pub(super) struct Pages {
    chunks: RBTree<ByNumber>,
    count: usize,
}

/// Where a page is: the number of its chunk, and its place in it.
fn place(index: u64) -> (u64, usize) {
    (index / CHUNK, (index % CHUNK) as usize)
}

impl Pages {
    /// No pages.
    pub fn new() -> Pages {
        Pages {
            chunks: RBTree::new(ByNumber::NEW),
            count: 0,
        }
    }

    /// How many pages there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Shows the frame of a page, if it is there.
    pub fn with<R>(&self, index: u64, show: impl FnOnce(&FrameRef) -> R) -> Option<R> {
        let (number, within) = place(index);
        let chunks = self.chunks.find(&number);
        chunks.get()?.frames()[within].as_ref().map(show)
    }

    /// Whether a page can be inserted without a new chunk.
    pub fn has_chunk(&self, index: u64) -> bool {
        !self.chunks.find(&place(index).0).is_null()
    }

    /// A chunk for a page.
    pub fn chunk_for(index: u64) -> PageChunk {
        PageChunk::new(place(index).0)
    }

    /// Adds a chunk, unless there is one with its number: then it comes back.
    pub fn add_chunk(&mut self, chunk: Box<PageChunk>) -> Option<Box<PageChunk>> {
        if !self.chunks.find(&chunk.number()).is_null() {
            return Some(chunk);
        }
        self.chunks.insert(chunk);
        None
    }

    /// Adds a page, whose chunk has to be there. The frame comes back if there is no chunk, or a
    /// page already.
    pub fn insert(&mut self, index: u64, frame: FrameRef) -> Option<FrameRef> {
        let (number, within) = place(index);
        let chunks = self.chunks.find(&number);
        let Some(chunk) = chunks.get() else {
            return Some(frame);
        };
        let empty = &mut chunk.frames()[within];
        if empty.is_some() {
            return Some(frame);
        }
        *empty = Some(frame);
        self.count += 1;
        None
    }

    /// Removes the pages of a range. Those of whole chunks, and of chunks that are empty then, go to
    /// the reclaimer; the others, fewer than two chunks' worth, are dropped here. Returns how many
    /// there were.
    pub fn remove(&mut self, range: Range<u64>) -> usize {
        let before = self.count;
        if range.is_empty() {
            return 0;
        }
        let (first, last) = (place(range.start).0, place(range.end - 1).0);
        let mut chunks = self.chunks.lower_bound_mut(Bound::Included(&first));
        let mut retired = false;
        while let Some(chunk) = chunks.get().filter(|chunk| chunk.number() <= last) {
            let start = chunk.number().saturating_mul(CHUNK);
            let is_cut = |place: usize| range.contains(&start.saturating_add(place as u64));
            let mut frames = chunk.frames();
            let all = frames.iter().flatten().count();
            let cut = (0..frames.len())
                .filter(|&place| is_cut(place) && frames[place].is_some())
                .count();
            self.count -= cut;
            if cut == all {
                drop(frames);
                if let Some(chunk) = chunks.remove() {
                    reclaimer::retire_pages(chunk);
                    retired = true;
                }
                continue;
            }
            for (place, frame) in frames.iter_mut().enumerate() {
                if is_cut(place) {
                    *frame = None;
                }
            }
            drop(frames);
            chunks.move_next();
        }
        if retired {
            reclaimer::wake_for_pages();
        }
        before - self.count
    }

    /// The first page at `from` or behind it that is there.
    pub fn next_present(&self, from: u64) -> Option<u64> {
        let mut chunks = self.chunks.lower_bound(Bound::Included(&place(from).0));
        while let Some(chunk) = chunks.get() {
            let start = chunk.number().saturating_mul(CHUNK);
            let found = chunk
                .frames()
                .iter()
                .zip(start..)
                .find_map(|(frame, index)| (frame.is_some() && index >= from).then_some(index));
            if found.is_some() {
                return found;
            }
            chunks.move_next();
        }
        None
    }

    /// The first page at `from` or behind it that is not there.
    pub fn next_absent(&self, from: u64) -> u64 {
        let (mut number, mut within) = place(from);
        loop {
            let chunks = self.chunks.find(&number);
            let Some(chunk) = chunks.get() else {
                return number.saturating_mul(CHUNK).saturating_add(within as u64);
            };
            let frames = chunk.frames();
            match frames.iter().skip(within).position(Option::is_none) {
                Some(more) => return number * CHUNK + (within + more) as u64,
                None => (number, within) = (number + 1, 0),
            }
        }
    }

    /// Calls `visit` for each frame.
    pub fn each(&self, mut visit: impl FnMut(&FrameRef)) {
        for chunk in self.chunks.iter() {
            chunk.frames().iter().flatten().for_each(&mut visit);
        }
    }
}

impl Drop for Pages {
    /// The last reference to the object is gone: a big one's frames are dropped by the reclaimer.
    fn drop(&mut self) {
        if self.count as u64 > 2 * CHUNK {
            self.remove(0..u64::MAX);
        }
    }
}
