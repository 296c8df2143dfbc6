//! The bytes in a pipe: a ring over pages, which are taken when bytes come and given back when they
//! have been read. An empty buffer keeps one page, so that a short message costs no allocation.

use crate::errno::Errno;
use crate::memory::{FRAME_SIZE, KernelPage, Quota, Sink, Source, fallible, managed_frames};
use alloc::vec::Vec;
use spin::Once;

/// How many bytes a pipe holds unless it is told otherwise (Linux's default).
pub const CAPACITY: usize = 16 * FRAME_SIZE;
/// What a new pipe holds when there are many (Linux's `PIPE_MIN_DEF_BUFFERS`).
const SMALL_CAPACITY: usize = 2 * FRAME_SIZE;
/// How many pages the pipes may hold together before new ones are small: Linux's default for
/// `pipe-user-pages-soft`.
const SOFT_LIMIT: u64 = 16384;

/// The pages that all pipes together may come to hold.
fn quota() -> &'static Quota {
    static QUOTA: Once<Quota> = Once::new();
    // No more than an eighth of a small machine.
    QUOTA.call_once(|| Quota::new(SOFT_LIMIT.min(managed_frames() as u64 / 8)))
}

/// Bytes in the order in which they came.
pub struct PipeBuffer {
    /// One for each page of the capacity.
    slots: Vec<Option<KernelPage>>,
    /// How many of them have a page.
    pages: usize,
    /// Where the oldest byte is.
    head: usize,
    length: usize,
    /// How many pages of the quota are taken.
    charged: u64,
}

impl PipeBuffer {
    /// An empty buffer of the usual capacity, or a small one when there are many pipes.
    pub fn new() -> Result<PipeBuffer, Errno> {
        let usual = pages_of(CAPACITY) as u64;
        let (capacity, charged) = match quota().take(usual) {
            Ok(()) => (CAPACITY, usual),
            Err(_) => (SMALL_CAPACITY, 0),
        };
        let mut buffer = PipeBuffer::closed();
        // From here on its drop gives the quota back.
        buffer.charged = charged;
        buffer.slots = slots(capacity)?;
        Ok(buffer)
    }

    /// A buffer that holds nothing and takes nothing.
    pub const fn closed() -> PipeBuffer {
        PipeBuffer {
            slots: Vec::new(),
            pages: 0,
            head: 0,
            length: 0,
            charged: 0,
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many bytes there can be.
    pub fn capacity(&self) -> usize {
        self.slots.len() * FRAME_SIZE
    }

    /// How many bytes of memory it has.
    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        self.pages * FRAME_SIZE
    }

    /// How many more there can be.
    pub fn room(&self) -> usize {
        self.capacity() - self.length
    }

    /// A position in the ring, behind the head by so many bytes.
    fn behind_head(&self, count: usize) -> usize {
        match self.head + count {
            end if end >= self.capacity() => end - self.capacity(),
            end => end,
        }
    }

    /// Makes room for `count` more bytes, `room()` at most, and says how much there is: less if
    /// there is no memory for it.
    #[inline]
    pub fn grow_for(&mut self, count: usize) -> usize {
        let tail = self.behind_head(self.length);
        let left = FRAME_SIZE - tail % FRAME_SIZE;
        match self.slots.get(tail / FRAME_SIZE) {
            Some(Some(_)) if count <= left => count,
            _ => self.add_pages(tail, count),
        }
    }

    /// Adds the pages that are missing from `tail` on.
    fn add_pages(&mut self, tail: usize, count: usize) -> usize {
        let mut there = 0;
        let mut at = tail;
        while there < count {
            let Some(slot) = self.slots.get_mut(at / FRAME_SIZE) else {
                break;
            };
            if slot.is_none() {
                match KernelPage::new() {
                    Ok(page) => *slot = Some(page),
                    Err(_) => break,
                }
                self.pages += 1;
            }
            let part = FRAME_SIZE - at % FRAME_SIZE;
            there += part;
            at = match at + part {
                end if end >= self.slots.len() * FRAME_SIZE => 0,
                end => end,
            };
        }
        there.min(count)
    }

    /// Gives the oldest `count` bytes to `sink`, and forgets those that it took.
    #[inline]
    pub fn give(&mut self, sink: &mut impl Sink, count: usize) -> usize {
        let mut given = 0;
        while given < count {
            let within = self.head % FRAME_SIZE;
            let part = (count - given).min(FRAME_SIZE - within);
            let Some(Some(page)) = self.slots.get(self.head / FRAME_SIZE) else {
                break;
            };
            let taken = sink.put(&page.bytes()[within..within + part]);
            given += taken;
            self.forget(taken);
            if taken < part {
                break;
            }
        }
        given
    }

    /// Forgets the oldest `count` bytes, which are in one page.
    #[inline]
    fn forget(&mut self, count: usize) {
        self.length -= count;
        let old = self.head;
        if self.length == 0 {
            // An empty ring starts from the front, so that a pipe that is kept short stays in the
            // same few cache lines.
            self.head = 0;
            if self.pages > 1 || old >= FRAME_SIZE {
                self.keep_one(old / FRAME_SIZE);
            }
            return;
        }
        self.head = self.behind_head(count);
        if self.head / FRAME_SIZE != old / FRAME_SIZE {
            self.release(old / FRAME_SIZE);
        }
    }

    /// Gives a page back whose bytes have been read, unless the newest bytes are in it.
    #[cold]
    fn release(&mut self, slot: usize) {
        let tail = self.behind_head(self.length);
        if !(tail.is_multiple_of(FRAME_SIZE) || tail / FRAME_SIZE != slot) {
            return;
        }
        if let Some(page) = self.slots.get_mut(slot)
            && page.take().is_some()
        {
            self.pages -= 1;
        }
    }

    /// Gives all pages back but the one in `slot`, which becomes the first.
    #[cold]
    fn keep_one(&mut self, slot: usize) {
        let kept = self.slots.get_mut(slot).and_then(Option::take);
        self.slots.iter_mut().for_each(|page| *page = None);
        self.pages = usize::from(kept.is_some());
        if let Some(first) = self.slots.first_mut() {
            *first = kept;
        }
    }

    /// Takes `count` bytes behind the newest, for which there must be memory. They are there
    /// only when they are committed.
    #[inline]
    pub fn take(&mut self, source: &mut impl Source, count: usize) -> usize {
        let mut taken = 0;
        while taken < count {
            let at = self.behind_head(self.length + taken);
            let within = at % FRAME_SIZE;
            let part = (count - taken).min(FRAME_SIZE - within);
            let Some(Some(page)) = self.slots.get_mut(at / FRAME_SIZE) else {
                break;
            };
            let given = source.take(&mut page.bytes_mut()[within..within + part]);
            taken += given;
            if given < part {
                break;
            }
        }
        taken
    }

    /// Copies bytes behind the oldest `skip` ones, and says how many.
    pub fn peek(&self, skip: usize, buffer: &mut [u8]) -> usize {
        let count = self.length.saturating_sub(skip).min(buffer.len());
        let mut done = 0;
        while done < count {
            let at = self.behind_head(skip + done);
            let within = at % FRAME_SIZE;
            let part = (count - done).min(FRAME_SIZE - within);
            let Some(Some(page)) = self.slots.get(at / FRAME_SIZE) else {
                break;
            };
            buffer[done..done + part].copy_from_slice(&page.bytes()[within..within + part]);
            done += part;
        }
        done
    }

    /// Adds the first `count` bytes of those that `take` took.
    pub fn commit(&mut self, count: usize) {
        self.length += count;
    }

    /// Changes the capacity (`F_SETPIPE_SZ`), and returns the new one: as many bytes as asked for, in
    /// a power of two of pages. Nothing is changed on an error; `EBUSY` if its bytes would not fit.
    pub fn resize(&mut self, bytes: usize) -> Result<usize, Errno> {
        let pages = pages_of(bytes).max(1).next_power_of_two();
        let capacity = pages * FRAME_SIZE;
        if self.length > capacity {
            return Err(Errno::EBUSY);
        }
        let mut resized = PipeBuffer::closed();
        resized.slots = slots(capacity)?;
        // Copied, as the bytes may go round the end.
        while resized.length < self.length {
            let at = self.behind_head(resized.length);
            let within = at % FRAME_SIZE;
            let part = (self.length - resized.length).min(FRAME_SIZE - within);
            let Some(Some(page)) = self.slots.get(at / FRAME_SIZE) else {
                break;
            };
            if resized.grow_for(part) < part {
                return Err(Errno::ENOMEM);
            }
            let mut bytes = &page.bytes()[within..within + part];
            let copied = resized.take(&mut bytes, part);
            resized.commit(copied);
        }
        quota().give(self.charged);
        self.charged = 0;
        if quota().take(pages as u64).is_ok() {
            resized.charged = pages as u64;
        }
        *self = resized;
        Ok(capacity)
    }
}

impl Drop for PipeBuffer {
    fn drop(&mut self) {
        quota().give(self.charged);
    }
}

fn pages_of(bytes: usize) -> usize {
    bytes.div_ceil(FRAME_SIZE)
}

/// Empty slots for so many bytes.
fn slots(capacity: usize) -> Result<Vec<Option<KernelPage>>, Errno> {
    let mut slots = fallible::vec(pages_of(capacity))?;
    slots.resize_with(pages_of(capacity), || None);
    Ok(slots)
}
