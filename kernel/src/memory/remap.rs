//! mremap: areas that shrink, grow or move (rules M1, M2, M5).
//!
//! What moves are entries, with the reference that each holds: no page is copied, and a
//! page that is shared by copy-on-write stays so, without the right to write. Where both
//! places are aligned alike, whole tables move.
//!
//! ```text
//!   both paths made our own, tables made at the new place         (can fail: nothing has moved)
//!   entries taken out of the old place and put into the new one   (cannot fail)
//!   areas follow, other CPUs asked to forget the old place
//!   ··· await ···
//! ```
//!
//! A CPU that has not forgotten the old place uses the same frames by it as others do by
//! the new one, so nothing is lost or torn meanwhile. But no such frame may be dropped, and
//! no copy may take its place, before it has (CVE-2018-18281 was a page freed at the new
//! place that was still written by way of the old one). Both need the layout's lock, or
//! nobody else in the address space, and the lock is not to be had before.

use super::FRAME_SIZE;
use super::area::{Traits, Vma};
use super::flush::{BATCH, Range, RetiredBatch};
use super::frames::{self, OutOfMemory};
use super::layout::Layout;
use super::map::{Areas, MapError, Place, may_change, place_for};
use super::planted::{Planted, planted};
use super::reclaim::{self, Retired};
use super::residence::Populate;
use super::shootdown;
use super::space::AddressSpace;
use super::vma::{Totals, checked_end};
use crate::arch::level::Level;
use crate::arch::paging::{Entry, Table};

/// Where a mapping may be after mremap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Where it is.
    Here,
    /// Where it is, or anywhere if it has no room there (`MREMAP_MAYMOVE`).
    Anywhere,
    /// At this place (`MREMAP_FIXED`, or a hint for `MREMAP_DONTUNMAP`).
    At(Place),
}

/// What is asked of mremap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remap {
    /// The first address of the range.
    pub start: usize,
    /// Its length; 0 maps a shared area once more.
    pub old_length: usize,
    /// The length that it shall have.
    pub new_length: usize,
    /// Where it may be.
    pub target: Target,
    /// The old place stays mapped, and begins anew (`MREMAP_DONTUNMAP`).
    pub keeps_old: bool,
}

/// Entries that are moved between two waits, about: a leaf table has 512.
const ENTRIES_AT_ONCE: usize = 16 * 512;

/// Two ranges of the same length, that which is moved and the place where it goes.
#[derive(Clone, Copy)]
struct Way {
    from: usize,
    to: usize,
    length: usize,
}

impl Way {
    /// The rest of the way when so many bytes have been moved.
    fn after(self, done: usize) -> Way {
        Way {
            from: self.from + done,
            to: self.to + done,
            length: self.length - done,
        }
    }

    /// The highest level whose entries move whole at the beginning of this way.
    fn level(self) -> Level {
        let fits = |level: &Level| {
            let size = level.entry_size();
            (self.from | self.to).is_multiple_of(size) && self.length >= size
        };
        let levels = Level::TABLES.into_iter().chain([Level::ROOT]);
        levels.rev().find(fits).unwrap_or(Level::LEAF_TABLE)
    }
}

impl AddressSpace {
    /// Changes the length of a mapping, or its place, and returns where it is then. When it
    /// returns no CPU can use what is not mapped any more (rule M5).
    ///
    /// A failure for lack of memory moves nothing, but as on Linux what was in the way at
    /// the new place, and what the new length cuts off, may be gone.
    pub async fn remap(&self, remap: Remap) -> Result<usize, MapError> {
        let place = self.remap_areas(remap).await?;
        let new_length = remap.new_length;
        if new_length > remap.old_length && self.is_mapped(place, new_length).await.1 {
            // Locked. As with mmap, only an offer.
            let _ = self.populate(place, new_length, Populate::AsAllowed).await;
        }
        Ok(place)
    }

    async fn remap_areas(&self, remap: Remap) -> Result<usize, MapError> {
        let rounded = |length: usize| length.checked_next_multiple_of(FRAME_SIZE);
        let (Some(old_length), Some(new_length)) =
            (rounded(remap.old_length), rounded(remap.new_length))
        else {
            return Err(MapError::BadRange);
        };
        if !remap.start.is_multiple_of(FRAME_SIZE) || new_length == 0 {
            return Err(MapError::BadRange);
        }
        if remap.keeps_old && old_length != new_length {
            return Err(MapError::BadRange);
        }
        let mut layout = self.layout.write().await;
        let start = remap.start;
        let area = layout.vmas.find(start).ok_or(MapError::NotOneArea)?.clone();
        may_change(&layout)?;
        frames::admit()?;
        if let Target::At(place) = remap.target {
            return self
                .move_to(&mut layout, remap, place, old_length, new_length)
                .await;
        }
        if new_length <= old_length {
            if new_length < old_length {
                let cut = start + new_length;
                let end = checked_end(cut, old_length - new_length).ok_or(MapError::BadRange)?;
                self.clear(&mut layout, cut, end, Areas::Go).await?;
            }
            return Ok(start);
        }
        may_be_longer(&layout, &area, start, old_length, new_length)?;
        let old_end = start + old_length;
        if old_end == area.end
            && let Some(end) = checked_end(start, new_length)
            && layout.vmas.is_free(old_end, end)
        {
            layout.vmas.insert(area.part(old_end, end));
            return Ok(start);
        }
        if remap.target == Target::Here {
            return Err(MapError::OutOfMemory);
        }
        let (to, _) = place_for(&layout, Place::Any, new_length)?;
        let way = Way {
            from: start,
            to,
            length: old_length,
        };
        self.move_area(&mut layout, &area, way, new_length, Areas::Go)
            .await
    }

    /// The forms that are told where to go, and those that leave the old place mapped.
    async fn move_to(
        &self,
        layout: &mut Layout,
        remap: Remap,
        place: Place,
        mut old_length: usize,
        new_length: usize,
    ) -> Result<usize, MapError> {
        let start = remap.start;
        let old_end = start.checked_add(old_length).ok_or(MapError::BadRange)?;
        if let Place::Fixed(to) | Place::Hint(to) = place {
            let end = checked_end(to, new_length).ok_or(MapError::BadRange)?;
            if start < end && to < old_end {
                return Err(MapError::BadRange);
            }
        }
        if let Place::Fixed(to) = place {
            self.clear(layout, to, to + new_length, Areas::Go).await?;
        }
        if old_length > new_length {
            let cut = start + new_length;
            checked_end(cut, old_length - new_length).ok_or(MapError::BadRange)?;
            self.clear(layout, cut, old_end, Areas::Go).await?;
            old_length = new_length;
        }
        // Only now, as areas may have been cut.
        let area = layout.vmas.find(start).ok_or(MapError::NotOneArea)?.clone();
        may_be_longer(layout, &area, start, old_length, new_length)?;
        if remap.keeps_old && !allowed(layout, &area, start, new_length) {
            return Err(MapError::OutOfMemory);
        }
        let (to, _) = place_for(layout, place, new_length)?;
        let way = Way {
            from: start,
            to,
            length: old_length,
        };
        let old_areas = if remap.keeps_old {
            Areas::Stay
        } else {
            Areas::Go
        };
        self.move_area(layout, &area, way, new_length, old_areas)
            .await
    }

    /// Moves part of one area to where nothing is mapped, and makes it `new_length` long.
    async fn move_area(
        &self,
        layout: &mut Layout,
        area: &Vma,
        way: Way,
        new_length: usize,
        old_areas: Areas,
    ) -> Result<usize, MapError> {
        if self.open_way(layout, way).await.is_err() {
            // Rule M10: what waits to be dropped may be what is missing.
            reclaim::make_room().await;
            self.open_way(layout, way).await?;
        }
        let mut done = 0;
        while done < way.length {
            let step = way.after(done);
            let ready = shootdown::ready().await;
            let mut retired = RetiredBatch::new();
            let (moved, any) = self.move_some(step, &mut retired);
            // The areas move with their pages: who is killed in the wait leaves no page
            // without its area.
            let piece = area.part(step.from, step.from + moved);
            if old_areas == Areas::Go {
                layout.vmas.remove_some(step.from, step.from + moved, 1);
            }
            layout.vmas.insert(piece.moved_to(step.to));
            if any {
                let range = Range {
                    start: step.from,
                    end: step.from + moved,
                };
                let shootdown = self.activity.flush_and_release(ready, range, &mut retired);
                if !planted(Planted::MoveWithoutWaiting) {
                    layout.expect(shootdown);
                }
            }
            layout.settle().await;
            executor::spend_budget().await;
            done += moved;
        }
        if new_length > way.length {
            let (end, rest) = (way.from + way.length, new_length - way.length);
            let grown = area.part(end, end + rest);
            layout.vmas.insert(grown.moved_to(way.to + way.length));
        }
        if old_areas == Areas::Stay {
            // As Linux has it: what stays is empty, so there is nothing to keep in memory.
            layout.vmas.change(way.from, way.from + way.length, |vma| {
                vma.traits.remove(Traits::LOCKED)
            });
        }
        Ok(way.to)
    }

    /// Makes all tables our own that entries have to be taken out of or put into, and makes
    /// those that are missing at the new place.
    async fn open_way(&self, layout: &mut Layout, way: Way) -> Result<(), OutOfMemory> {
        // The range matters only for entries of pages, and none changes here.
        let range = Range::page(way.from);
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        let mut opened = Ok(());
        let mut done = 0;
        while opened.is_ok()
            && let Some((step, level)) = self.next_step(way, done)
        {
            opened = self
                .unshare_down_to(level, step.from, &mut retired)
                .and_then(|_| self.unshare_down_to(level, step.to, &mut retired))
                .map(|_| ());
            done = way.length - step.after(run_of(step, level)).length;
            if retired.len() > BATCH - 8 {
                self.forget(layout, ready, range, &mut retired);
                layout.settle().await;
                ready = shootdown::ready().await;
            }
            // Not with references in our hands, which may be given up in a wait.
            if retired.is_empty() {
                executor::spend_budget().await;
                ready = shootdown::ready().await;
            }
        }
        self.forget(layout, ready, range, &mut retired);
        layout.settle().await;
        opened
    }

    /// Moves entries from the beginning of the way on; all tables for that are our own.
    /// Returns how many bytes it has dealt with, and whether there was any entry.
    fn move_some(&self, way: Way, retired: &mut RetiredBatch) -> (usize, bool) {
        let (mut done, mut looked_at, mut any) = (0, 0, false);
        while let Some((step, level)) = self.next_step(way, done) {
            if looked_at >= ENTRIES_AT_ONCE || retired.len() == BATCH {
                return (way.length - step.length, any);
            }
            let run = run_of(step, level);
            let (old, new) = (
                self.own_table(level, step.from),
                self.own_table(level, step.to),
            );
            if let (Some(old), Some(new)) = (old, new) {
                let size = level.entry_size();
                looked_at += run / size;
                for at in (0..run).step_by(size) {
                    let entry = old.swap(level.index(step.from + at), Entry::EMPTY);
                    if !entry.is_present() {
                        continue;
                    }
                    any = true;
                    // Rule M1: the reference moves with its entry. Nothing is mapped at the new
                    // place, but a table with nothing in it may be there.
                    let empty = new.swap(level.index(step.to + at), entry);
                    if let Some(table) = empty.frame() {
                        retired.push(Retired::new(table, level.below()));
                    }
                }
            }
            done = way.length - step.after(run).length;
        }
        (way.length, any)
    }

    /// What to do next after `done` bytes: the rest of the way from where there is something
    /// at the old place, and the level of the table whose entries are to be moved there.
    fn next_step(&self, way: Way, done: usize) -> Option<(Way, Level)> {
        let mut rest = way.after(done);
        'next: while rest.length != 0 {
            let last = rest.level();
            let mut table = self.root_table();
            let mut level = Level::ROOT;
            while level != last {
                let Some(frame) = table.load(level.index(rest.from)).frame() else {
                    let size = level.entry_size();
                    let hole = size - rest.from % size;
                    rest = rest.after(hole.min(rest.length));
                    continue 'next;
                };
                // SAFETY: above the lowest level entries point to tables; we hold the layout's
                // lock alone, so they stay.
                table = unsafe { Table::new(frame) };
                level = level.below();
            }
            return Some((rest, last));
        }
        None
    }

    /// The table of that level on the way to the address, which `open_way` has made our own.
    fn own_table(&self, last: Level, address: usize) -> Option<Table> {
        let mut table = self.root_table();
        let mut level = Level::ROOT;
        while level != last {
            let entry = table.load(level.index(address));
            debug_assert!(entry.is_writable(), "a shared table on the way");
            // SAFETY: as in `next_step`.
            table = unsafe { Table::new(entry.frame()?) };
            level = level.below();
        }
        Some(table)
    }
}

/// How many bytes from the beginning of the way on lie in one table of that level at either
/// end, and move by its entries. Above the lowest level one entry at a time.
fn run_of(way: Way, level: Level) -> usize {
    if level != Level::LEAF_TABLE {
        return level.entry_size();
    }
    let reach = Level::LEAF_TABLE.entry_size() * crate::arch::paging::ENTRIES;
    let left = |address: usize| reach - address % reach;
    left(way.from).min(left(way.to)).min(way.length)
}

/// Whether part of an area, of which `old_length` bytes are named, may become `new_length`
/// long.
fn may_be_longer(
    layout: &Layout,
    area: &Vma,
    start: usize,
    old_length: usize,
    new_length: usize,
) -> Result<(), MapError> {
    if old_length == 0 && !area.backing.is_shared() {
        return Err(MapError::BadRange);
    }
    if old_length > area.end - start {
        return Err(MapError::NotOneArea);
    }
    let offset = area.backing.offset() + (start - area.start) as u64;
    if offset.checked_add(new_length as u64).is_none() {
        return Err(MapError::BadRange);
    }
    if new_length > old_length && !allowed(layout, area, start, new_length - old_length) {
        return Err(MapError::OutOfMemory);
    }
    Ok(())
}

/// Whether there may be so much more of an area. As with mmap, what could never be there at
/// once is refused.
fn allowed(layout: &Layout, area: &Vma, start: usize, length: usize) -> bool {
    let Some(end) = checked_end(start, length) else {
        return false;
    };
    let more = Totals::of(&area.part(start, end));
    more.data <= frames::managed_frames() && layout.limits.allow(layout.vmas.totals(), more)
}
