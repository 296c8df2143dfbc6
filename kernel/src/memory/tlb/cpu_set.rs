//! A set of CPUs.

use crate::arch::CpuId;

/// A set of CPUs, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuSet(pub u64);

impl CpuSet {
    /// The set with one CPU in it.
    pub fn only(cpu: CpuId) -> CpuSet {
        CpuSet(1 << cpu.0)
    }

    /// Whether no CPU is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the CPU is in it.
    pub fn contains(self, cpu: CpuId) -> bool {
        self.0 & CpuSet::only(cpu).0 != 0
    }

    /// The same set without the CPU.
    pub fn without(self, cpu: CpuId) -> CpuSet {
        CpuSet(self.0 & !CpuSet::only(cpu).0)
    }

    /// The CPUs in it.
    pub fn iter(self) -> impl Iterator<Item = CpuId> {
        let mut left = self;
        core::iter::from_fn(move || {
            let first = CpuId(left.0.trailing_zeros() as usize);
            let found = !left.is_empty();
            found.then(|| {
                left = left.without(first);
                first
            })
        })
    }
}
