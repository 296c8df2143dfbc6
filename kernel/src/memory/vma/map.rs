//! What a program has mapped where: VMAs of virtual memory, apart from the tables.
//!
//! The tables hold what is there already; a VMA says what may be there. The map is
//! shared by `fork` and copied by the first of the two that changes it.

use crate::arch::FRAME_SIZE;
use crate::arch::level::USER_END;
use crate::memory::vma::vm_area::{Protection, Vma, VmaFlags};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// The most VMAs of one address space, as Linux's vm.max_map_count.
const MAX_VMAS: usize = 65530;
/// No page is mapped below this address unless it is asked for by name, as Linux's
/// vm.mmap_min_addr.
pub const LOWEST: usize = 0x10000;

/// Free bytes below a VMA that grows: nothing is placed there, and it does not grow nearer
/// than that to another VMA, as Linux's stack_guard_gap.
pub const GUARD_GAP: usize = 256 * FRAME_SIZE;

/// All VMAs of an address space. Cloning is O(1).
#[derive(Clone, Default)]
pub struct VmaMap {
    areas: Arc<BTreeMap<usize, Vma>>,
    totals: Totals,
}

/// Pages in the VMAs of some kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// All.
    pub all: usize,
    /// What counts for RLIMIT_DATA: private, may be written, and is no stack.
    pub data: usize,
    /// Locked ones.
    pub locked: usize,
    /// Those that a fork treats in some way of its own.
    pub of_fork: usize,
}

impl Totals {
    /// The pages of one VMA.
    pub fn of(vma: &Vma) -> Totals {
        let pages = vma.pages();
        let pages_if = |counts| if counts { pages } else { 0 };
        Totals {
            all: pages,
            data: pages_if(vma.is_data()),
            locked: pages_if(vma.flags.contains(VmaFlags::LOCKED)),
            of_fork: pages_if(vma.flags.intersects(VmaFlags::FORK_MASK)),
        }
    }

    /// Both together.
    pub fn plus(self, other: Totals) -> Totals {
        Totals {
            all: self.all + other.all,
            data: self.data + other.data,
            locked: self.locked + other.locked,
            of_fork: self.of_fork + other.of_fork,
        }
    }

    /// What is left without those of `other`, which are part of it.
    pub fn minus(self, other: Totals) -> Totals {
        Totals {
            all: self.all - other.all,
            data: self.data - other.data,
            locked: self.locked - other.locked,
            of_fork: self.of_fork - other.of_fork,
        }
    }
}

/// Too many VMAs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyVmas;

impl VmaMap {
    /// The VMA that contains the address.
    pub fn find(&self, address: usize) -> Option<&Vma> {
        self.areas
            .range(..=address)
            .next_back()
            .map(|(_, vma)| vma)
            .filter(|vma| address < vma.end)
    }

    /// The first VMA that begins at the address or above.
    pub fn first_from(&self, address: usize) -> Option<&Vma> {
        self.areas.range(address..).next().map(|(_, vma)| vma)
    }

    /// The last VMA that begins below the address.
    pub fn last_below(&self, address: usize) -> Option<&Vma> {
        self.areas.range(..address).next_back().map(|(_, vma)| vma)
    }

    /// How many VMAs there are.
    pub fn count(&self) -> usize {
        self.areas.len()
    }

    /// All VMAs, from the lowest up.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.areas.values()
    }

    /// The VMAs that overlap the range.
    pub fn overlapping(&self, start: usize, end: usize) -> impl Iterator<Item = &Vma> {
        let first = self.find(start).map_or(start, |vma| vma.start);
        self.areas.range(first..end).map(|(_, vma)| vma)
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

    /// Whether a change that splits VMAs and adds one is still allowed.
    pub fn has_room(&self) -> Result<(), TooManyVmas> {
        if self.areas.len() + 2 < MAX_VMAS {
            Ok(())
        } else {
            Err(TooManyVmas)
        }
    }

    /// Adds a VMA where nothing is mapped, and joins it to neighbours that continue it.
    pub fn insert(&mut self, mut vma: Vma) {
        debug_assert!(self.is_free(vma.start, vma.end));
        self.totals = self.totals.plus(Totals::of(&vma));
        let areas = Arc::make_mut(&mut self.areas);
        if let Some((&start, before)) = areas.range(..vma.start).next_back()
            && before.joins(&vma)
        {
            vma = Vma {
                start,
                backing: before.backing.clone(),
                ..vma
            };
        }
        if let Some(after) = areas.get(&vma.end)
            && vma.joins(after)
        {
            let key = vma.end;
            vma.end = after.end;
            areas.remove(&key);
        }
        areas.insert(vma.start, vma);
    }

    /// Takes out what is in the range, cutting VMAs that reach beyond it, and at most so
    /// many VMAs. Returns how far it came.
    pub fn remove_some(&mut self, start: usize, end: usize, most: usize) -> usize {
        if self.is_free(start, end) {
            return end;
        }
        self.cut(start, end);
        let mut at = start;
        for _ in 0..most {
            match self.take_first(at, end) {
                Some(vma) if vma.end < end => at = vma.end,
                _ => return end,
            }
        }
        at
    }

    /// Changes the VMAs in the range, cutting those that reach beyond it, and joins those that
    /// continue each other then. None moves.
    pub fn change(&mut self, start: usize, end: usize, change: impl Fn(&mut Vma)) {
        self.cut(start, end);
        let areas = Arc::make_mut(&mut self.areas);
        for vma in areas.range_mut(start..end).map(|(_, vma)| vma) {
            let before = Totals::of(vma);
            change(vma);
            self.totals = self.totals.minus(before).plus(Totals::of(vma));
        }
        join(areas, start, end);
    }

    fn cut(&mut self, start: usize, end: usize) {
        let areas = Arc::make_mut(&mut self.areas);
        cut_at(areas, start);
        cut_at(areas, end);
    }

    /// Takes out the first VMA that begins in the range.
    fn take_first(&mut self, start: usize, end: usize) -> Option<Vma> {
        let areas = Arc::make_mut(&mut self.areas);
        let first = areas.range(start..end).next().map(|(&first, _)| first)?;
        let vma = areas.remove(&first)?;
        self.totals = self.totals.minus(Totals::of(&vma));
        Some(vma)
    }

    /// The first VMA in the range that has one of these flags.
    pub fn first_with(&self, flags: VmaFlags, start: usize, end: usize) -> Option<&Vma> {
        self.overlapping(start, end)
            .find(|vma| vma.flags.intersects(flags))
    }

    /// Whether a fork has to look at the VMAs one by one.
    pub fn concern_fork(&self) -> bool {
        self.totals.of_fork != 0
    }

    /// Bytes of the kernel's heap that the next change takes, at the most: all VMAs have
    /// to be copied if another address space has the same map since a fork.
    pub fn cost_of_change(&self) -> usize {
        // A node of the tree may be half empty.
        const ENTRY: usize = 2 * (size_of::<usize>() + size_of::<Vma>());
        if Arc::strong_count(&self.areas) > 1 {
            self.areas.len() * ENTRY
        } else {
            0
        }
    }

    /// A free range of `length` bytes, the highest one that ends at or below `top` and keeps
    /// its distance from VMAs that grow.
    pub fn find_free(&self, length: usize, top: usize) -> Option<usize> {
        let above = self.first_from(top);
        let mut end = above.map_or(top, |vma| top.min(vma.border()));
        for vma in self.areas.range(..top).rev().map(|(_, vma)| vma) {
            if end
                .checked_sub(length)
                .is_some_and(|start| start >= vma.end)
            {
                break;
            }
            end = end.min(vma.border());
        }
        end.checked_sub(length).filter(|&start| start >= LOWEST)
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
            .map(|vma| Totals::of(&vma.part(vma.start.max(start), vma.end.min(end))))
            .fold(Totals::default(), Totals::plus)
    }
}

/// Makes two VMAs of the one that contains the address, if it does not begin there.
fn cut_at(areas: &mut BTreeMap<usize, Vma>, address: usize) {
    let Some((_, vma)) = areas.range_mut(..address).next_back() else {
        return;
    };
    if vma.end > address {
        let tail = vma.part(address, vma.end);
        vma.end = address;
        areas.insert(address, tail);
    }
}

/// Joins VMAs that continue each other, from the one that ends where the range begins to the one
/// that begins where it ends.
fn join(areas: &mut BTreeMap<usize, Vma>, start: usize, end: usize) {
    let mut upper = end;
    while let Some((below, above)) = last_seam(areas, start, upper) {
        if let Some(gone) = areas.remove(&above)
            && let Some(vma) = areas.get_mut(&below)
        {
            vma.end = gone.end;
        }
        upper = below;
    }
}

/// The last two VMAs, by their starts, of which one continues the other, at a place from `start`
/// to `end`.
fn last_seam(areas: &BTreeMap<usize, Vma>, start: usize, end: usize) -> Option<(usize, usize)> {
    // Not the kind of range that `find` uses, which is inlined there as long as nobody else has it:
    // each fault goes that way.
    let mut downwards = areas.range(..end + 1).rev().map(|(_, vma)| vma);
    let mut above = downwards.next()?;
    while above.start >= start {
        let below = downwards.next()?;
        if below.joins(above) {
            return Some((below.start, above.start));
        }
        above = below;
    }
    None
}

/// The end of `length` bytes from `start`, when both are page-aligned, not empty, and in
/// a user program's reach.
pub fn checked_end(start: usize, length: usize) -> Option<usize> {
    let length = length.checked_next_multiple_of(FRAME_SIZE)?;
    let end = start.checked_add(length)?;
    (start.is_multiple_of(FRAME_SIZE) && length != 0 && end <= USER_END).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::vma::vm_area::Backing;
    use alloc::vec::Vec;

    fn area(start: usize, end: usize) -> Vma {
        Vma {
            start,
            end,
            protection: Protection::READ,
            allowed: Protection::all(),
            backing: Backing::Anonymous,
            flags: VmaFlags::empty(),
        }
    }

    fn ranges(map: &VmaMap) -> Vec<(usize, usize)> {
        map.iter().map(|vma| (vma.start, vma.end)).collect()
    }

    #[test]
    fn neighbours_join() {
        let mut map = VmaMap::default();
        map.insert(area(0x1000, 0x2000));
        map.insert(area(0x3000, 0x4000));
        map.insert(area(0x2000, 0x3000));
        assert_eq!(ranges(&map), [(0x1000, 0x4000)]);
    }

    #[test]
    fn removing_the_middle_leaves_both_ends() {
        let mut map = VmaMap::default();
        map.insert(area(0x1000, 0x5000));
        let copy = map.clone();
        assert_eq!(map.remove_some(0x2000, 0x3000, 9), 0x3000);
        assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x3000, 0x5000)]);
        assert_eq!(
            ranges(&copy),
            [(0x1000, 0x5000)],
            "the other holder of the map sees no change"
        );
        assert!(map.covers(0x3000, 0x5000) && !map.covers(0x1000, 0x4000));
    }

    #[test]
    fn protecting_cuts_at_the_ends_and_joins_in_between() {
        let mut map = VmaMap::default();
        map.insert(area(0x1000, 0x3000));
        map.insert(area(0x4000, 0x6000));
        map.insert(Vma {
            protection: Protection::WRITE,
            ..area(0x3000, 0x4000)
        });
        map.change(0x2000, 0x5000, |vma| vma.protection = Protection::EXECUTE);
        assert_eq!(
            ranges(&map),
            [(0x1000, 0x2000), (0x2000, 0x5000), (0x5000, 0x6000)]
        );
        map.change(0x1000, 0x6000, |vma| vma.protection = Protection::READ);
        assert_eq!(ranges(&map), [(0x1000, 0x6000)]);
    }

    #[test]
    fn the_highest_gap_is_found() {
        let mut map = VmaMap::default();
        map.insert(area(0x80000, 0x90000));
        assert_eq!(map.find_free(0x1000, 0xa0000), Some(0x9f000));
        assert_eq!(map.find_free(0x20000, 0xa0000), Some(0x60000));
        assert_eq!(map.find_free(0x80000, 0xa0000), None);
    }
    #[test]
    fn nothing_is_placed_close_below_what_grows() {
        let mut map = VmaMap::default();
        let stack = 0x4000_0000;
        map.insert(Vma {
            flags: VmaFlags::GROWS_DOWN,
            ..area(stack, stack + 0x1000)
        });
        let lowest = stack - GUARD_GAP;
        for top in [stack + 0x1000, stack, stack - 0x1000] {
            assert_eq!(
                map.find_free(0x1000, top),
                Some(lowest - 0x1000),
                "{top:#x}"
            );
        }
        assert!(map.has_place(lowest - 0x1000, lowest));
        assert!(!map.has_place(lowest, lowest + 0x1000));
        assert!(map.has_place(stack + 0x1000, stack + 0x2000));
    }

    #[test]
    fn the_totals_follow_every_change() {
        let mut map = VmaMap::default();
        let recount = |map: &VmaMap| {
            map.iter()
                .map(Totals::of)
                .fold(Totals::default(), Totals::plus)
        };
        map.insert(area(0x1000, 0x5000));
        map.insert(area(0x5000, 0x9000));
        map.change(0x2000, 0x7000, |vma| vma.protection = Protection::WRITE);
        assert_eq!((map.totals().all, map.totals().data), (8, 5));
        map.change(0x3000, 0x4000, |vma| vma.flags = VmaFlags::LOCKED);
        map.remove_some(0x1000, 0x3000, 9);
        assert_eq!(map.totals(), recount(&map));
        assert_eq!(map.totals_within(0x3000, 0x5000).locked, 1);
        map.remove_some(0, 0x10000, 99);
        assert_eq!(map.totals(), Totals::default());
    }
}
