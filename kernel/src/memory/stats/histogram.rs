//! How long something takes, many times over: counters on a logarithmic scale, eight to
//! each power of two, so that any quantile is known to within a tenth or so.
//!
//! Each CPU has a row of its own and counts without a lock, as in `counters`.

use crate::arch;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// Each power of two is cut into so many parts, as a power of two.
const CUT: u32 = 3;
const PARTS: usize = 1 << CUT;
/// Values of so many bits and more share the last bucket: in nanoseconds, 18 minutes.
const BITS: u32 = 40;
const BUCKETS: usize = (BITS - CUT + 1) as usize * PARTS;

/// The distribution of a value.
pub(in crate::memory) struct Histogram {
    rows: Vec<CachePadded<Box<[AtomicU64]>>>,
}

impl Histogram {
    /// An empty one, with a row for each CPU.
    pub(in crate::memory) fn new() -> Histogram {
        let row = || CachePadded::new((0..BUCKETS).map(|_| AtomicU64::new(0)).collect());
        Histogram {
            rows: (0..arch::cpu_count()).map(|_| row()).collect(),
        }
    }

    /// Counts one value.
    pub(in crate::memory) fn record(&self, value: u64) {
        // Relaxed, and no read-modify-write: only this CPU writes its row, and nothing interrupts
        // it.
        let cell = &self.rows[arch::cpu().0][bucket(value)];
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The value below which `percent` of all lie; 0 if there are none.
    pub(in crate::memory) fn quantile(&self, percent: u64) -> u64 {
        let sum = |n: usize| -> u64 {
            let column = self.rows.iter().map(|row| row[n].load(Ordering::Relaxed));
            column.sum()
        };
        let total: u64 = (0..BUCKETS).map(sum).sum();
        let wanted = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = (0..BUCKETS).find(|&n| {
            seen += sum(n);
            seen >= wanted
        });
        found.map_or(0, middle)
    }
}

/// Where a value is counted.
fn bucket(value: u64) -> usize {
    if value < PARTS as u64 {
        return value as usize;
    }
    let magnitude = value.ilog2();
    if magnitude >= BITS {
        return BUCKETS - 1;
    }
    let part = (value >> (magnitude - CUT)) as usize % PARTS;
    (magnitude - CUT + 1) as usize * PARTS + part
}

/// The middle of the values that are counted there.
fn middle(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let shift = (bucket / PARTS - 1) as u32;
    let lowest = ((PARTS + bucket % PARTS) as u64) << shift;
    lowest + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    #[test]
    fn a_bucket_is_never_far_from_its_values() {
        for value in (0..1 << 20).chain((20..BITS).map(|n| (1 << n) + 12345)) {
            let told = middle(bucket(value));
            assert!(told.abs_diff(value) <= value / 16, "{value} as {told}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_all_cpus_together() {
        let _machine = sim::Machine::start(2, 64);
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(50), 0);
        (0..98).for_each(|_| histogram.record(1000));
        sim::on(1, || histogram.record(1_000_000));
        histogram.record(1_000_000);
        assert_eq!(histogram.quantile(50), middle(bucket(1000)));
        assert_eq!(histogram.quantile(98), middle(bucket(1000)));
        assert_eq!(histogram.quantile(99), middle(bucket(1_000_000)));
    }
}
