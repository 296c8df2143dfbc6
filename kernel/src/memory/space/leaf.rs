//! The bits of leaf entries, and the trace of their copies.

use crate::arch::Frame;
use crate::arch::paging::Bits;
use crate::memory::vma::vm_area::Protection;
use crate::trace::{self, Kind};

/// The bits of a leaf entry for a VMA, without the right to write. What must not be
/// touched at all is present, and holds its frame, but not for user mode.
pub(in crate::memory) fn leaf_bits(protection: Protection) -> Bits {
    let mut bits = Bits::PRESENT;
    bits.set(Bits::USER, !protection.is_empty());
    bits.set(Bits::NO_EXECUTE, !protection.contains(Protection::EXECUTE));
    bits
}

/// Records that a page was copied.
pub(in crate::memory) fn trace_copy(address: usize, from: Frame, to: Frame) {
    let (from, to) = (from.number(), to.number());
    trace::event(Kind::Copy, [address as u64, from.into(), to.into()]);
}
