//! The store buffer of a CPU: what a program has stored and other CPUs do not see yet.
//!
//! Stores reach memory in their order, each at any moment after it was done; the CPU
//! itself sees them at once. That is all that x86 allows (x86-TSO; Intel SDM vol. 3,
//! 9.2.2), and it does so with the frame that the translation gave when the store was
//! done. Locked and serializing instructions wait until the buffer is empty; as the kernel
//! begins everything that others rely on with one, a buffer is emptied when the kernel is
//! entered.

use super::processor::word;
use super::state::{is_held, with};
use crate::arch::frame::Frame;
use core::sync::atomic::Ordering;
use std::collections::VecDeque;

/// Told when the store reaches memory.
pub type Seen = Box<dyn FnOnce()>;

/// Stores that may wait; more, and the oldest goes first.
const ROOM: usize = 8;

struct Store {
    frame: Frame,
    index: usize,
    value: u64,
    seen: Seen,
}

/// The store buffer of one CPU, the oldest store first.
#[derive(Default)]
pub(super) struct Stores(VecDeque<Store>);

impl Stores {
    /// Takes the oldest store to memory. Returns the function to call now
    /// that the store is visible, and the frame if it has no holder (rule M2).
    #[must_use]
    pub fn drain_one(&mut self) -> Option<(Seen, Option<Frame>)> {
        let store = self.0.pop_front()?;
        word(store.frame, store.index).store(store.value, Ordering::Relaxed);
        let lost = (!is_held(store.frame)).then_some(store.frame);
        Some((store.seen, lost))
    }
}

/// Stores a word of a frame that this CPU has just translated an address to.
pub fn put(frame: Frame, index: usize, value: u64, seen: Seen) {
    let full = with(|state| {
        let stores = &mut state.cpus.borrow_mut()[state.here.get()].stores.0;
        stores.push_back(Store {
            frame,
            index,
            value,
            seen,
        });
        stores.len() > ROOM
    });
    if full {
        drain_one();
    }
}

/// What this CPU reads in a word of a frame: its own last store there, or memory.
pub fn get(frame: Frame, index: usize) -> u64 {
    let own = with(|state| {
        let stores = &state.cpus.borrow()[state.here.get()].stores.0;
        let mut newest_first = stores.iter().rev();
        newest_first
            .find(|store| (store.frame, store.index) == (frame, index))
            .map(|store| store.value)
    });
    own.unwrap_or_else(|| word(frame, index).load(Ordering::Relaxed))
}

/// Takes all stores of this CPU to memory, as entering the kernel does, or MFENCE.
pub fn drain() {
    while drain_one() {}
}

fn drain_one() -> bool {
    let drained = with(|state| state.cpus.borrow_mut()[state.here.get()].stores.drain_one());
    let Some((seen, lost)) = drained else {
        return false;
    };
    assert!(lost.is_none(), "M2: a store to {lost:?}, which is free");
    seen();
    true
}
