//! How bytes go to and from a place that may not be ready for them.
//!
//! A file gives its bytes to a [`Sink`] and takes them from a [`Source`]. The
//! usual one is memory of a user program, where a page may have to be faulted in
//! first, which may wait. So neither waits here: each says how many bytes it did, and the
//! caller, having let go of its locks, makes the place ready and tries again.

/// Takes bytes.
pub trait Sink {
    /// Takes the first bytes of `bytes`, as many as it can at once, and says how
    /// many. Fewer than given: it is full, or must be made ready first.
    fn put(&mut self, bytes: &[u8]) -> usize;
}

/// Gives bytes.
pub trait Source {
    /// Fills the first bytes of `buffer`, as many as it can at once, and says how many.
    fn take(&mut self, buffer: &mut [u8]) -> usize;
}

impl Sink for &mut [u8] {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.len());
        let (head, tail) = core::mem::take(self).split_at_mut(n);
        head.copy_from_slice(&bytes[..n]);
        *self = tail;
        n
    }
}

impl Source for &[u8] {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let n = buffer.len().min(self.len());
        let (head, tail) = self.split_at(n);
        buffer[..n].copy_from_slice(head);
        *self = tail;
        n
    }
}
