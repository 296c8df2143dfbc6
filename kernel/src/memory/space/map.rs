//! Changing what is mapped where: mmap and munmap (rules M2, M5, M10).
//!
//! All that changes the mappings holds its lock alone. First everything that can fail is done
//! (areas counted, paths un-shared), then the change itself, which cannot. Rights that go
//! are gone on every CPU before the lock is let go, or, when the thread is killed before,
//! given to anybody else (`mappings.rs`): so a range is not handed out again before.
//!
//! A call that waits half-way leaves pages, areas and what other CPUs have been asked for
//! in step at each of its waits, as it may be killed there.

use crate::arch::FRAME_SIZE;
use crate::arch::level::Level;
use crate::arch::paging::Table;
use crate::memory::frame::{self, OutOfMemory};
use crate::memory::planted::{Planted, planted};
use crate::memory::reclaim::Retired;
use crate::memory::space::AddressSpace;
use crate::memory::space::mmap_lock::Mappings;
use crate::memory::space::populate::Populate;
use crate::memory::tlb::flush::{BATCH, FlushRange, RetiredBatch};
use crate::memory::tlb::shootdown::{self, Ready};
use crate::memory::vma::map::{LOWEST, Totals, checked_end};
use crate::memory::vma::vm_area::{Backing, Protection, Vma, VmaFlags};

/// Where a mapping shall go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
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
    pub place: Placement,
    /// How many bytes; rounded up to pages.
    pub length: usize,
    /// What the program may do there.
    pub protection: Protection,
    /// What it may ever be allowed to do there.
    pub allowed: Protection,
    /// Where its pages come from.
    pub backing: Backing,
    /// What else is wanted.
    pub flags: VmaFlags,
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
    NotOneVma,
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

/// What becomes of the areas whose pages are taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::memory) enum Vmas {
    /// They stay, and begin anew.
    Keep,
    /// They go as well.
    Remove,
}

/// Vmas that are taken out in one go, at the most.
const VMAS_AT_ONCE: usize = 64;

impl AddressSpace {
    /// Maps `length` bytes and returns where. Nothing is allocated yet but the area. It
    /// can get every right later.
    pub async fn map(
        &self,
        place: Placement,
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
            flags: VmaFlags::empty(),
            populated: false,
        })
        .await
    }

    /// The same with all that can be said of a mapping.
    pub async fn map_as(&self, request: MapRequest) -> Result<usize, MapError> {
        if !request.allowed.contains(request.protection) {
            return Err(MapError::NotAllowed);
        }
        let mut mappings = self.mmap_lock.write().await;
        mappings.vmas.may_add()?;
        frame::ensure_free()?;
        let (start, end) = match request.place {
            Placement::Fixed(start) => {
                let end = checked_end(start, request.length).ok_or(MapError::BadRange)?;
                (start, end)
            }
            place => place_for(&mappings, place, request.length)?,
        };
        let area = Vma {
            start,
            end,
            protection: request.protection,
            allowed: request.allowed,
            backing: request.backing,
            flags: request.flags | mappings.new_flags,
        };
        let populated = request.populated || area.flags.contains(VmaFlags::LOCKED);
        let replaced = mappings.vmas.totals_within(start, end);
        let there = mappings.vmas.totals().minus(replaced);
        if !mappings.limits.allow(there, Totals::of(&area)) {
            return Err(MapError::OutOfMemory);
        }
        let mut nodes = mappings.vmas.reserve_insert(start, end)?;
        self.clear(&mut mappings, start, end, Vmas::Remove).await?;
        mappings.vmas.insert(area, &mut nodes);
        drop(mappings);
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
        let mut mappings = self.mmap_lock.write().await;
        Ok(self.clear(&mut mappings, start, end, Vmas::Remove).await?)
    }

    /// Takes all pages in the range out of the tables. When it returns no CPU can use them
    /// any more. Fails before it has changed anything.
    pub(in crate::memory) async fn clear(
        &self,
        mappings: &mut Mappings,
        start: usize,
        end: usize,
        areas: Vmas,
    ) -> Result<(), OutOfMemory> {
        if mappings.vmas.is_free(start, end) {
            return Ok(());
        }
        let mut nodes = match areas {
            Vmas::Remove => Some(mappings.vmas.reserve_removal(start, end)?),
            Vmas::Keep => None,
        };
        let range = FlushRange { start, end };
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        // Only at its two ends the range can cover a table in part; after this, clearing cannot
        // fail.
        let opened = self.open_edges(start, end, &mut retired);
        if opened.is_err() {
            self.forget(mappings, ready, range, &mut retired);
            mappings.finish_outstanding().await;
            return opened;
        }
        let mut at = start;
        loop {
            let done = self.clear_some(at, end, &mut retired);
            self.forget(mappings, ready, range, &mut retired);
            // The areas go with their pages: whoever is killed in a wait leaves no page without
            // an area to the others who use this memory.
            while let Some(nodes) = &mut nodes
                && at < done
            {
                at = mappings.vmas.remove_some(at, done, VMAS_AT_ONCE, nodes);
                if at < done {
                    executor::spend_budget().await;
                }
            }
            at = done;
            mappings.finish_outstanding().await;
            if at == end {
                break;
            }
            ready = shootdown::ready().await;
        }
        if let Some(nodes) = nodes {
            mappings.vmas.give_back(nodes);
        }
        Ok(())
    }

    /// Makes all CPUs forget the range and releases `retired` then; the mappings knows what
    /// there is to wait for. To be called before any wait.
    pub(in crate::memory) fn forget(
        &self,
        mappings: &mut Mappings,
        ready: Ready,
        range: FlushRange,
        retired: &mut RetiredBatch,
    ) {
        if retired.is_empty() {
            return;
        }
        let shootdown = self.active_cpus.flush_and_release(ready, range, retired);
        if !planted(Planted::UnmapWithoutWaiting) {
            mappings.expect(shootdown);
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
            self.break_cow_existing(address, retired)?;
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
                // entry is covered; we hold the mmap lock alone, so it stays.
                table = unsafe { Table::new(frame) };
                level = level.below();
            }
        }
        at.min(end)
    }
}

/// Changes what is known of the areas in a range and concerns none of their pages. It is done
/// some areas at a time; a failure is one before the first of them, unless there are many.
pub(in crate::memory) async fn change_vmas(
    mappings: &mut Mappings,
    start: usize,
    end: usize,
    change: impl Fn(&mut Vma),
) -> Result<(), OutOfMemory> {
    mappings.vmas.may_change(start, end, &change)?;
    let mut at = start;
    while at < end {
        let next = mappings.vmas.end_of_nth(VMAS_AT_ONCE, at, end);
        let mut nodes = mappings.vmas.reserve_change(at, next)?;
        mappings.vmas.change(at, next, &change, &mut nodes);
        at = next;
        executor::spend_budget().await;
    }
    Ok(())
}

/// A free range for a mapping; one at a fixed place must be free already.
pub(in crate::memory) fn place_for(
    mappings: &Mappings,
    place: Placement,
    length: usize,
) -> Result<(usize, usize), MapError> {
    match place {
        Placement::Fixed(start) | Placement::FixedNoReplace(start) => {
            let end = checked_end(start, length).ok_or(MapError::BadRange)?;
            if !mappings.vmas.is_free(start, end) {
                return Err(MapError::Occupied);
            }
            return Ok((start, end));
        }
        Placement::Hint(start) => {
            if let Some(end) = checked_end(start, length)
                && start >= LOWEST
                && mappings.vmas.has_place(start, end)
            {
                return Ok((start, end));
            }
        }
        Placement::Any => {}
    }
    let length = length
        .checked_next_multiple_of(FRAME_SIZE)
        .ok_or(MapError::OutOfMemory)?;
    let start = mappings
        .vmas
        .find_free(length, mappings.map_top)
        .ok_or(MapError::OutOfMemory)?;
    Ok((start, start + length))
}
