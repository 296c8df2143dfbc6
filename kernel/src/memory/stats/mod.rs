//! What the memory system has done: counters and histograms.

pub(in crate::memory) mod counters;
pub(in crate::memory) mod histogram;
