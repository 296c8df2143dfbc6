//! Calls that change what is mapped, and what the model expects of them.

use super::super::super::PAGE;
use super::super::model::{Change, Content, Wrong};
use super::super::plan::{Inherit, Range, Source};
use super::{HalfDone, Thread};
use crate::memory::space::remap::{Remap, Target};
use crate::memory::vma::vm_area::{Backing, Protection};
use crate::memory::{Advice, MapError, Object, Placement as Where};

impl Thread {
    pub(super) async fn map_missing(&self, n: usize, source: Source) -> Result<(), Wrong> {
        let missing = self.model().unmapped();
        if missing.is_empty() {
            return Ok(());
        }
        let start = missing[n % missing.len()];
        let end = start + PAGE;
        self.map(Range { start, end }, source).await
    }

    pub(super) async fn map(&self, range: Range, source: Source) -> Result<(), Wrong> {
        let Some(pages) = self.begin_change(range) else {
            return Ok(());
        };
        let rights = Protection::READ | Protection::WRITE;
        let object =
            |file: usize| -> alloc::sync::Arc<Object> { self.world.files[file].object.clone() };
        let offset = |page: usize| (page * PAGE) as u64;
        let backing = match source {
            Source::Anonymous => Backing::Anonymous,
            Source::Shared(file, page) => Backing::Shared(object(file), offset(page)),
            Source::Private(file, page) => Backing::Private(object(file), offset(page)),
        };
        let place = Where::Fixed(range.start);
        let length = range.end - range.start;
        let outcome = self.process.space.map(place, length, rights, backing).await;
        let content = |&address: &usize| {
            let within = (address - range.start) / PAGE;
            match source {
                Source::Anonymous => Content::ZEROES,
                Source::Shared(file, page) => {
                    Content::Shared(self.world.files[file].clone(), page + within)
                }
                Source::Private(file, page) => {
                    Content::Private(self.world.files[file].clone(), page + within, None)
                }
            }
        };
        let mapped = Change::Mapped(rights, pages.iter().map(content).collect());
        self.end_change("mmap", &pages, outcome.map(|_| ()), mapped)
    }

    pub(super) async fn unmap(&self, range: Range) -> Result<(), Wrong> {
        let Some(pages) = self.begin_change(range) else {
            return Ok(());
        };
        let length = range.end - range.start;
        let outcome = self.process.space.unmap(range.start, length).await;
        self.end_change("munmap", &pages, outcome, Change::Unmapped)
    }

    pub(super) async fn protect(&self, range: Range, rights: Protection) -> Result<(), Wrong> {
        let Some(pages) = self.begin_change(range) else {
            return Ok(());
        };
        let Range { start, end } = range;
        let space = &self.process.space;
        // What lies before the first gap is changed, and between its pages the model knows none.
        let reached = space.mmap_lock.read().await.vmas.covered_until(start, end);
        let before = pages.partition_point(|&page| page < reached);
        let (before, behind) = pages.split_at(before);
        let expected = if reached == end {
            Ok(())
        } else {
            Err(MapError::NotMapped)
        };
        let outcome = match space.protect(start, end - start, rights).await {
            outcome if outcome == expected => Ok(()),
            Err(MapError::OutOfMemory) => Err(MapError::OutOfMemory),
            outcome => return Err(format!("mprotect: {outcome:?}, not {expected:?}")),
        };
        self.end_change("mprotect", behind, outcome, Change::Nothing)?;
        self.end_change("mprotect", before, outcome, Change::Protected(rights))
    }

    pub(super) async fn relocate(&self, from: usize, to: usize, leaves: bool) -> Result<(), Wrong> {
        let range = |start| Range {
            start,
            end: start + PAGE,
        };
        if self.model().is_being_stored(to) {
            return Ok(());
        }
        let Some(pages) = self.begin_changes(vec![range(from), range(to)]) else {
            return Ok(());
        };
        self.model().begin_move(from, to);
        if leaves {
            self.model().begin_anew(&[from]);
        }
        let outcome = self
            .process
            .space
            .remap(Remap {
                start: from,
                old_length: PAGE,
                new_length: PAGE,
                target: Target::At(Where::Fixed(to)),
                keeps_old: leaves,
            })
            .await;
        if outcome.is_ok() {
            let moved = Change::Moved(leaves);
            return self.end_change("mremap", &pages, Ok(()), moved);
        }
        // What was in the way may be gone.
        self.clean_up().await?;
        match outcome {
            Err(MapError::OutOfMemory) => self.out_of_memory("mremap"),
            Err(MapError::NotOneVma) | Ok(_) => Ok(()),
            Err(error) => Err(format!("mremap: {error:?}")),
        }
    }

    pub(super) async fn discard(&self, range: Range) -> Result<(), Wrong> {
        let Some(pages) = self.begin_change(range) else {
            return Ok(());
        };
        self.model().begin_anew(&pages);
        let length = range.end - range.start;
        let space = &self.process.space;
        let outcome = match space.advise(range.start, length, Advice::Discard).await {
            // All that is mapped has been discarded.
            Err(MapError::NotMapped) => Ok(()),
            outcome => outcome,
        };
        self.end_change("madvise", &pages, outcome, Change::Discarded)
    }

    pub(super) async fn inherit(&self, page: usize, what: Inherit) -> Result<(), Wrong> {
        let range = Range {
            start: page,
            end: page + PAGE,
        };
        let Some(pages) = self.begin_change(range) else {
            return Ok(());
        };
        // Both marks off, then one of them on.
        let mut advices = vec![Advice::DoFork(true), Advice::KeepOnFork(true)];
        match what {
            Inherit::Contents => {}
            Inherit::Zeroes => advices.push(Advice::KeepOnFork(false)),
            Inherit::Nothing => advices.push(Advice::DoFork(false)),
        }
        let (mut outcome, mut what) = (Ok(()), what);
        for advice in advices {
            if outcome.is_ok() {
                outcome = self.process.space.advise(page, PAGE, advice).await;
            }
        }
        if outcome == Err(MapError::BadKind) {
            // Only anonymous memory can be had empty.
            (outcome, what) = (Ok(()), Inherit::Contents);
        }
        self.end_change("madvise", &pages, outcome, Change::Inherited(what))
    }

    /// Begins a change of the mapping of all pages in the range, if no other thread changes any.
    fn begin_change(&self, range: Range) -> Option<Vec<usize>> {
        self.begin_changes(vec![range])
    }

    fn begin_changes(&self, ranges: Vec<Range>) -> Option<Vec<usize>> {
        let mut model = self.model();
        let within = ranges
            .iter()
            .flat_map(|range| model.within(range.start, range.end));
        let pages: Vec<usize> = within.collect();
        if !model.are_at_rest(&pages) {
            return None;
        }
        model.begin_change(&pages);
        self.half_done
            .replace(HalfDone::Change(ranges, pages.clone()));
        Some(pages)
    }

    fn end_change(
        &self,
        call: &str,
        pages: &[usize],
        outcome: Result<(), MapError>,
        change: Change,
    ) -> Result<(), Wrong> {
        self.half_done.take();
        match outcome {
            Ok(()) => self.model().end_change(pages, change),
            Err(error) => {
                self.model().end_change(pages, Change::Nothing);
                match error {
                    MapError::OutOfMemory => self.out_of_memory(call)?,
                    // Somewhere in the range nothing is mapped.
                    MapError::NotMapped => {}
                    error => return Err(format!("{call}: {error:?}")),
                }
            }
        }
        Ok(())
    }
}
