//! Changing what is mapped where: mmap, munmap, mprotect, brk (rules M2, M5, M10).
//!
//! All of them hold the layout's lock alone. First everything that can fail is done
//! (areas counted, paths un-shared), then the change itself, which cannot. Rights that go
//! are gone on every CPU before the lock is let go, so a range is not handed out again
//! before.

use super::FRAME_SIZE;
use super::fault::leaf_bits;
use super::flush::{BATCH, Range, RetiredBatch};
use super::frames::{self, OutOfMemory};
use super::planted::{Planted, planted};
use super::reclaim::Retired;
use super::shootdown::{self, Ready, Ticket, over};
use super::space::{AddressSpace, Layout};
use super::vma::{Backing, LOWEST, Protection, TooManyAreas, Vma, checked_end};
use crate::arch::level::{LEAF_REACH, Level, USER_END};
use crate::arch::paging::{Bits, Entry, Table};

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

/// Why a mapping cannot be changed so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// Not page-aligned, empty, or out of a program's reach.
    BadRange,
    /// Something is mapped there already.
    Occupied,
    /// Nothing is mapped in part of the range.
    NotMapped,
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
        self.map_limited(place, length, protection, Protection::all(), backing)
            .await
    }

    /// The same, for a mapping that can never have other rights than those `allowed`.
    pub async fn map_limited(
        &self,
        place: Place,
        length: usize,
        protection: Protection,
        allowed: Protection,
        backing: Backing,
    ) -> Result<usize, MapError> {
        if !allowed.contains(protection) {
            return Err(MapError::NotAllowed);
        }
        let mut layout = self.layout.write().await;
        may_change(&layout)?;
        frames::admit()?;
        let start = match place {
            Place::Fixed(start) => {
                let end = checked_end(start, length).ok_or(MapError::BadRange)?;
                self.unmap_locked(&mut layout, start, end).await?;
                start
            }
            Place::FixedNoReplace(start) => {
                let end = checked_end(start, length).ok_or(MapError::BadRange)?;
                if !layout.vmas.is_free(start, end) {
                    return Err(MapError::Occupied);
                }
                start
            }
            Place::Hint(start) => match checked_end(start, length) {
                Some(end) if start >= LOWEST && layout.vmas.is_free(start, end) => start,
                _ => find_place(&layout, length)?,
            },
            Place::Any => find_place(&layout, length)?,
        };
        let end = checked_end(start, length).ok_or(MapError::BadRange)?;
        layout.vmas.insert(Vma {
            start,
            end,
            protection,
            allowed,
            backing,
        });
        Ok(start)
    }

    /// Unmaps everything in the range. When it returns no CPU can use it any more (rule
    /// M5).
    pub async fn unmap(&self, start: usize, length: usize) -> Result<(), MapError> {
        let end = checked_end(start, length).ok_or(MapError::BadRange)?;
        let mut layout = self.layout.write().await;
        may_change(&layout)?;
        self.unmap_locked(&mut layout, start, end).await
    }

    async fn unmap_locked(
        &self,
        layout: &mut Layout,
        start: usize,
        end: usize,
    ) -> Result<(), MapError> {
        if layout.vmas.is_free(start, end) {
            return Ok(());
        }
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        // Only at its two ends the range can cover a table in part; after this, clearing cannot
        // fail.
        let opened = self.open_edges(start, end, &mut retired);
        let mut at = start;
        while opened.is_ok() && at < end {
            let done = self.clear_some(at, end, &mut retired);
            // The areas go with their pages: whoever is killed in the wait below leaves no page
            // without an area to a process with which it shares its memory (vfork).
            layout.vmas.remove(at, done);
            at = done;
            if at < end {
                over(self.shoot_down(ready, start, end, &mut retired)).await;
                ready = shootdown::ready().await;
            }
        }
        over(self.shoot_down(ready, start, end, &mut retired)).await;
        Ok(opened?)
    }

    /// Flushes for what is in `retired`, if anything is, and returns what there is to wait for.
    fn shoot_down(
        &self,
        ready: Ready,
        start: usize,
        end: usize,
        retired: &mut RetiredBatch,
    ) -> Option<Ticket> {
        if retired.is_empty() {
            return None;
        }
        self.activity
            .flush_and_release(ready, Range { start, end }, retired)
            .filter(|_| !planted(Planted::UnmapWithoutWaiting))
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
                    if table.swap(index, Entry::EMPTY).is_present() {
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

    /// Changes what a program may do with a range that is mapped without a gap.
    pub async fn protect(
        &self,
        start: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MapError> {
        let end = checked_end(start, length).ok_or(MapError::BadRange)?;
        let mut layout = self.layout.write().await;
        if !layout.vmas.covers(start, end) {
            return Err(MapError::NotMapped);
        }
        if !layout.vmas.allow(start, end, protection) {
            return Err(MapError::NotAllowed);
        }
        may_change(&layout)?;
        let mut ready = shootdown::ready().await;
        let mut retired = RetiredBatch::new();
        let mut opened = Ok(());
        let mut at = start;
        while opened.is_ok()
            && let Some((from, _)) = self.next_leaf_table(at, end)
        {
            opened = self.unshare_path(from, &mut retired).map(|_| ());
            at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
            if retired.len() > BATCH - 4 {
                over(self.shoot_down(ready, start, end, &mut retired)).await;
                executor::yield_now().await;
                ready = shootdown::ready().await;
            }
        }
        over(self.shoot_down(ready, start, end, &mut retired)).await;
        let ready = shootdown::ready().await;
        opened?;
        layout.vmas.protect(start, end, protection);
        if self.change_rights(start, end, protection) && !planted(Planted::ProtectWithoutFlush) {
            // Rule M5: a right that goes is gone everywhere when the call returns.
            let range = Range { start, end };
            let shootdown = self
                .activity
                .flush_and_release(ready, range, &mut RetiredBatch::new());
            over(shootdown).await;
        }
        Ok(())
    }

    /// Sets the rights of all leaf entries in the range, whose tables are our own. The
    /// right to write is only taken; who may have it gets it by a fault. Says whether
    /// any entry lost a right.
    fn change_rights(&self, start: usize, end: usize, protection: Protection) -> bool {
        let wanted = leaf_bits(protection);
        let mut lost = false;
        let mut at = start;
        while let Some((from, table)) = self.next_leaf_table(at, end) {
            at = from / LEAF_REACH * LEAF_REACH + LEAF_REACH;
            let first = Level::LEAF_TABLE.index(from);
            let last = Level::LEAF_TABLE.index(at.min(end) - FRAME_SIZE);
            for index in first..=last {
                if !table.load(index).is_present() {
                    continue;
                }
                let mut gone = Bits::USER.union(Bits::NO_EXECUTE).difference(wanted);
                gone.set(Bits::WRITE, !protection.contains(Protection::WRITE));
                let before = table.remove(index, gone);
                table.add(index, wanted);
                let had = before.bits();
                lost |= had.intersects(gone.intersection(Bits::USER | Bits::WRITE))
                    || (!had.contains(Bits::NO_EXECUTE) && wanted.contains(Bits::NO_EXECUTE));
            }
        }
        lost
    }

    /// Moves the end of the heap, and returns where it is then; it stays where it is when
    /// the wish cannot be fulfilled (brk(2)).
    pub async fn set_break(&self, wish: usize) -> usize {
        let mut layout = self.layout.write().await;
        let (old, new) = (layout.heap_end, wish);
        if new < layout.heap_start || new >= USER_END {
            return old;
        }
        let (old_page, new_page) = (
            old.next_multiple_of(FRAME_SIZE),
            new.next_multiple_of(FRAME_SIZE),
        );
        if new_page > old_page {
            let free = layout.vmas.is_free(old_page, new_page)
                && may_change(&layout).is_ok()
                && frames::admit().is_ok()
                && (new_page - old_page) / FRAME_SIZE <= frames::managed_frames();
            if !free {
                return old;
            }
            layout.vmas.insert(Vma {
                start: old_page,
                end: new_page,
                protection: Protection::READ | Protection::WRITE,
                allowed: Protection::all(),
                backing: Backing::Anonymous,
            });
        } else if new_page < old_page {
            if may_change(&layout).is_err() {
                return old;
            }
            // First, so that a wait which is given up leaves no end beyond what is mapped.
            layout.heap_end = new;
            if self
                .unmap_locked(&mut layout, new_page, old_page)
                .await
                .is_err()
            {
                layout.heap_end = old;
                return old;
            }
        }
        layout.heap_end = new;
        new
    }

    /// Places an empty heap behind the program.
    pub async fn place_heap(&self, start: usize) {
        let mut layout = self.layout.write().await;
        layout.heap_start = start;
        layout.heap_end = start;
    }
}

/// Whether areas can be cut and added: their number, and, where the map has to be copied
/// first, memory for that. A program can drive that copy to megabytes (rule M10).
fn may_change(layout: &Layout) -> Result<(), MapError> {
    layout.vmas.has_room()?;
    match layout.vmas.cost_of_change() {
        0 => Ok(()),
        bytes => Ok(frames::admit_bytes(bytes)?),
    }
}

fn find_place(layout: &Layout, length: usize) -> Result<usize, MapError> {
    let length = length
        .checked_next_multiple_of(FRAME_SIZE)
        .ok_or(MapError::OutOfMemory)?;
    layout
        .vmas
        .find_free(length, layout.map_top)
        .ok_or(MapError::OutOfMemory)
}
