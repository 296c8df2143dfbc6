//! mremap: areas that shrink, grow or move (rules M1, M2, M5).
//!
//! The entries are moved by `relocate.rs`; here is what may be done, and what becomes of
//! the areas.

use super::FRAME_SIZE;
use super::area::{Traits, Vma};
use super::flush::{Range, RetiredBatch};
use super::frames;
use super::layout::Layout;
use super::map::{Areas, MapError, Place, may_change, place_for};
use super::planted::{Planted, planted};
use super::reclaim;
use super::relocate::Way;
use super::residence::Populate;
use super::shootdown;
use super::space::AddressSpace;
use super::vma::{Totals, checked_end};

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
