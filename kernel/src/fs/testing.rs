//! What the tests of the file layer share: a program's memory on the simulated machine.

use crate::memory::{self, AddressSpace, Backing, Placement, Protection, UserBuf};
use crate::testing::sim::{self, Machine};
use alloc::sync::Arc;
use alloc::vec::Vec;
use futures_util::FutureExt;

/// Where the program's memory starts.
pub const BASE: usize = 0x40_0000;
/// How many pages it has. None of them is there before it is touched.
const PAGES: usize = 64;

/// A machine with one program, whose memory is not yet there: each first
/// touch of a page has to be waited for.
pub struct Program {
    pub space: Arc<AddressSpace>,
    // After the space, which gives its frames back to it.
    _machine: Machine,
}

/// The output of a future that does not have to wait.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("this waits for somebody")
}

/// Only a machine: for tests in which no program takes part.
pub fn machine() -> Machine {
    sim::Machine::start(1, 512)
}

impl Program {
    pub fn start() -> Program {
        let machine = machine();
        let space = AddressSpace::new().unwrap();
        let rights = Protection::READ | Protection::WRITE;
        let length = PAGES * memory::FRAME_SIZE;
        now(space.map(Placement::Fixed(BASE), length, rights, Backing::Anonymous)).unwrap();
        memory::activate(&space);
        Program {
            space,
            _machine: machine,
        }
    }

    /// A range of the program's memory, from `start` bytes behind its beginning.
    pub fn buffer(&self, start: usize, length: usize) -> UserBuf<'_> {
        UserBuf::new(&self.space, BASE + start, length).unwrap()
    }

    /// Puts `bytes` there, and returns the range.
    pub fn holding(&self, start: usize, bytes: &[u8]) -> UserBuf<'_> {
        now(self.space.write_bytes(BASE + start, bytes)).unwrap();
        self.buffer(start, bytes.len())
    }

    pub fn bytes(&self, start: usize, length: usize) -> Vec<u8> {
        let mut bytes = alloc::vec![0; length];
        now(self.space.read_bytes(BASE + start, &mut bytes)).unwrap();
        bytes
    }

    /// A range whose first `mapped` bytes are the program's and whose last `beyond` are not.
    pub fn running_out(&self, mapped: usize, beyond: usize) -> UserBuf<'_> {
        let end = PAGES * memory::FRAME_SIZE;
        self.buffer(end - mapped, mapped + beyond)
    }
}
