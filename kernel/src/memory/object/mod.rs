//! Contents that are not one address space's own: the bytes of a file, or anonymous
//! memory that is shared.
//!
//! An object holds a reference to each of its frames. A page table that maps one of them
//! holds another, so a private mapping never finds itself the only holder and always
//! copies on write.

pub(in crate::memory) mod transfer;

use crate::arch::FRAME_SIZE;
use crate::memory::frame::page_copy;
use crate::memory::frame::{FrameRef, OutOfMemory, Purpose};
use crate::memory::object::transfer::{Sink, Source};
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;

/// A sequence of bytes in frames. Parts that were never written read as zero.
pub struct Object {
    frames: Mutex<BTreeMap<u64, FrameRef>>,
    length: AtomicU64,
}

static ZEROES: [u8; FRAME_SIZE] = [0; FRAME_SIZE];

/// Why a page of an object cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// It lies behind the end.
    BeyondEnd,
    /// No memory for it, or too many mappings of it.
    OutOfMemory,
}

impl Object {
    /// An empty object.
    pub fn new() -> Arc<Object> {
        Object::with_len(0)
    }

    /// An object of `length` zero bytes, none of which takes memory yet.
    pub fn with_len(length: u64) -> Arc<Object> {
        Arc::new(Object {
            frames: Mutex::new(BTreeMap::new()),
            length: AtomicU64::new(length),
        })
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
        self.frames.lock().len()
    }

    /// A reference to page `index` for a table entry; the page is made if it is not there
    /// yet.
    pub fn page(&self, index: u64) -> Result<FrameRef, PageError> {
        if index >= self.len().div_ceil(FRAME_SIZE as u64) {
            return Err(PageError::BeyondEnd);
        }
        self.make(index)
            .map_err(|OutOfMemory| PageError::OutOfMemory)
    }

    /// Whether page `index` takes memory already.
    pub fn has_page(&self, index: u64) -> bool {
        self.frames.lock().contains_key(&index)
    }

    fn existing(&self, index: u64) -> Result<Option<FrameRef>, OutOfMemory> {
        let frames = self.frames.lock();
        frames
            .get(&index)
            .map(|frame| frame.share().map_err(|_| OutOfMemory))
            .transpose()
    }

    fn make(&self, index: u64) -> Result<FrameRef, OutOfMemory> {
        if let Some(frame) = self.existing(index)? {
            return Ok(frame);
        }
        // Zeroed without the lock; if another CPU was faster, its page counts, and ours is given
        // back without the lock.
        let fresh = FrameRef::zeroed(Purpose::User)?;
        let (shared, _spare) = match self.frames.lock().entry(index) {
            Entry::Vacant(place) => (place.insert(fresh).share(), None),
            Entry::Occupied(theirs) => (theirs.get().share(), Some(fresh)),
        };
        shared.map_err(|_| OutOfMemory)
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
    ) -> Result<usize, OutOfMemory> {
        let mut buffer = [0; 512];
        let mut done = 0;
        while done < max {
            let at = offset + done as u64;
            let within = (at % FRAME_SIZE as u64) as usize;
            let wanted = (max - done).min(FRAME_SIZE - within).min(buffer.len());
            let frame = match self.make(at / FRAME_SIZE as u64) {
                Ok(frame) => frame,
                Err(OutOfMemory) if done == 0 => return Err(OutOfMemory),
                Err(OutOfMemory) => break,
            };
            let given = source.take(&mut buffer[..wanted]);
            // SAFETY: `frame` holds a reference during the call; the bytes of an object may be
            // written by all that map it, and a private mapping allows for that.
            unsafe { page_copy::write(frame.frame(), within, &buffer[..given]) };
            done += given;
            self.length.fetch_max(at + given as u64, Ordering::AcqRel);
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
        self.length.store(length, Ordering::Release);
        let keep = length.div_ceil(FRAME_SIZE as u64);
        let cut = self.frames.lock().split_off(&keep);
        let within = (length % FRAME_SIZE as u64) as usize;
        if within != 0
            && let Ok(Some(frame)) = self.existing(length / FRAME_SIZE as u64)
        {
            // SAFETY: as in `write_at`.
            unsafe { page_copy::clear(frame.frame(), within, FRAME_SIZE - within) };
        }
        drop(cut);
    }

    /// Calls `visit` for each frame that the object holds, for the audit.
    pub(in crate::memory) fn each_frame(&self, mut visit: impl FnMut(crate::arch::Frame)) {
        self.frames
            .lock()
            .values()
            .for_each(|frame| visit(frame.frame()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    #[test]
    fn holes_read_as_zero_and_the_end_is_kept() {
        let _machine = sim::Machine::start(1, 1024);
        let object = Object::new();
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
