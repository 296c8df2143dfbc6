//! mremap: VMAs that shrink, grow or move (rules M1, M2, M5).
//!
//! The entries are moved by `move_tables.rs`; here is what may be done, and what becomes of
//! the VMAs.

use super::address_space::AddressSpace;
use super::clear::Vmas;
use super::error::MapError;
use super::mmap_lock::Mappings;
use super::move_tables::Move;
use super::placement::{Placement, place_for};
use super::populate::Populate;
use crate::arch::FRAME_SIZE;
use crate::memory::frame;
use crate::memory::reclaim::reclaimer;
use crate::memory::reclaim::retired::RetiredBatch;
use crate::memory::tlb::range::FlushRange;
use crate::memory::tlb::shootdown;
use crate::memory::vma::map::{Totals, checked_end};
use crate::memory::vma::vm_area::{Vma, VmaFlags};

/// Where a mapping may be after mremap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Where it is.
    Here,
    /// Where it is, or anywhere if it has no room there (`MREMAP_MAYMOVE`).
    Anywhere,
    /// At this place (`MREMAP_FIXED`, or a hint for `MREMAP_DONTUNMAP`).
    At(Placement),
}

/// What is asked of mremap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remap {
    /// The first address of the range.
    pub start: usize,
    /// Its length; 0 maps a shared VMA once more.
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
        let mut mappings = self.mmap_lock.write().await;
        let start = remap.start;
        let area = mappings
            .vmas
            .find(start)
            .ok_or(MapError::NotOneVma)?
            .clone();
        if let Target::At(place) = remap.target {
            return self
                .move_to(&mut mappings, remap, place, old_length, new_length)
                .await;
        }
        if new_length <= old_length {
            if new_length < old_length {
                let cut = start + new_length;
                let end = checked_end(cut, old_length - new_length).ok_or(MapError::BadRange)?;
                self.clear(&mut mappings, cut, end, Vmas::Remove).await?;
            }
            return Ok(start);
        }
        frame::ensure_free()?;
        may_be_longer(&mappings, &area, start, old_length, new_length)?;
        let old_end = start + old_length;
        if old_end == area.end
            && let Some(end) = checked_end(start, new_length)
            && mappings.vmas.is_free(old_end, end)
        {
            let mut nodes = mappings.vmas.reserve_insert(old_end, end)?;
            mappings.vmas.insert(area.part(old_end, end), &mut nodes);
            return Ok(start);
        }
        if remap.target == Target::Here {
            return Err(MapError::OutOfMemory);
        }
        mappings.vmas.may_move(0)?;
        let (to, _) = place_for(&mappings, Placement::Any, new_length)?;
        let route = Move {
            from: start,
            to,
            length: old_length,
        };
        self.move_area(&mut mappings, &area, route, new_length, Vmas::Remove)
            .await
    }

    /// The forms that are told where to go, and those that leave the old place mapped.
    async fn move_to(
        &self,
        mappings: &mut Mappings,
        remap: Remap,
        place: Placement,
        mut old_length: usize,
        new_length: usize,
    ) -> Result<usize, MapError> {
        // As many may be cut.
        mappings.vmas.may_move(2)?;
        frame::ensure_free()?;
        let start = remap.start;
        let old_end = start.checked_add(old_length).ok_or(MapError::BadRange)?;
        if let Placement::Fixed(to) | Placement::Hint(to) = place {
            let end = checked_end(to, new_length).ok_or(MapError::BadRange)?;
            if start < end && to < old_end {
                return Err(MapError::BadRange);
            }
        }
        if let Placement::Fixed(to) = place {
            self.clear(mappings, to, to + new_length, Vmas::Remove)
                .await?;
        }
        if old_length > new_length {
            let cut = start + new_length;
            checked_end(cut, old_length - new_length).ok_or(MapError::BadRange)?;
            self.clear(mappings, cut, old_end, Vmas::Remove).await?;
            old_length = new_length;
        }
        // Only now, as VMAs may have been cut.
        let area = mappings
            .vmas
            .find(start)
            .ok_or(MapError::NotOneVma)?
            .clone();
        may_be_longer(mappings, &area, start, old_length, new_length)?;
        if remap.keeps_old && !allowed(mappings, &area, start, new_length) {
            return Err(MapError::OutOfMemory);
        }
        let (to, _) = place_for(mappings, place, new_length)?;
        let route = Move {
            from: start,
            to,
            length: old_length,
        };
        let old_areas = if remap.keeps_old {
            Vmas::Keep
        } else {
            Vmas::Remove
        };
        self.move_area(mappings, &area, route, new_length, old_areas)
            .await
    }

    /// Moves part of one VMA to where nothing is mapped, and makes it `new_length` long.
    async fn move_area(
        &self,
        mappings: &mut Mappings,
        area: &Vma,
        route: Move,
        new_length: usize,
        old_areas: Vmas,
    ) -> Result<usize, MapError> {
        if self.prepare_move(mappings, route).await.is_err() {
            // Rule M10: what waits to be dropped may be what is missing.
            reclaimer::direct_reclaim().await;
            self.prepare_move(mappings, route).await?;
        }
        let (from, to) = (route.from, route.to);
        let mut nodes = mappings
            .vmas
            .reserve_move((from, from + route.length), (to, to + new_length))?;
        let mut done = 0;
        while done < route.length {
            let step = route.after(done);
            let ready = shootdown::ready().await;
            let mut retired = RetiredBatch::new();
            let (moved, any) = self.move_some(step, &mut retired);
            // The VMAs move with their pages: a thread that is killed in the wait leaves no page
            // without its VMA.
            let piece = area.part(step.from, step.from + moved);
            if old_areas == Vmas::Remove {
                let end = step.from + moved;
                mappings.vmas.remove_some(step.from, end, 1, &mut nodes);
            }
            mappings.vmas.insert(piece.moved_to(step.to), &mut nodes);
            if any {
                let range = FlushRange {
                    start: step.from,
                    end: step.from + moved,
                };
                let shootdown = self
                    .active_cpus
                    .flush_and_release(ready, range, &mut retired);
                mappings.expect(shootdown);
            }
            mappings.finish_outstanding().await;
            executor::spend_budget().await;
            done += moved;
        }
        if new_length > route.length {
            let (end, rest) = (route.from + route.length, new_length - route.length);
            let grown = area.part(end, end + rest);
            mappings
                .vmas
                .insert(grown.moved_to(to + route.length), &mut nodes);
        }
        if old_areas == Vmas::Keep {
            // As Linux has it: what stays is empty, so there is nothing to keep in memory.
            let unlock = |vma: &mut Vma| vma.flags.remove(VmaFlags::LOCKED);
            let end = from + route.length;
            mappings.vmas.change(from, end, unlock, &mut nodes);
        }
        Ok(route.to)
    }
}

/// Whether part of a VMA, of which `old_length` bytes are named, may become `new_length`
/// long.
fn may_be_longer(
    mappings: &Mappings,
    area: &Vma,
    start: usize,
    old_length: usize,
    new_length: usize,
) -> Result<(), MapError> {
    if old_length == 0 && !area.backing.is_shared() {
        return Err(MapError::BadRange);
    }
    if old_length > area.end - start {
        return Err(MapError::NotOneVma);
    }
    let offset = area.backing.offset() + (start - area.start) as u64;
    if offset.checked_add(new_length as u64).is_none() {
        return Err(MapError::BadRange);
    }
    if new_length > old_length && !allowed(mappings, area, start, new_length - old_length) {
        return Err(MapError::OutOfMemory);
    }
    Ok(())
}

/// Whether there may be so much more of a VMA. As with mmap, what could never be there at
/// once is refused.
fn allowed(mappings: &Mappings, area: &Vma, start: usize, length: usize) -> bool {
    let Some(end) = checked_end(start, length) else {
        return false;
    };
    let more = Totals::of(&area.part(start, end));
    more.data <= frame::managed_frames() && mappings.limits.allow(mappings.vmas.totals(), more)
}
