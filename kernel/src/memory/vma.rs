//! What a program has mapped where: areas of virtual memory, apart from the tables.
//!
//! The tables hold what is there already; an area says what may be there. The map is
//! shared by `fork` and copied by the first of the two that changes it.

use super::FRAME_SIZE;
use super::object::Object;
use crate::arch::level::USER_END;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use bitflags::bitflags;

bitflags! {
    /// What a program may do with an area.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Protection: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

/// Where the pages of an area come from.
#[derive(Clone)]
pub enum Backing {
    /// Fresh zeroes, private.
    Anonymous,
    /// The contents of an object from this byte on, private: a write makes a copy.
    Private(Arc<Object>, u64),
    /// The contents of an object from this byte on, shared by all who map it.
    Shared(Arc<Object>, u64),
}

impl Backing {
    /// The same contents, seen from `bytes` further on.
    fn advanced(&self, bytes: usize) -> Backing {
        match self {
            Backing::Anonymous => Backing::Anonymous,
            Backing::Private(object, offset) => {
                Backing::Private(object.clone(), offset + bytes as u64)
            }
            Backing::Shared(object, offset) => {
                Backing::Shared(object.clone(), offset + bytes as u64)
            }
        }
    }

    /// Whether writes are seen by all who map it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Backing::Shared(..))
    }

    /// Where in the object it begins, in bytes.
    pub fn offset(&self) -> u64 {
        match self {
            Backing::Anonymous => 0,
            Backing::Private(_, offset) | Backing::Shared(_, offset) => *offset,
        }
    }

    fn continues_as(&self, bytes: usize, other: &Backing) -> bool {
        match (self, other) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (Backing::Private(a, from), Backing::Private(b, to))
            | (Backing::Shared(a, from), Backing::Shared(b, to)) => {
                Arc::ptr_eq(a, b) && from + bytes as u64 == *to
            }
            _ => false,
        }
    }
}

/// One area: whole pages, `start` included, `end` not.
#[derive(Clone)]
pub struct Vma {
    /// The first address.
    pub start: usize,
    /// One past the last address.
    pub end: usize,
    /// What the program may do there.
    pub protection: Protection,
    /// What it may be allowed to do there by a later change of rights.
    pub allowed: Protection,
    /// Where its pages come from.
    pub backing: Backing,
}

impl Vma {
    /// Bytes.
    pub fn size(&self) -> usize {
        self.end - self.start
    }

    fn cut(&self, start: usize, end: usize) -> Vma {
        Vma {
            start,
            end,
            protection: self.protection,
            allowed: self.allowed,
            backing: self.backing.advanced(start - self.start),
        }
    }
}

/// The most areas of one address space, as Linux's vm.max_map_count.
const MAX_AREAS: usize = 65530;
/// No page is mapped below this address unless it is asked for by name, as Linux's
/// vm.mmap_min_addr.
pub const LOWEST: usize = 0x10000;

/// All areas of an address space. Cloning is O(1).
#[derive(Clone, Default)]
pub struct VmaMap {
    areas: Arc<BTreeMap<usize, Vma>>,
}

/// Too many areas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyAreas;

impl VmaMap {
    /// The area that contains the address.
    pub fn find(&self, address: usize) -> Option<&Vma> {
        self.areas
            .range(..=address)
            .next_back()
            .map(|(_, vma)| vma)
            .filter(|vma| address < vma.end)
    }

    /// How many areas there are.
    pub fn count(&self) -> usize {
        self.areas.len()
    }

    /// All areas, from the lowest up.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.areas.values()
    }

    /// The areas that overlap the range.
    pub fn overlapping(&self, start: usize, end: usize) -> impl Iterator<Item = &Vma> {
        let first = self.find(start).map_or(start, |vma| vma.start);
        self.areas.range(first..end).map(|(_, vma)| vma)
    }

    /// Whether the range is mapped without a gap.
    pub fn covers(&self, start: usize, end: usize) -> bool {
        let mut reached = start;
        for vma in self.overlapping(start, end) {
            if vma.start > reached {
                return false;
            }
            reached = vma.end;
        }
        reached >= end
    }

    /// Whether these rights may be given to all areas in the range.
    pub fn allow(&self, start: usize, end: usize, protection: Protection) -> bool {
        self.overlapping(start, end)
            .all(|vma| vma.allowed.contains(protection))
    }

    /// Whether a change that splits areas and adds one is still allowed.
    pub fn has_room(&self) -> Result<(), TooManyAreas> {
        if self.areas.len() + 2 < MAX_AREAS {
            Ok(())
        } else {
            Err(TooManyAreas)
        }
    }

    /// Adds an area where nothing is mapped, and joins it to neighbours that continue it.
    pub fn insert(&mut self, mut vma: Vma) {
        debug_assert!(self.overlapping(vma.start, vma.end).next().is_none());
        let areas = Arc::make_mut(&mut self.areas);
        if let Some((&start, before)) = areas.range(..vma.start).next_back()
            && joins(before, &vma)
        {
            vma = Vma {
                start,
                backing: before.backing.clone(),
                ..vma
            };
        }
        if let Some(after) = areas.get(&vma.end)
            && joins(&vma, after)
        {
            let key = vma.end;
            vma.end = after.end;
            areas.remove(&key);
        }
        areas.insert(vma.start, vma);
    }

    /// Takes out everything in the range, cutting areas that reach beyond it.
    pub fn remove(&mut self, start: usize, end: usize) {
        if self.is_free(start, end) {
            return;
        }
        let areas = Arc::make_mut(&mut self.areas);
        cut_at(areas, start);
        cut_at(areas, end);
        // One by one: a list of them all might be more than the kernel's heap can give.
        while let Some((&first, _)) = areas.range(start..end).next() {
            areas.remove(&first);
        }
    }

    /// Changes what the program may do with the areas in the range, cutting those that
    /// reach beyond it.
    pub fn protect(&mut self, start: usize, end: usize, protection: Protection) {
        let areas = Arc::make_mut(&mut self.areas);
        cut_at(areas, start);
        cut_at(areas, end);
        let mut at = start;
        loop {
            let areas = Arc::make_mut(&mut self.areas);
            let next = areas.range(at..end).next().map(|(&first, _)| first);
            let Some(vma) = next.and_then(|first| areas.remove(&first)) else {
                return;
            };
            at = vma.end;
            self.insert(Vma { protection, ..vma });
        }
    }

    /// Bytes of the kernel's heap that the next change takes, at the most: all areas have
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

    /// A free range of `length` bytes, the highest one that ends at or below `top`.
    pub fn find_free(&self, length: usize, top: usize) -> Option<usize> {
        let mut end = top;
        for vma in self.areas.range(..top).rev().map(|(_, vma)| vma) {
            if end
                .checked_sub(length)
                .is_some_and(|start| start >= vma.end)
            {
                break;
            }
            end = end.min(vma.start);
        }
        end.checked_sub(length).filter(|&start| start >= LOWEST)
    }

    /// Whether nothing is mapped in the range.
    pub fn is_free(&self, start: usize, end: usize) -> bool {
        self.overlapping(start, end).next().is_none()
    }

    /// Pages in all areas.
    pub fn pages(&self) -> usize {
        self.iter().map(|vma| vma.size() / FRAME_SIZE).sum()
    }
}

/// Makes two areas of the one that contains the address, if it does not begin there.
fn cut_at(areas: &mut BTreeMap<usize, Vma>, address: usize) {
    let Some((_, vma)) = areas.range_mut(..address).next_back() else {
        return;
    };
    if vma.end > address {
        let tail = vma.cut(address, vma.end);
        vma.end = address;
        areas.insert(address, tail);
    }
}

fn joins(before: &Vma, after: &Vma) -> bool {
    before.end == after.start
        && before.protection == after.protection
        && before.allowed == after.allowed
        && before.backing.continues_as(before.size(), &after.backing)
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
    use alloc::vec::Vec;

    fn area(start: usize, end: usize) -> Vma {
        Vma {
            start,
            end,
            protection: Protection::READ,
            allowed: Protection::all(),
            backing: Backing::Anonymous,
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
        map.remove(0x2000, 0x3000);
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
        map.protect(0x2000, 0x5000, Protection::EXECUTE);
        assert_eq!(
            ranges(&map),
            [(0x1000, 0x2000), (0x2000, 0x5000), (0x5000, 0x6000)]
        );
        map.protect(0x1000, 0x6000, Protection::READ);
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
}
