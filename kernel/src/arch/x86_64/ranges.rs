//! A sorted list of ranges of physical memory with a fixed capacity: what is
//! free, while there is no heap.

use crate::arch::interface::PhysRange;

/// Memory maps of real machines have a few dozen entries.
const CAPACITY: usize = 128;
const PAGE: u64 = 4096;

/// Page-aligned ranges, sorted, without overlaps, not touching each other.
///
/// A range that does not fit any more is left out: the memory stays unused.
pub struct Ranges {
    ranges: [PhysRange; CAPACITY],
    count: usize,
}

impl Ranges {
    /// No memory.
    pub const fn new() -> Ranges {
        Ranges {
            ranges: [PhysRange { start: 0, end: 0 }; CAPACITY],
            count: 0,
        }
    }

    /// The ranges.
    pub fn as_slice(&self) -> &[PhysRange] {
        &self.ranges[..self.count]
    }

    /// Adds the whole pages of `range`, which may touch or overlap what is there.
    pub fn add(&mut self, range: PhysRange) {
        let mut start = range.start.next_multiple_of(PAGE);
        let mut end = range.end / PAGE * PAGE;
        if start >= end {
            return;
        }
        // Ranges first..last touch the new one and become part of it.
        let old = self.as_slice();
        let first = old.partition_point(|r| r.end < start);
        let last = old.partition_point(|r| r.start <= end);
        if first < last {
            start = start.min(old[first].start);
            end = end.max(old[last - 1].end);
        }
        self.replace(first, last, &[PhysRange { start, end }]);
    }

    /// Takes out every page that `range` touches.
    pub fn remove(&mut self, range: PhysRange) {
        let start = range.start / PAGE * PAGE;
        let end = range.end.next_multiple_of(PAGE);
        if start >= end {
            return;
        }
        let old = self.as_slice();
        let first = old.partition_point(|r| r.end <= start);
        let last = old.partition_point(|r| r.start < end);
        if first >= last {
            return;
        }
        let below = PhysRange {
            start: old[first].start,
            end: start,
        };
        let above = PhysRange {
            start: end,
            end: old[last - 1].end,
        };
        match (below.start < below.end, above.start < above.end) {
            (true, true) => self.replace(first, last, &[below, above]),
            (true, false) => self.replace(first, last, &[below]),
            (false, true) => self.replace(first, last, &[above]),
            (false, false) => self.replace(first, last, &[]),
        }
    }

    /// Takes the lowest page at or above `from`.
    pub fn take_page(&mut self, from: u64) -> Option<u64> {
        let index = self.as_slice().partition_point(|r| r.end <= from);
        let start = self.as_slice().get(index)?.start.max(from);
        self.remove(PhysRange {
            start,
            end: start + PAGE,
        });
        Some(start)
    }

    /// Puts `new` in the place of the ranges first..last.
    fn replace(&mut self, first: usize, last: usize, new: &[PhysRange]) {
        let room = CAPACITY - (self.count - (last - first));
        let new = &new[..new.len().min(room)];
        let count = first + new.len() + (self.count - last);
        self.ranges.copy_within(last..self.count, first + new.len());
        self.ranges[first..first + new.len()].copy_from_slice(new);
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ranges: &Ranges) -> Vec<(u64, u64)> {
        let pages = |r: &PhysRange| (r.start / PAGE, r.end / PAGE);
        ranges.as_slice().iter().map(pages).collect()
    }

    fn pages(start: u64, end: u64) -> PhysRange {
        PhysRange {
            start: start * PAGE,
            end: end * PAGE,
        }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Ranges::new();
        ranges.add(pages(10, 20));
        ranges.add(pages(30, 40));
        ranges.add(pages(0, 5));
        assert_eq!(list(&ranges), [(0, 5), (10, 20), (30, 40)]);
        ranges.add(pages(20, 30));
        assert_eq!(list(&ranges), [(0, 5), (10, 40)]);
        ranges.add(pages(3, 50));
        assert_eq!(list(&ranges), [(0, 50)]);
    }

    #[test]
    fn only_whole_pages_are_free() {
        let mut ranges = Ranges::new();
        ranges.add(PhysRange {
            start: 1,
            end: 3 * PAGE - 1,
        });
        assert_eq!(list(&ranges), [(1, 2)]);
        ranges.add(PhysRange {
            start: 5 * PAGE + 1,
            end: 6 * PAGE - 1,
        });
        assert_eq!(list(&ranges), [(1, 2)]);
    }

    #[test]
    fn every_page_that_a_removed_range_touches_goes() {
        let mut ranges = Ranges::new();
        ranges.add(pages(0, 100));
        ranges.remove(PhysRange {
            start: 10 * PAGE + 1,
            end: 11 * PAGE + 1,
        });
        assert_eq!(list(&ranges), [(0, 10), (12, 100)]);
        ranges.remove(pages(0, 10));
        ranges.remove(pages(90, 200));
        assert_eq!(list(&ranges), [(12, 90)]);
        ranges.remove(pages(0, 200));
        assert_eq!(list(&ranges), []);
    }

    #[test]
    fn pages_are_taken_from_the_lowest_place_allowed() {
        let mut ranges = Ranges::new();
        ranges.add(pages(0, 3));
        ranges.add(pages(8, 10));
        assert_eq!(ranges.take_page(2 * PAGE), Some(2 * PAGE));
        assert_eq!(ranges.take_page(2 * PAGE), Some(8 * PAGE));
        assert_eq!(ranges.take_page(2 * PAGE), Some(9 * PAGE));
        assert_eq!(ranges.take_page(2 * PAGE), None);
        assert_eq!(list(&ranges), [(0, 2)]);
    }

    #[test]
    fn a_full_list_loses_memory_and_nothing_else() {
        let mut ranges = Ranges::new();
        for i in 0..CAPACITY as u64 + 10 {
            ranges.add(pages(2 * i, 2 * i + 1));
        }
        assert_eq!(ranges.as_slice().len(), CAPACITY);
        ranges.remove(pages(0, 1));
        assert_eq!(ranges.as_slice().len(), CAPACITY - 1);
        assert_eq!(ranges.as_slice()[0], pages(2, 3));
    }
}
