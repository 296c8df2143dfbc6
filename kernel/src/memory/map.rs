//! Changing what is mapped where: mmap and munmap (rules M2, M5, M10).
//!
//! All that changes the layout holds its lock alone. First everything that can fail is done
//! (areas counted, paths un-shared), then the change itself, which cannot. Rights that go
//! are gone on every CPU before the lock is let go, or, when the thread is killed before,
//! given to anybody else (`layout.rs`): so a range is not handed out again before.
//!
//! A call that waits half-way leaves pages, areas and what other CPUs have been asked for
//! in step at each of its waits, as it may be killed there.

use super::FRAME_SIZE;
use super::area::{Backing, Protection, Traits, Vma};
use super::flush::{BATCH, Range, RetiredBatch};
use super::frames::{self, OutOfMemory};
use super::layout::Layout;
use super::planted::{Planted, planted};
use super::reclaim::Retired;
use super::residence::Populate;
use super::shootdown::{self, Ready};
use super::space::AddressSpace;
use super::vma::{LOWEST, TooManyAreas, Totals, checked_end};
use crate::arch::level::Level;
use crate::arch::paging::Table;

/// Where a mapping shall go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Anywhere.
    Any,
    /// There if nothing is in the way, else anywhere.
    Hint(usize),
    /// There; what is in the way is unmapped.
    Fixed(usize),
    /// There; what is in the way is an error.
    FixedNoReplace(usize),
}

/// A mapping that is asked for.
pub struct MapRequest {
    /// Where.
    pub place: Place,
    /// How many bytes; rounded up to pages.
    pub length: usize,
    /// What the program may do there.
    pub protection: Protection,
    /// What it may ever be allowed to do there.
    pub allowed: Protection,
    /// Where its pages come from.
    pub backing: Backing,
    /// What else is wanted.
    pub traits: Traits,
    /// Whether its pages shall be there at once, as far as possible.
    pub populated: bool,
}

/// Why a mapping cannot be changed so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// Not page-aligned, empty, or out of a program's reach.
    BadRange,
    /// Something is mapped there already.
    Occupied,
    /// Nothing is mapped in part of the range.
    NotMapped,
    /// The range is not part of one area.
    NotOneArea,
    /// This kind of area has no such operation.
    BadKind,
    /// A right that the mapping can never have.
    NotAllowed,
    /// No memory, no room, or too many areas.
    OutOfMemory,
}

impl From<OutOfMemory> for MapError {
    fn from(_: OutOfMemory) -> MapError {
        MapError::OutOfMemory
    }
}

impl From<TooManyAreas> for MapError {
    fn from(_: TooManyAreas) -> MapError {
        MapError::OutOfMemory
    }
}

/// What becomes of the areas whose pages are taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Areas {
    /// They stay, and begin anew.
    Stay,
    /// They go as well.
    Go,
}

/// Areas that are taken out in one go, at the most.
const AREAS_AT_ONCE: usize = 64;

impl AddressSpace {
    /// Maps `length` bytes and returns where. Nothing is allocated yet but the area. It
    /// can get every right later.
    pub async fn map(
        &self,
        place: Place,
        length: usize,
        protection: Protection,
        backing: Backing,
    ) -> Result<usize, MapError> {
        self.map_as(MapRequest {
            place,
            length,
            protection,
            allowed: Protection::all(),
            backing,
            traits: Traits::empty(),
            populated: false,
        })
        .await
    }

    /// The same with all that can be said of a mapping.
    pub async fn map_as(&self, request: MapRequest) -> Result<usize, MapError> {
        if !request.allowed.contains(request.protection) {
            return Err(MapError::NotAllowed);
        }
        let mut layout = self.layout.write().await;
        may_change(&layout)?;
        frames::admit()?;
        let (start, end) = match request.place {
            Place::Fixed(start) => {
                let end = checked_end(start, request.length).ok_or(MapError::BadRange)?;
                (start, end)
            }
            place => place_for(&layout, place, request.length)?,
        };
        let area = Vma {
            start,
            end,
            protection: request.protection,
            allowed: request.allowed,
            backing: request.backing,
            traits: request.traits | layout.new_traits,
        };
        let populated = request.populated || area.traits.contains(Traits::LOCKED);
        let replaced = layout.vmas.totals_within(start, end);
        let there = layout.vmas.totals().minus(replaced);
        if !layout.limits.allow(there, Totals::of(&area)) {
            return Err(MapError::OutOfMemory);
        }
        self.clear(&mut layout, start, end, Areas::Go).await?;
        layout.vmas.insert(area);
        drop(layout);
        if populated {
            // Only an offer (mmap(2)).
            let _ = self.populate(start, end - start, Populate::AsAllowed).await;
        }
        Ok(start)
    }

    /// Unmaps everything in the range. When it returns no CPU can use it any more (rule
    /// M5).
    pub async fn unmap(&self, start: usize, length: usize) -> Result<(), MapError> {
        let end = checked_end(start, length).ok_or(MapError::BadRange)?;
        let mut layout = self.layout.write().await;
        may_change(&layout)?;
        Ok(self.clear(&mut layout, start, end, Areas::Go).await?)
    }

    /// Takes all pages in the range out of the tables. When it returns no CPU can use them
    /// any more. Fails before it has changed anything.
    pub(super) async fn clear(
        &self,
        layout: &mut Layout,
        start: usize,
        end: usize,
        areas: Areas,
    ) -> Result<(), OutOfMemory> {
        if layout.vmas.is_free(start, end) {
            return Ok(());
        }
        let range = Range { start, end };
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        // Only at its two ends the range can cover a table in part; after this, clearing cannot
        // fail.
        let opened = self.open_edges(start, end, &mut retired);
        if opened.is_err() {
            self.forget(layout, ready, range, &mut retired);
            layout.settle().await;
            return opened;
        }
        let mut at = start;
        loop {
            let done = self.clear_some(at, end, &mut retired);
            self.forget(layout, ready, range, &mut retired);
            // The areas go with their pages: whoever is killed in a wait leaves no page without
            // an area to the others who use this memory.
            while areas == Areas::Go && at < done {
                at = layout.vmas.remove_some(at, done, AREAS_AT_ONCE);
                if at < done {
                    executor::spend_budget().await;
                }
            }
            at = done;
            layout.settle().await;
            if at == end {
                return Ok(());
            }
            ready = shootdown::ready().await;
        }
    }

    /// Makes all CPUs forget the range and releases `retired` then; the layout knows what
    /// there is to wait for. To be called before any wait.
    pub(super) fn forget(
        &self,
        layout: &mut Layout,
        ready: Ready,
        range: Range,
        retired: &mut RetiredBatch,
    ) {
        if retired.is_empty() {
            return;
        }
        let shootdown = self.activity.flush_and_release(ready, range, retired);
        if !planted(Planted::UnmapWithoutWaiting) {
            layout.expect(shootdown);
        }
    }

    /// Un-shares the tables on the way to the first and to the last page, as far as there
    /// are any. These are all tables that the range can cover in part.
    fn open_edges(
        &self,
        start: usize,
        end: usize,
        retired: &mut RetiredBatch,
    ) -> Result<(), OutOfMemory> {
        for address in [start, end - FRAME_SIZE] {
            self.unshare_what_is_there(address, retired)?;
        }
        Ok(())
    }

    /// Takes entries out of the tables from `start` on, until `retired` is full or `end`
    /// is reached. Returns how far it came. Whole tables inside the range go as they
    /// are, shared or not.
    fn clear_some(&self, start: usize, end: usize, retired: &mut RetiredBatch) -> usize {
        let mut at = start;
        'next: while at < end && retired.len() < BATCH {
            let mut table = self.root_table();
            let mut level = Level::ROOT;
            loop {
                let size = level.entry_size();
                let index = level.index(at);
                let entry = table.load(index);
                let covered = at.is_multiple_of(size) && end - at >= size;
                let Some(frame) = entry.frame() else {
                    at = (at / size + 1) * size;
                    continue 'next;
                };
                if covered {
                    if table.take(index).is_present() {
                        retired.push(Retired::new(frame, level.below()));
                    }
                    at += size;
                    continue 'next;
                }
                // Covered in part: `open_edges` has made it ours.
                debug_assert!(entry.is_writable() || level == Level::LEAF_TABLE);
                // SAFETY: above the lowest level entries point to tables, and at the lowest every
                // entry is covered; we hold the layout's lock alone, so it stays.
                table = unsafe { Table::new(frame) };
                level = level.below();
            }
        }
        at.min(end)
    }
}

/// Whether areas can be cut and added: their number, and, where the map has to be copied
/// first, memory for that. A program can drive that copy to megabytes (rule M10).
pub(super) fn may_change(layout: &Layout) -> Result<(), MapError> {
    layout.vmas.has_room()?;
    match layout.vmas.cost_of_change() {
        0 => Ok(()),
        bytes => Ok(frames::admit_bytes(bytes)?),
    }
}

/// A free range for a mapping; one at a fixed place must be free already.
pub(super) fn place_for(
    layout: &Layout,
    place: Place,
    length: usize,
) -> Result<(usize, usize), MapError> {
    match place {
        Place::Fixed(start) | Place::FixedNoReplace(start) => {
            let end = checked_end(start, length).ok_or(MapError::BadRange)?;
            if !layout.vmas.is_free(start, end) {
                return Err(MapError::Occupied);
            }
            return Ok((start, end));
        }
        Place::Hint(start) => {
            if let Some(end) = checked_end(start, length)
                && start >= LOWEST
                && layout.vmas.has_place(start, end)
            {
                return Ok((start, end));
            }
        }
        Place::Any => {}
    }
    let length = length
        .checked_next_multiple_of(FRAME_SIZE)
        .ok_or(MapError::OutOfMemory)?;
    let start = layout
        .vmas
        .find_free(length, layout.map_top)
        .ok_or(MapError::OutOfMemory)?;
    Ok((start, start + length))
}
