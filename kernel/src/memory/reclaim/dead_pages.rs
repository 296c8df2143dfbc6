//! Chunks of an object's pages, and the list of those that no object has any more.
//!
//! A big file that is cut or closed gives its pages up a chunk at a time: moving a chunk to the list
//! of dead ones takes a few instructions, and the reclaimer drops the frames of one chunk a step. So
//! neither `truncate` nor the last `close` is a long step (rule E4), and neither allocates.

use crate::memory::frame::FrameRef;
use alloc::boxed::Box;
use core::cell::{RefCell, RefMut};
use intrusive_collections::{
    KeyAdapter, RBTreeLink, SinglyLinkedList, SinglyLinkedListLink, intrusive_adapter,
};

/// How many pages a chunk has.
pub(in crate::memory) const CHUNK: u64 = 32;

/// The frames of some neighbouring pages.
pub(in crate::memory) struct PageChunk {
    in_object: RBTreeLink,
    in_list: SinglyLinkedListLink,
    /// The number of the chunk: its first page's, divided by [`CHUNK`].
    number: u64,
    /// The pages that are there. The tree hands out shared references only; the object's lock is
    /// around every use.
    frames: RefCell<[Option<FrameRef>; CHUNK as usize]>,
}

intrusive_adapter!(pub(in crate::memory) ByNumber = Box<PageChunk>: PageChunk { in_object => RBTreeLink });
intrusive_adapter!(pub(in crate::memory) InList = Box<PageChunk>: PageChunk { in_list => SinglyLinkedListLink });

impl KeyAdapter<'_> for ByNumber {
    type Key = u64;

    fn get_key(&self, chunk: &PageChunk) -> u64 {
        chunk.number
    }
}

impl PageChunk {
    /// A chunk without pages.
    pub fn new(number: u64) -> PageChunk {
        PageChunk {
            in_object: RBTreeLink::new(),
            in_list: SinglyLinkedListLink::new(),
            number,
            frames: RefCell::new([const { None }; CHUNK as usize]),
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its pages.
    pub fn frames(&self) -> RefMut<'_, [Option<FrameRef>; CHUNK as usize]> {
        self.frames.borrow_mut()
    }
}

/// Chunks that no object has any more.
pub(in crate::memory) type DeadPages = SinglyLinkedList<InList>;
