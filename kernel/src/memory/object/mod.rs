//! Contents that are not one address space's own: the bytes of a file, or anonymous
//! memory that is shared.
//!
//! An object holds a reference to each of its frames. A page table that maps one of them
//! holds another, so a private mapping never finds itself the only holder and always
//! copies on write.

mod pages;
mod quota;
pub(in crate::memory) mod transfer;

pub use quota::Quota;

use crate::arch::{FRAME_SIZE, Frame};
use crate::memory::frame::page_copy;
use crate::memory::frame::{FrameRef, OutOfMemory, Purpose};
use crate::memory::heap::fallible;
use crate::memory::object::transfer::{Sink, Source};
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use pages::Pages;
use spin::{Mutex, Once};

/// A sequence of bytes in frames. Parts that were never written read as zero.
///
/// The length is stored under the lock of the pages. A page for a mapping is inserted under that
/// lock as well, after a look at the length, so a truncate that comes between leaves no page behind
/// the end.
pub struct Object {
    pages: Mutex<Pages>,
    length: AtomicU64,
    /// Whether it was ever mapped. Never cleared.
    mapped: AtomicBool,
    /// What its pages are counted against.
    quota: Option<Arc<Quota>>,
    /// What it is the contents of, for those that show a mapping.
    owner: Once<Weak<dyn Any + Send + Sync>>,
}

static ZEROES: [u8; FRAME_SIZE] = [0; FRAME_SIZE];

/// Why a page of an object cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// It lies behind the end.
    BeyondEnd,
    /// No memory for it, or too many mappings of it.
    OutOfMemory,
    /// The quota is used up.
    NoSpace,
}

impl From<OutOfMemory> for PageError {
    fn from(_: OutOfMemory) -> PageError {
        PageError::OutOfMemory
    }
}

/// Whether a page may lie behind the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// It may: the length follows.
    Allowed,
    /// It may not.
    Refused,
}

impl Object {
    /// An empty object.
    pub fn new() -> Result<Arc<Object>, OutOfMemory> {
        Object::with_len(0)
    }

    /// An object of `length` zero bytes, none of which takes memory yet.
    pub fn with_len(length: u64) -> Result<Arc<Object>, OutOfMemory> {
        Object::with(length, None)
    }

    /// An empty object whose pages are counted.
    pub fn counted(quota: Arc<Quota>) -> Result<Arc<Object>, OutOfMemory> {
        Object::with(0, Some(quota))
    }

    fn with(length: u64, quota: Option<Arc<Quota>>) -> Result<Arc<Object>, OutOfMemory> {
        fallible::arc(Object {
            pages: Mutex::new(Pages::new()),
            length: AtomicU64::new(length),
            mapped: AtomicBool::new(false),
            quota,
            owner: Once::new(),
        })
    }

    /// Says what it is the contents of. Only the first word counts.
    pub fn set_owner(&self, owner: Weak<dyn Any + Send + Sync>) {
        self.owner.call_once(|| owner);
    }

    /// What it is the contents of, while that is there.
    pub fn owner(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.owner.get()?.upgrade()
    }

    /// Whether this frame is page `index`.
    pub(in crate::memory) fn holds(&self, index: u64, frame: Frame) -> bool {
        let pages = self.pages.lock();
        pages.with(index, |own| own.frame() == frame) == Some(true)
    }

    /// Notes that an address space is about to map it.
    pub(in crate::memory) fn note_mapping(&self) {
        // Relaxed: a fault takes the lock of the pages to look at the length, and so does a truncate
        // to store it. If the fault comes first, this store happens before the truncate's load of
        // the flag; else the fault finds the page beyond the end.
        if !self.mapped.load(Ordering::Relaxed) {
            self.mapped.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was ever mapped.
    pub(in crate::memory) fn was_mapped(&self) -> bool {
        self.mapped.load(Ordering::Relaxed)
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frames held.
    pub fn frames_held(&self) -> usize {
        self.pages.lock().count()
    }

    /// A reference to page `index` for a table entry; the page is made if it is not there
    /// yet.
    pub fn page(&self, index: u64) -> Result<FrameRef, PageError> {
        if index >= pages_of(self.len()) {
            return Err(PageError::BeyondEnd);
        }
        self.make(index, Behind::Refused)
    }

    /// Whether page `index` takes memory already.
    pub fn has_page(&self, index: u64) -> bool {
        self.pages.lock().with(index, |_| ()).is_some()
    }

    fn existing(&self, index: u64) -> Result<Option<FrameRef>, OutOfMemory> {
        let pages = self.pages.lock();
        pages
            .with(index, |frame| frame.share().map_err(|_| OutOfMemory))
            .transpose()
    }

    fn make(&self, index: u64, behind: Behind) -> Result<FrameRef, PageError> {
        if let Some(frame) = self.existing(index)? {
            return Ok(frame);
        }
        self.add(index, FrameRef::zeroed(Purpose::User)?, behind)
    }

    /// Adds a frame as page `index`, unless the page is there by now: then that one counts. All is
    /// allocated, and what is left over dropped, without the lock.
    fn add(&self, index: u64, fresh: FrameRef, behind: Behind) -> Result<FrameRef, PageError> {
        if let Some(quota) = &self.quota {
            quota.take(1).map_err(|_| PageError::NoSpace)?;
        }
        let result = self.insert(index, fresh, behind);
        if let (Some(quota), false) = (&self.quota, matches!(result, Ok((_, true)))) {
            quota.give(1);
        }
        result.map(|(frame, _)| frame)
    }

    /// Says also whether the page is the fresh frame.
    fn insert(
        &self,
        index: u64,
        fresh: FrameRef,
        behind: Behind,
    ) -> Result<(FrameRef, bool), PageError> {
        let mut fresh = fresh;
        loop {
            let has_chunk = self.pages.lock().has_chunk(index);
            let chunk = match has_chunk {
                true => None,
                false => Some(fallible::boxed(Pages::chunk_for(index))?),
            };
            let mut pages = self.pages.lock();
            if behind == Behind::Refused && index >= pages_of(self.len()) {
                drop(pages);
                return Err(PageError::BeyondEnd);
            }
            let spare_chunk = chunk.and_then(|chunk| pages.add_chunk(chunk));
            let spare = pages.insert(index, fresh);
            let shared = pages.with(index, FrameRef::share);
            drop(pages);
            drop(spare_chunk);
            match (shared, spare) {
                (Some(Ok(frame)), spare) => return Ok((frame, spare.is_none())),
                (Some(Err(_)), _) | (None, None) => return Err(PageError::OutOfMemory),
                // Its chunk was cut off between the two looks.
                (None, Some(frame)) => fresh = frame,
            }
        }
    }

    /// Makes a frame that holds contents already page `index` of the object.
    pub fn adopt(&self, index: u64, frame: FrameRef) -> Result<(), PageError> {
        self.add(index, frame, Behind::Allowed).map(drop)
    }

    /// Makes the object at least `length` bytes long.
    pub fn extend_to(&self, length: u64) {
        let _pages = self.pages.lock();
        self.length.fetch_max(length, Ordering::AcqRel);
    }

    /// Makes page `index` present (fallocate(2)).
    pub fn allocate(&self, index: u64) -> Result<(), PageError> {
        self.make(index, Behind::Allowed).map(drop)
    }

    /// Removes the bytes of a range: they read as zero from now on, and whole pages of them take no
    /// memory.
    pub fn punch(&self, range: Range<u64>) {
        let page = FRAME_SIZE as u64;
        let (first, last) = (range.start.div_ceil(page), range.end / page);
        if first > last {
            // Within one page.
            self.clear(range);
            return;
        }
        self.clear(range.start..first * page);
        self.clear(last * page..range.end);
        self.remove(first..last);
    }

    /// Zeroes bytes within one page, if it is there.
    fn clear(&self, range: Range<u64>) {
        let within = (range.start % FRAME_SIZE as u64) as usize;
        let length = (range.end - range.start) as usize;
        if length != 0
            && let Ok(Some(frame)) = self.existing(range.start / FRAME_SIZE as u64)
        {
            // SAFETY: as in `write_at`.
            unsafe { page_copy::clear(frame.frame(), within, length) };
        }
    }

    fn remove(&self, range: Range<u64>) {
        let removed = self.pages.lock().remove(range);
        self.give_back(removed);
    }

    fn give_back(&self, pages: usize) {
        if let Some(quota) = &self.quota {
            quota.give(pages as u64);
        }
    }

    /// The first byte at `offset` or behind it that takes memory.
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        let index = self.pages.lock().next_present(offset / FRAME_SIZE as u64)?;
        Some((index * FRAME_SIZE as u64).max(offset))
    }

    /// The first byte at `offset` or behind it that takes no memory.
    pub fn next_hole(&self, offset: u64) -> u64 {
        let index = self.pages.lock().next_absent(offset / FRAME_SIZE as u64);
        index.saturating_mul(FRAME_SIZE as u64).max(offset)
    }

    /// Gives bytes from `offset` on to the sink, at most `max`, until it takes no more or
    /// the object ends. Returns how many.
    pub fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> usize {
        let mut buffer = [0; 512];
        let mut done = 0;
        while done < max {
            let at = offset.saturating_add(done as u64);
            let left = self.len().saturating_sub(at).min((max - done) as u64) as usize;
            let within = (at % FRAME_SIZE as u64) as usize;
            let wanted = left.min(FRAME_SIZE - within);
            if wanted == 0 {
                break;
            }
            let taken = match self.existing(at / FRAME_SIZE as u64) {
                Ok(Some(frame)) => {
                    let wanted = wanted.min(buffer.len());
                    // SAFETY: `frame` holds a reference during the call.
                    unsafe { page_copy::read(frame.frame(), within, &mut buffer[..wanted]) };
                    let taken = sink.put(&buffer[..wanted]);
                    done += taken;
                    if taken < wanted { break } else { continue }
                }
                _ => sink.put(&ZEROES[..wanted]),
            };
            done += taken;
            if taken < wanted {
                break;
            }
        }
        done
    }

    /// Takes bytes from the source, at most `max`, and puts them at `offset` and on,
    /// until it gives no more. Returns how many; the object grows as needed. Running
    /// out of memory is an error only when nothing was written.
    pub fn write_at(
        &self,
        offset: u64,
        source: &mut dyn Source,
        max: usize,
    ) -> Result<usize, PageError> {
        let mut buffer = [0; 512];
        let mut done = 0;
        while done < max {
            let at = offset + done as u64;
            let within = (at % FRAME_SIZE as u64) as usize;
            let wanted = (max - done).min(FRAME_SIZE - within).min(buffer.len());
            let frame = match self.make(at / FRAME_SIZE as u64, Behind::Allowed) {
                Ok(frame) => frame,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            };
            let given = source.take(&mut buffer[..wanted]);
            // SAFETY: `frame` holds a reference during the call; the bytes of an object may be
            // written by all that map it, and a private mapping allows for that.
            unsafe { page_copy::write(frame.frame(), within, &buffer[..given]) };
            done += given;
            self.extend_to(at + given as u64);
            if given < wanted {
                break;
            }
        }
        Ok(done)
    }

    /// Makes the object `length` bytes long. What is cut off is forgotten; what is added
    /// reads as zero. Pages that are mapped somewhere stay there until they are
    /// unmapped.
    pub fn truncate(&self, length: u64) {
        let removed = {
            let mut pages = self.pages.lock();
            self.length.store(length, Ordering::Release);
            pages.remove(pages_of(length)..u64::MAX)
        };
        self.give_back(removed);
        let page = FRAME_SIZE as u64;
        self.clear(length..length.next_multiple_of(page));
    }

    /// Calls `visit` for each frame that the object holds, for the audit.
    pub(in crate::memory) fn each_frame(&self, mut visit: impl FnMut(crate::arch::Frame)) {
        self.pages.lock().each(|frame| visit(frame.frame()));
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let pages = self.pages.get_mut().count();
        self.give_back(pages);
    }
}

/// How many pages so many bytes take.
fn pages_of(length: u64) -> u64 {
    length.div_ceil(FRAME_SIZE as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    #[test]
    fn holes_read_as_zero_and_the_end_is_kept() {
        let _machine = sim::Machine::start(1, 1024);
        let object = Object::new().unwrap();
        assert_eq!(object.write_at(5000, &mut &b"abc"[..], 3), Ok(3));
        assert_eq!(object.len(), 5003);
        let mut out = [9u8; 8];
        assert_eq!(object.read_at(4998, &mut &mut out[..], 8), 5);
        assert_eq!(&out[..5], b"\0\0abc");
        object.truncate(5001);
        object.truncate(6000);
        assert_eq!(object.read_at(5000, &mut &mut out[..3], 3), 3);
        assert_eq!(&out[..3], b"a\0\0", "what was cut off does not come back");
        assert_eq!(object.page(2).err(), Some(PageError::BeyondEnd));
    }
}
