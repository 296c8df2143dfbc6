//! Pages of memory with patterns in them.
//!
//! All access is volatile and by address: what is looked at is what the kernel does with the
//! pages, and the compiler must not reason about it.

use core::sync::atomic::AtomicU64;

use crate::ensure;
use crate::random::mix;
use crate::sys::memory::{self, PAGE, Protection, Sharing};
use crate::testing::pagemap::{self, Frame};
use crate::testing::{Explain, Failure, Verdict};

/// Words in a page.
pub const WORDS: usize = PAGE / size_of::<u64>();

/// A mapping, given back at the end.
pub struct Mapping {
    start: usize,
    pages: usize,
}

impl Mapping {
    /// Fresh private pages.
    pub fn private(pages: usize) -> Result<Self, Failure> {
        Self::map(pages, Sharing::Private)
    }

    /// Fresh pages that a fork shares.
    pub fn shared(pages: usize) -> Result<Self, Failure> {
        Self::map(pages, Sharing::Shared)
    }

    fn map(pages: usize, sharing: Sharing) -> Result<Self, Failure> {
        let start = memory::map(pages * PAGE, Protection::READ_WRITE, sharing).or_fail("mmap")?;
        Ok(Self { start, pages })
    }

    /// Fresh private pages at a place that must be free: far from everything that the kernel
    /// hands out by itself.
    pub fn private_at(start: usize, pages: usize) -> Result<Self, Failure> {
        let (protection, sharing) = (Protection::READ_WRITE, Sharing::Private);
        // SAFETY: the cases choose places where no program of ours has anything.
        let mapped = unsafe { memory::map_at(start, pages * PAGE, protection, sharing) };
        let mapped = mapped.or_fail("mmap at a fixed place")?;
        let area = Self {
            start: mapped,
            pages,
        };
        match mapped == start {
            true => Ok(area),
            false => Err(Failure::new(format_args!(
                "mmap put {start:#x} at {mapped:#x}"
            ))),
        }
    }

    pub fn pages(&self) -> usize {
        self.pages
    }

    /// The address of a page. Panics beyond the end: that is the test's own fault.
    pub fn page(&self, page: usize) -> usize {
        assert!(page < self.pages);
        self.start + page * PAGE
    }

    fn word(&self, page: usize, word: usize) -> *mut u64 {
        assert!(word < WORDS);
        (self.page(page) + word * size_of::<u64>()) as *mut u64
    }

    /// A word that several threads, or processes when the area is shared, use at a time.
    pub fn atom(&self, page: usize, word: usize) -> &AtomicU64 {
        // SAFETY: within the mapping, aligned; and every other reference is to the same
        // atomic.
        unsafe { AtomicU64::from_ptr(self.word(page, word)) }
    }

    pub fn get(&self, page: usize, word: usize) -> u64 {
        // SAFETY: `word` stays within the mapping, to which no reference exists.
        unsafe { self.word(page, word).read_volatile() }
    }

    pub fn set(&self, page: usize, word: usize, value: u64) {
        // SAFETY: as in `get`.
        unsafe { self.word(page, word).write_volatile(value) }
    }

    /// Writes pattern number `pattern` over a page.
    pub fn fill(&self, page: usize, pattern: u64) {
        for word in 0..WORDS {
            self.set(page, word, value(pattern, page, word));
        }
    }

    /// Looks whether all of a page is pattern number `pattern`.
    pub fn check(&self, page: usize, pattern: u64) -> Verdict {
        for word in 0..WORDS {
            let (found, expected) = (self.get(page, word), value(pattern, page, word));
            ensure!(
                found == expected,
                "page {page}, word {word}: {found:#x}, pattern {pattern} has {expected:#x}"
            );
        }
        Ok(())
    }

    pub fn fill_all(&self, pattern: u64) {
        (0..self.pages).for_each(|page| self.fill(page, pattern));
    }

    pub fn check_all(&self, pattern: u64) -> Verdict {
        (0..self.pages).try_for_each(|page| self.check(page, pattern))
    }

    /// Looks whether all of a page is zero.
    pub fn check_zero(&self, page: usize) -> Verdict {
        for word in 0..WORDS {
            let found = self.get(page, word);
            ensure!(found == 0, "page {page}, word {word}: {found:#x}, not zero");
        }
        Ok(())
    }

    /// A page as bytes, for system calls to fill.
    pub fn bytes(&mut self, page: usize) -> &mut [u8] {
        let start = self.page(page);
        // SAFETY: the mapping is ours alone, and borrowed for as long as the slice.
        unsafe { core::slice::from_raw_parts_mut(start as *mut u8, PAGE) }
    }

    /// The whole area as bytes, for system calls to fill.
    pub fn all_bytes(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`.
        unsafe { core::slice::from_raw_parts_mut(self.start as *mut u8, self.pages * PAGE) }
    }

    /// Which frame a page is in.
    pub fn frame(&self, page: usize) -> Result<Frame, Failure> {
        pagemap::frame(self.page(page))
    }

    /// Changes the rights of some pages. What they forbid makes `get` and `set` die.
    pub fn protect(&self, page: usize, count: usize, protection: Protection) -> Verdict {
        assert!(page + count <= self.pages);
        // SAFETY: the area's memory has no references to it.
        unsafe { memory::protect(self.page(page), count * PAGE, protection) }.or_fail("mprotect")
    }

    /// Unmaps some pages. `get` and `set` of them die from now on.
    pub fn unmap(&self, page: usize, count: usize) -> Verdict {
        assert!(page + count <= self.pages);
        // SAFETY: the area's memory has no references to it.
        unsafe { memory::unmap(self.page(page), count * PAGE) }.or_fail("munmap")
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the area goes, and it was the only way to its memory.
        let _ = unsafe { memory::unmap(self.start, self.pages * PAGE) };
    }
}

/// The word of a pattern: no two places and no two patterns have the same.
fn value(pattern: u64, page: usize, word: usize) -> u64 {
    mix(pattern << 32 ^ (page << 9 ^ word) as u64)
}
