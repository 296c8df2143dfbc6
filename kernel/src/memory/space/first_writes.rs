//! The pages that an address space wrote first after its last fork: a guess at what it will
//! write after the next one (`eager_cow.rs`).

use crate::arch::level::page_of;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How many pages a fork copies eagerly at the most: mostly these are one of the stack and
/// one of data. Each is a guess, and costs a frame if it is wrong.
const MOST: usize = 2;

/// Addresses of pages.
pub(in crate::memory) type Pages = ArrayVec<usize, MOST>;

/// The pages that faults have copied first after the last fork. Relaxed: a guess.
#[derive(Default)]
pub(in crate::memory) struct FirstWrites {
    pub(super) pages: [AtomicUsize; MOST],
}

impl FirstWrites {
    /// A fault has copied this page.
    pub(in crate::memory) fn note(&self, address: usize) {
        let free = |page: &&AtomicUsize| page.load(Ordering::Relaxed) == 0;
        if let Some(place) = self.pages.iter().find(free) {
            // Another thread may do the same: one of the two is forgotten.
            place.store(page_of(address), Ordering::Relaxed);
        }
    }

    /// What is remembered from now on.
    pub(in crate::memory) fn keep(&self, pages: &Pages) {
        for (index, place) in self.pages.iter().enumerate() {
            let page = pages.get(index).copied().unwrap_or(0);
            place.store(page, Ordering::Relaxed);
        }
    }
}
