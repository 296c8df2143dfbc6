//! The threads beside a forker, and what its children have of their work.
//!
//! Each thread has a word on each of some pages, and writes a number that counts up to all of them,
//! one page after the other, while the first thread forks. It looks each time whether the word
//! still has what it wrote last (a write that went to a frame that has another owner by then is
//! lost). A child has the words as they were at one moment, in the order that the thread wrote
//! them, and they stay so.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};

use user::eprintln;
use user::sys::process;
use user::testing::{Explain, Failure, Mapping};
use user::thread;

use crate::counters::{Counters, MOST_REPORTS, count};

pub const MOST_THREADS: usize = 16;
const PAGES: usize = 6;

/// What the words were when the process began.
type Frozen = [[u64; PAGES]; MOST_THREADS];

/// The words, as one process has them.
pub struct Words<'a> {
    area: &'a Mapping,
    threads: usize,
    /// In a process without threads of its own: what the words are and stay.
    frozen: Option<Frozen>,
}

/// Memory for the words.
pub fn area() -> Result<Mapping, Failure> {
    Mapping::private(PAGES)
}

/// A thread's word on a page; each has a cache line of its own.
fn word(area: &Mapping, page: usize, thread: usize) -> &AtomicU64 {
    area.atom(page, thread * 8)
}

impl<'a> Words<'a> {
    /// The words of so many threads, [`MOST_THREADS`] at the most, which have not begun yet.
    pub fn new(area: &'a Mapping, threads: usize) -> Self {
        Self {
            area,
            threads,
            frozen: None,
        }
    }

    fn all(&self) -> Frozen {
        let mut all = [[0; PAGES]; MOST_THREADS];
        for (thread, words) in all.iter_mut().enumerate().take(self.threads) {
            for (page, value) in words.iter_mut().enumerate() {
                *value = word(self.area, page, thread).load(Relaxed);
            }
        }
        all
    }

    /// In a child: from now on the words stay as they are. Says whether they can have been so at
    /// one moment.
    pub fn freeze(&mut self, counters: &Counters) -> bool {
        if self.frozen.is_some() {
            return self.check(counters);
        }
        let all = self.all();
        self.frozen = Some(all);
        // From the first page on the newer number, and then the one before.
        let wrong = all.iter().enumerate().find(|(_, words)| {
            let falls = words.is_sorted_by(|one, next| one >= next);
            !falls || words[0] - words[PAGES - 1] > 1
        });
        let tell = |(thread, words)| {
            report(
                counters,
                format_args!("thread {thread}'s words are of no one moment: {words:?}"),
            );
        };
        wrong.map(tell).is_none()
    }

    /// Whether nothing has changed since.
    pub fn check(&self, counters: &Counters) -> bool {
        let Some(frozen) = self.frozen else {
            return true;
        };
        let all = self.all();
        let wrong = frozen.iter().zip(&all).find(|(old, new)| old != new);
        let tell = |(old, new)| {
            report(
                counters,
                format_args!("words of the parent's threads were {old:?} and are {new:?}"),
            );
        };
        wrong.map(tell).is_none()
    }

    /// From now on threads of this process may write them.
    pub fn thaw(&mut self) -> &'a Mapping {
        self.frozen = None;
        self.area
    }

    pub fn threads(&self) -> usize {
        self.threads
    }
}

/// Calls `body` while so many threads of this process write.
pub fn beside<R>(
    area: &Mapping,
    threads: usize,
    counters: &Counters,
    body: impl FnOnce() -> R,
) -> Result<R, Failure> {
    let stop = &AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..threads {
            let started = scope.spawn(move || write(area, thread, counters, stop));
            if let Err(errno) = started {
                stop.store(1, Relaxed);
                return Err(errno).or_fail("a thread");
            }
        }
        let result = body();
        stop.store(1, Relaxed);
        Ok(result)
    })
}

/// A thread's work.
fn write(area: &Mapping, thread: usize, counters: &Counters, stop: &AtomicU32) {
    let mut value = word(area, 0, thread).load(Relaxed);
    // What a child has inherited may be from the middle of a round.
    (1..PAGES).for_each(|page| word(area, page, thread).store(value, Relaxed));
    while stop.load(Relaxed) == 0 {
        for page in 0..PAGES {
            let word = word(area, page, thread);
            let seen = word.load(Relaxed);
            if seen != value {
                report(
                    counters,
                    format_args!(
                        "thread {thread} wrote {value} to page {page}, and finds {seen} there"
                    ),
                );
            }
            word.store(value + 1, Relaxed);
        }
        value += 1;
        count(&counters.written);
    }
}

fn report(counters: &Counters, what: fmt::Arguments<'_>) {
    if counters.mismatches.fetch_add(1, Relaxed) < MOST_REPORTS {
        eprintln!("process {}: {what}", process::getpid());
    }
}
