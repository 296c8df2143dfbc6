//! `/proc/vmstat`: all counters, and how long things took.

use crate::memory::reclaim::reclaimer;
use crate::memory::stats::counters::{ALL, total};
use crate::memory::tlb::shootdown;

/// Everything for `/proc/vmstat`, by name: all counters, and how long things took, in
/// nanoseconds.
pub fn statistics() -> impl Iterator<Item = (&'static str, u64)> {
    let counted = ALL.iter().map(|&(counter, name)| (name, total(counter)));
    counted.chain([
        ("shootdown_latency_median_ns", shootdown::latency(50)),
        ("shootdown_latency_p99_ns", shootdown::latency(99)),
        ("retired_longest_ns", reclaimer::longest_retired()),
    ])
}
