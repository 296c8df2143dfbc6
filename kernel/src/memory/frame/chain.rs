//! Chains of frames that nothing holds, linked through their own metadata.

use super::metadata::{self, NIL};
use crate::arch::Frame;
use core::sync::atomic::Ordering;

/// A chain of frames with count 0. The last one in is the first one out.
pub(in crate::memory) struct Chain {
    head: u32,
    len: usize,
}

impl Chain {
    /// An empty chain.
    pub(in crate::memory) const fn new() -> Chain {
        Chain { head: NIL, len: 0 }
    }

    /// Whether there is no frame on it.
    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// How many frames are on it.
    pub(in crate::memory) fn len(&self) -> usize {
        self.len
    }

    /// Puts a frame that has no holder on the chain.
    pub(in crate::memory) fn push(&mut self, frame: Frame) {
        // Relaxed, here and in `pop`: a chain is only touched under its lock.
        let link = &metadata::all().info(frame).link;
        link.store(self.head, Ordering::Relaxed);
        self.head = frame.number();
        self.len += 1;
    }

    /// Takes the frame that was put on last.
    pub(in crate::memory) fn pop(&mut self) -> Option<Frame> {
        if self.head == NIL {
            return None;
        }
        let frame = Frame::new(self.head);
        self.head = metadata::all().info(frame).link.load(Ordering::Relaxed);
        self.len -= 1;
        Some(frame)
    }
}
