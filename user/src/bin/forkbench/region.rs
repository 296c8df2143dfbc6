//! Private memory to touch, page by page.
//!
//! All access is volatile and by address, and nothing in it is ever looked at: what is measured
//! is what the kernel does about it.

use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::testing::{Explain, Failure};

pub const PAGES_PER_MIB: usize = (1 << 20) / PAGE;

/// A mapping, given back at the end.
pub struct Region {
    start: usize,
    pages: usize,
}

impl Region {
    /// Fresh memory in pages of 4 KiB, also where the kernel would take huge ones: costs per page
    /// are compared, so pages must be of one size.
    pub fn fresh(pages: usize) -> Result<Self, Failure> {
        let region = Self::fresh_huge(pages)?;
        let length = region.pages * PAGE;
        // A kernel that does not know the advice has no huge pages.
        // SAFETY: it changes no contents.
        let _ = unsafe { memory::advise(region.start, length, memory::MADV_NOHUGEPAGE) };
        Ok(region)
    }

    /// Fresh memory in pages of the size that the kernel likes best.
    pub fn fresh_huge(pages: usize) -> Result<Self, Failure> {
        let size = pages.max(1) * PAGE;
        let start = memory::map(size, Protection::READ_WRITE, Sharing::Private).or_fail("mmap")?;
        Ok(Self {
            start,
            pages: pages.max(1),
        })
    }

    /// [`fresh`](Self::fresh) memory of so many MiB, each page written; a page that is not
    /// written for none.
    pub fn touched(mib: usize) -> Result<Self, Failure> {
        let region = Self::fresh(mib * PAGES_PER_MIB)?;
        if mib > 0 {
            region.touch_all();
        }
        Ok(region)
    }

    pub fn pages(&self) -> usize {
        self.pages
    }

    pub fn touch_all(&self) {
        (0..self.pages).for_each(|page| self.write(page, 1));
    }

    /// Writes the first word of a page.
    pub fn write(&self, page: usize, value: u64) {
        // SAFETY: `word` is within the mapping, to which there is no reference.
        unsafe { self.word(page).write_volatile(value) }
    }

    /// Reads the first word of a page.
    pub fn read(&self, page: usize) -> u64 {
        // SAFETY: as in `write`.
        unsafe { self.word(page).read_volatile() }
    }

    /// The address of a page, which must be one of the region.
    pub fn address(&self, page: usize) -> usize {
        assert!(page < self.pages);
        self.start + page * PAGE
    }

    fn word(&self, page: usize) -> *mut u64 {
        self.address(page) as *mut u64
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the region goes, and it was the only way to its memory.
        let _ = unsafe { memory::unmap(self.start, self.pages * PAGE) };
    }
}
