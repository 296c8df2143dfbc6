//! The number of a frame: a type of its own, so that it is not mixed up with an address.

/// Bytes in a frame and in a page.
pub const FRAME_SIZE: usize = 4096;

/// A 4 KiB page of physical memory, by its number (physical address / 4096).
///
/// A `Frame` is only a name: it says nothing about the holders of the frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame(u32);

impl Frame {
    /// The frame with this number. 32 bits reach 16 TiB of physical memory.
    pub const fn new(number: u32) -> Frame {
        Frame(number)
    }

    /// The frame that contains the physical address.
    pub const fn containing(address: u64) -> Frame {
        Frame((address / FRAME_SIZE as u64) as u32)
    }

    /// The frame `n` frames further up.
    pub const fn add(self, n: u32) -> Frame {
        Frame(self.0 + n)
    }

    /// The frame's number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The physical address of the frame's first byte.
    pub const fn address(self) -> u64 {
        self.0 as u64 * FRAME_SIZE as u64
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "frame {:#x}", self.0)
    }
}
