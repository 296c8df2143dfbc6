//! Samples of one metric, and what they come to.
//!
//! They are kept in memory that forks share: storing one must not cost the measuring process
//! a copy of the page after each fork, and children can leave theirs there.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::testing::{Explain, Failure};

use crate::clock::PARTS;

/// How many samples a series holds; what comes after is not kept.
pub const CAPACITY: usize = 32 * 1024;

#[repr(C)]
struct Kept {
    count: AtomicUsize,
    samples: [AtomicU64; CAPACITY],
}

/// The samples of one metric.
#[derive(Clone, Copy)]
pub struct Series {
    kept: &'static Kept,
    overhead: u64,
}

impl Series {
    /// An empty one. `overhead` ticks are taken off each sample. It stays for the program's life.
    pub fn new(overhead: u64) -> Result<Self, Failure> {
        let size = size_of::<Kept>().next_multiple_of(PAGE);
        let start = memory::map(size, Protection::READ_WRITE, Sharing::Shared).or_fail("mmap")?;
        // SAFETY: fresh zeroed memory of that size, aligned to a page, never unmapped; all in it
        // is atomic.
        let kept = unsafe { &*(start as *const Kept) };
        // Not while something is measured.
        for page in kept.samples.chunks(PAGE / size_of::<AtomicU64>()) {
            page[0].store(0, Relaxed);
        }
        Ok(Self { kept, overhead })
    }

    /// Keeps a sample in ticks.
    pub fn push(&self, ticks: u64) {
        self.push_batch(ticks, 1);
    }

    /// Keeps a sample of so many operations in one go.
    pub fn push_batch(&self, ticks: u64, operations: u64) {
        let parts = ticks.saturating_sub(self.overhead) * PARTS / operations.max(1);
        self.push_number(parts);
    }

    /// Keeps a number as it is.
    pub fn push_number(&self, number: u64) {
        // No other process counts at the same time: each series has one that fills it.
        let index = self.kept.count.fetch_add(1, Relaxed);
        if let Some(sample) = self.kept.samples.get(index) {
            sample.store(number, Relaxed);
        }
    }

    /// What the samples come to; `None` without any.
    pub fn summary(&self) -> Option<Summary> {
        let count = self.kept.count.load(Relaxed).min(CAPACITY);
        let samples = self.kept.samples.get(..count)?;
        // SAFETY: the process that filled the series reads it, and those that shared it are done; an
        // atomic has the layout of its number.
        let sorted =
            unsafe { core::slice::from_raw_parts_mut(samples.as_ptr() as *mut u64, count) };
        sorted.sort_unstable();
        let at = |per_mille: usize| {
            // Nearest rank: the smallest sample that so many are not above.
            let rank = (count * per_mille).div_ceil(1000).max(1);
            sorted.get(rank - 1).copied().unwrap_or(0)
        };
        let sum: u128 = sorted.iter().map(|sample| u128::from(*sample)).sum();
        let mean = sum.checked_div(count as u128)? as u64;
        Some(Summary {
            count,
            mean,
            quantiles: QUANTILES.map(|(_, per_mille)| at(per_mille)),
        })
    }
}

/// The quantiles that are reported, by name and in thousandths.
pub const QUANTILES: [(&str, usize); 10] = [
    ("min", 0),
    ("p10", 100),
    ("p25", 250),
    ("p50", 500),
    ("p75", 750),
    ("p90", 900),
    ("p95", 950),
    ("p99", 990),
    ("p999", 999),
    ("max", 1000),
];

/// What a series comes to, in the parts that samples are kept in.
pub struct Summary {
    pub count: usize,
    pub mean: u64,
    /// As [`QUANTILES`] names them.
    pub quantiles: [u64; QUANTILES.len()],
}

impl Summary {
    pub fn median(&self) -> u64 {
        self.quantiles[3]
    }

    pub fn p99(&self) -> u64 {
        self.quantiles[7]
    }
}
