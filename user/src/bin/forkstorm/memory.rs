//! The pages of one process, and what it expects in them.

use core::sync::atomic::Ordering::Relaxed;

use user::eprintln;
use user::random::Random;
use user::sys::file;
use user::sys::memory::PAGE;
use user::sys::process;
use user::testing::{Explain, Failure, Mapping};

use crate::counters::{Counters, MOST_REPORTS, count};
use crate::threads::Words;

pub const MOST_PAGES: usize = 64;

pub struct Memory<'a> {
    /// The pages that are tested.
    area: Mapping,
    pages: usize,
    /// The pattern that each page has; copied by each fork as the pages are.
    patterns: [u64; MOST_PAGES],
    /// Counts the patterns of this process.
    generation: u64,
    /// What threads write, of this process or of one above.
    pub words: Words<'a>,
}

impl<'a> Memory<'a> {
    /// Panics with more than [`MOST_PAGES`], which the command line excludes.
    pub fn new(pages: usize, words: Words<'a>) -> Result<Self, Failure> {
        let area = Mapping::private(pages)?;
        let mut memory = Self {
            area,
            pages,
            patterns: [0; MOST_PAGES],
            generation: 0,
            words,
        };
        for page in 0..pages {
            let pattern = memory.next_pattern();
            memory.area.fill(page, pattern);
            memory.patterns[page] = pattern;
        }
        Ok(memory)
    }

    /// A pattern that no other process has, and that this one has not had for long.
    fn next_pattern(&mut self) -> u64 {
        self.generation += 1;
        // The area mixes 32 bits of it: 22 of the process, 10 of the count.
        (process::getpid().0 as u64) << 10 ^ self.generation & 0x3ff
    }

    /// Writes new patterns over about a third of the pages: most by the program, some by the
    /// kernel.
    pub fn write_some(&mut self, random: &mut Random) {
        for page in 0..self.pages {
            if random.below(3) != 0 {
                continue;
            }
            let pattern = self.next_pattern();
            self.patterns[page] = pattern;
            if random.below(16) != 0 {
                self.area.fill(page, pattern);
            } else if self.fill_by_kernel(page, pattern).is_err() {
                // No descriptors, or no memory for a pipe.
                self.area.fill(page, pattern);
            }
        }
    }

    /// Has a `read` write the pattern: rule M8.
    fn fill_by_kernel(&mut self, page: usize, pattern: u64) -> Result<(), Failure> {
        let pipe = file::pipe().or_fail("pipe")?;
        // A pattern depends on the page's number, so it is made in place and then moved.
        self.area.fill(page, pattern);
        let mut copied = [0u8; PAGE];
        copied.copy_from_slice(self.area.bytes(page));
        self.area.fill(page, 0);
        // A pipe holds more than a page, so neither waits.
        let result = file::write_all(pipe.write, &copied)
            .and_then(|()| file::read_full(pipe.read, self.area.bytes(page)));
        file::close(pipe.read).or_fail("close")?;
        file::close(pipe.write).or_fail("close")?;
        result.or_fail("a page through a pipe").map(drop)
    }

    /// Looks at every word; says whether all is as it should be.
    pub fn check(&self, counters: &Counters, when: &str) -> bool {
        let mut well = self.words.check(counters);
        for (page, pattern) in self.patterns.iter().enumerate().take(self.pages) {
            count(&counters.checked);
            if let Err(failure) = self.area.check(page, *pattern) {
                well = false;
                if counters.mismatches.fetch_add(1, Relaxed) < MOST_REPORTS {
                    eprintln!("process {}, {when}: {failure}", process::getpid());
                }
            }
        }
        well
    }
}
