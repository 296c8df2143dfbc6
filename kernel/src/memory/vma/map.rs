//! What a program has mapped where: VMAs of virtual memory, apart from the tables.
//!
//! The tables hold what is there already; an area says what may be there. The map is a persistent
//! tree (`tree`): a fork shares it, and a change copies one path of it. Looking is here, changing
//! in `change.rs`.

use crate::arch::FRAME_SIZE;
use crate::arch::level::USER_END;
use crate::memory::vma::dead_maps;
use crate::memory::vma::reservation::Nodes;
pub use crate::memory::vma::totals::Totals;
use crate::memory::vma::tree::{Span, Tree};
use crate::memory::vma::vm_area::{Protection, Vma, VmaFlags};

/// No page is mapped below this address unless it is asked for by name, as Linux's
/// vm.mmap_min_addr.
pub const LOWEST: usize = 0x10000;

/// Free bytes below a VMA that grows: nothing is placed there, and it does not grow nearer
/// than that to another VMA, as Linux's stack_guard_gap.
pub const GUARD_GAP: usize = 256 * FRAME_SIZE;

/// Areas in a node of the tree: as many as a `BTreeMap` has in one, which is enough for a small
/// program.
pub(super) const NODE: usize = 12;

/// All areas of an address space.
pub struct VmaMap {
    pub(super) areas: Tree<Vma, NODE>,
    pub(super) totals: Totals,
    /// Nodes with which areas can be taken away when memory is out (`reservation.rs`).
    pub(super) spare: Nodes,
}

impl Span for Vma {
    fn start(&self) -> usize {
        self.start
    }

    fn end(&self) -> usize {
        self.end
    }

    fn border(&self) -> usize {
        Vma::border(self)
    }
}

impl Default for VmaMap {
    fn default() -> VmaMap {
        VmaMap {
            areas: Tree::new(),
            totals: Totals::default(),
            spare: Nodes::new(),
        }
    }
}

impl VmaMap {
    /// The area that contains the address.
    #[inline]
    pub fn find(&self, address: usize) -> Option<&Vma> {
        let vma = self.areas.at_or_above(address);
        vma.filter(|vma| vma.start <= address)
    }

    /// The first VMA that begins at the address or above.
    pub fn first_from(&self, address: usize) -> Option<&Vma> {
        self.areas.first_from(address)
    }

    /// The last VMA that begins below the address.
    pub fn last_below(&self, address: usize) -> Option<&Vma> {
        self.areas.last_below(address)
    }

    /// How many VMAs there are.
    pub fn count(&self) -> usize {
        self.areas.len()
    }

    /// All VMAs, from the lowest up.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.areas.iter_from(0)
    }

    /// The VMAs that overlap the range.
    pub fn overlapping(&self, start: usize, end: usize) -> impl Iterator<Item = &Vma> {
        let areas = self.areas.iter_from(start);
        areas.take_while(move |vma| vma.start < end)
    }

    /// Whether the range is mapped without a gap.
    pub fn covers(&self, start: usize, end: usize) -> bool {
        self.covered_until(start, end) == end
    }

    /// Up to where the range is mapped without a gap.
    pub fn covered_until(&self, start: usize, end: usize) -> usize {
        let mut reached = start;
        for vma in self.overlapping(start, end) {
            if vma.start > reached {
                break;
            }
            reached = vma.end.min(end);
        }
        reached
    }

    /// Where the VMA with that number in the range ends, or the range if there are not so
    /// many.
    pub fn end_of_nth(&self, number: usize, start: usize, end: usize) -> usize {
        if self.count() <= number {
            return end;
        }
        let nth = self.overlapping(start, end).nth(number);
        nth.map_or(end, |vma| vma.end.min(end))
    }

    /// Up to where the range is mapped without a gap by VMAs that may be given these rights.
    pub fn allowed_until(&self, start: usize, end: usize, protection: Protection) -> usize {
        let mut reached = start;
        for vma in self.overlapping(start, end) {
            if vma.start > reached || !vma.allowed.contains(protection) {
                break;
            }
            reached = vma.end.min(end);
        }
        reached
    }

    /// The first area in the range that has one of these flags.
    pub fn first_with(&self, flags: VmaFlags, start: usize, end: usize) -> Option<&Vma> {
        self.overlapping(start, end)
            .find(|vma| vma.flags.intersects(flags))
    }

    /// Whether a fork has to look at the VMAs one by one.
    pub fn concern_fork(&self) -> bool {
        self.totals.of_fork != 0
    }

    /// A free range of `length` bytes, the highest one that ends at or below `top` and keeps
    /// its distance from an area that grows.
    pub fn find_free(&self, length: usize, top: usize) -> Option<usize> {
        let end = self.areas.highest_gap(length, LOWEST, top)?;
        end.checked_sub(length)
    }

    /// Whether a VMA may be placed there without being told to: nothing is there, and it
    /// keeps its distance from a VMA that grows.
    pub fn has_place(&self, start: usize, end: usize) -> bool {
        let above = self.first_from(start);
        self.is_free(start, end) && above.is_none_or(|vma| vma.border() >= end)
    }

    /// Whether nothing is mapped in the range.
    pub fn is_free(&self, start: usize, end: usize) -> bool {
        self.overlapping(start, end).next().is_none()
    }

    /// Pages in the VMAs.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Pages in the part of the VMAs that lies in the range.
    pub fn totals_within(&self, start: usize, end: usize) -> Totals {
        self.overlapping(start, end)
            .map(|vma| Totals::of_part(vma, vma.end.min(end) - vma.start.max(start)))
            .fold(Totals::default(), Totals::plus)
    }
}

/// The end of `length` bytes from `start`, when both are page-aligned, not empty, and in
/// a user program's reach.
pub fn checked_end(start: usize, length: usize) -> Option<usize> {
    let length = length.checked_next_multiple_of(FRAME_SIZE)?;
    let end = start.checked_add(length)?;
    (start.is_multiple_of(FRAME_SIZE) && length != 0 && end <= USER_END).then_some(end)
}

impl Drop for VmaMap {
    /// A large tree is dropped a slice at a time.
    fn drop(&mut self) {
        if self.areas.height() > 2 {
            dead_maps::put(self.areas.tear_down());
        }
    }
}
