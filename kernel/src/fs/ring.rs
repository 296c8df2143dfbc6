//! The bytes in a pipe: a ring that starts with nothing, gets one page at the first write, and
//! doubles when it is too small, up to [`CAPACITY`]. What it has it keeps until the pipe goes.

use crate::memory::{Sink, Source};
use alloc::vec::Vec;

/// How many bytes a pipe holds (Linux's default).
pub const CAPACITY: usize = 65536;
/// What the ring starts with.
const FIRST_SIZE: usize = 4096;

/// Bytes in the order in which they came.
pub struct ByteRing {
    bytes: Vec<u8>,
    /// Where the oldest byte is.
    head: usize,
    length: usize,
}

impl ByteRing {
    /// An empty ring.
    pub const fn new() -> ByteRing {
        ByteRing {
            bytes: Vec::new(),
            head: 0,
            length: 0,
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

    /// How many bytes of memory it has.
    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        self.bytes.len()
    }

    /// How many more there can be.
    pub fn room(&self) -> usize {
        CAPACITY - self.length
    }

    /// Makes room for `count` more bytes, `room()` at most, and says how much there is: less if
    /// there is no memory to grow.
    #[inline]
    pub fn grow_for(&mut self, count: usize) -> usize {
        if self.bytes.len() - self.length < count {
            self.grow(self.length + count);
        }
        self.bytes.len() - self.length
    }

    /// Makes the ring larger, if there is memory. Seldom: it keeps what it has.
    #[cold]
    fn grow(&mut self, wanted: usize) {
        let size = wanted.next_power_of_two().max(FIRST_SIZE);
        let mut bytes = Vec::new();
        if crate::memory::ensure_free().is_ok() && bytes.try_reserve_exact(size).is_ok() {
            let (first, second) = self.filled();
            bytes.extend_from_slice(first);
            bytes.extend_from_slice(second);
            bytes.resize(size, 0);
            self.bytes = bytes;
            self.head = 0;
        }
    }

    /// The bytes, in two pieces because they may go round the end.
    fn filled(&self) -> (&[u8], &[u8]) {
        let end = self.head + self.length;
        match end.checked_sub(self.bytes.len()) {
            Some(wrapped) => (&self.bytes[self.head..], &self.bytes[..wrapped]),
            None => (&self.bytes[self.head..end], &[]),
        }
    }

    /// Gives the oldest `count` bytes to `sink`, and forgets those that it took.
    pub fn give(&mut self, sink: &mut impl Sink, count: usize) -> usize {
        let (first, second) = self.filled();
        let first = &first[..first.len().min(count)];
        let second = &second[..count - first.len()];
        let mut given = sink.put(first);
        if given == first.len() && !second.is_empty() {
            given += sink.put(second);
        }
        self.length -= given;
        self.head = match self.head + given {
            // An empty ring starts from the front, so that a pipe that is kept
            // short stays in the same few cache lines.
            _ if self.length == 0 => 0,
            head if head >= self.bytes.len() => head - self.bytes.len(),
            head => head,
        };
        given
    }

    /// Takes `count` bytes behind the newest, for which there must be memory. They are there
    /// only when they are committed.
    pub fn take(&mut self, source: &mut impl Source, count: usize) -> usize {
        let size = self.bytes.len();
        let start = match self.head + self.length {
            end if end >= size => end - size,
            end => end,
        };
        let first = count.min(size - start);
        let mut taken = source.take(&mut self.bytes[start..start + first]);
        if taken == first && first < count {
            taken += source.take(&mut self.bytes[..count - first]);
        }
        taken
    }

    /// Adds the first `count` bytes of those that `take` took.
    pub fn commit(&mut self, count: usize) {
        self.length += count;
    }
}
