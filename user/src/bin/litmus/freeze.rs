//! What a child sees of its parent's memory when other threads of the parent write during the fork.
//!
//! The child has each word as it was at one moment, and what the parent writes afterwards never
//! reaches it. That fails when a CPU can still write by a translation from before the fork: because
//! it was not told (rule M3), or because a write fault during the fork copies a page that another
//! CPU still writes, and then its writes are lost to the parent. Linux 6.4 had that one: page
//! faults that only took the lock of their area ran beside a fork that did not lock the areas
//! (fb49c455323f, "fork: lock VMAs of the parent process when forking").
//!
//! Each writer writes its words in a fixed order with a number that counts up. In the child the
//! words of one writer must then be as the writer's program order allows: a run of the new number,
//! and the rest of the one before. The parent looks whether a word has lost its last value.
//!
//! Seen to catch, planted in cowfork, on four emulated CPUs at once: a fork that leaves writable
//! translations in the TLBs (both cases; much else of the program breaks as well then).

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use user::random::Random;
use user::sys::memory::Protection;
use user::testing::{Failure, Mapping};
use user::{ensure, fail};

use crate::case::Case;
use crate::shapes::delay;
use crate::trial::{Ended, Trial};

pub const CASES: &[Case] = &[
    Case {
        name: "fork-freeze",
        summary: "fork while other threads write: the child sees one moment, and keeps seeing it",
        outcomes: &["words written before the fork", "words written after"],
        run: |trial| freeze(trial, &one_area(12)?),
    },
    Case {
        name: "fork-many-areas",
        summary: "the same over a thousand small mappings; the parent loses no write",
        outcomes: &["words written before the fork", "words written after"],
        run: |trial| freeze(trial, &many_areas(1000)?),
    },
];

/// The most threads that write.
const WRITERS: usize = 16;

/// Pages that can be written, among others.
struct Pages {
    area: Mapping,
    /// Every so-manieth page of the area.
    stride: usize,
    count: usize,
}

impl Pages {
    fn get(&self, page: usize, writer: usize) -> u64 {
        self.area.atom(page * self.stride, writer * 8).load(Relaxed)
    }

    fn set(&self, page: usize, writer: usize, value: u64) {
        let word = self.area.atom(page * self.stride, writer * 8);
        word.store(value, Relaxed);
    }
}

fn one_area(count: usize) -> Result<Pages, Failure> {
    Ok(Pages {
        area: Mapping::private(count)?,
        stride: 1,
        count,
    })
}

/// Every second page has other rights, so that each page is a mapping of its own.
fn many_areas(count: usize) -> Result<Pages, Failure> {
    let area = Mapping::private(2 * count)?;
    for page in 0..count {
        area.protect(2 * page + 1, 1, Protection::NONE)?;
    }
    Ok(Pages {
        area,
        stride: 2,
        count,
    })
}

fn freeze(trial: &Trial, pages: &Pages) -> Ended {
    // The number that each writer is about to write everywhere, on a page that is never copied.
    let progress = Mapping::shared(1)?;
    let writers = trial.others(1).min(WRITERS);

    let forker = |_| {
        let mut random = Random::new(5);
        while trial.goes_on() {
            let before: [u64; WRITERS] = core::array::from_fn(|w| progress.get(0, w));
            let child = trial.process(1, || {
                let first = look(trial, pages, writers, &before)?;
                wait_for_writes(trial, &progress);
                let second = look(trial, pages, writers, &before)?;
                ensure!(
                    first == second,
                    "the child's memory has changed: its words' sum was {first} and is {second}"
                );
                Ok(())
            })?;
            // Anything that the child has was written when `fork` returned.
            delay(random.below(2000));
            child.finish()?;
            trial.count(1);
        }
        Ok(())
    };
    let writer = |number: usize| {
        let me = number - 1;
        let mut value = 0;
        while !trial.is_stopped() {
            value += 1;
            progress.atom(0, me).store(value, Release);
            for page in 0..pages.count {
                let seen = pages.get(page, me);
                ensure!(
                    seen == value - 1,
                    "writer {me} wrote {} to page {page}, and finds {seen}",
                    value - 1
                );
                pages.set(page, me, value);
            }
        }
        Ok(())
    };
    trial.play(&[&forker], &writer, writers)
}

/// Looks at everything in the child, and returns the sum of all words.
fn look(
    trial: &Trial,
    pages: &Pages,
    writers: usize,
    before: &[u64; WRITERS],
) -> Result<u64, Failure> {
    let mut sum = 0u64;
    for (writer, begun) in before.iter().enumerate().take(writers) {
        let first = pages.get(0, writer);
        let mut last = first;
        // What was begun before the fork was done up to the number before at least.
        let least = begun.saturating_sub(1);
        for page in 0..pages.count {
            let value = pages.get(page, writer);
            sum = sum.wrapping_add(value);
            if value > last || first - value > 1 || value < least {
                fail!(
                    "child: page {page} has {value} of writer {writer}; page 0 {first}, the one \
                     before {last}; {least} is older than the fork"
                );
            }
            last = value;
            trial.saw(usize::from(value > *begun));
        }
    }
    Ok(sum)
}

/// Waits until the parent's threads have gone on, for a while at the most.
fn wait_for_writes(trial: &Trial, progress: &Mapping) {
    let start = progress.atom(0, 0).load(Acquire);
    let mut looks = 0;
    trial.wait_until(|| {
        looks += 1;
        progress.atom(0, 0).load(Acquire) > start + 2 || looks > 3000
    });
}
