//! mmap and munmap (rules M2, M5, M10).
//!
//! A call that changes the VMA map holds the mmap lock exclusively. First comes everything that can
//! fail: VMAs are counted, paths made private. The change itself cannot fail. Rights that go are
//! gone on every CPU before the lock is released. If the thread is killed before, the lock is not
//! granted to another task earlier (`mmap_lock.rs`). So a range is not handed out again before its
//! shootdown is complete.
//!
//! A call may be killed at each of its waits. So pages, VMAs and the flush requests that were sent
//! are in step at each of them.

use super::address_space::AddressSpace;
use super::clear::Vmas;
use super::error::MapError;
use super::placement::{Placement, place_for};
use super::populate::Populate;
use crate::memory::frame;
use crate::memory::object::Object;
use crate::memory::vma::map::{Totals, checked_end};
use crate::memory::vma::vm_area::{Backing, Protection, Vma, VmaFlags};
use alloc::sync::Arc;

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

impl AddressSpace {
    /// Maps `length` bytes and returns where. Nothing is allocated yet but the VMA. It
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
        if let Backing::Private(object, _) | Backing::Shared(object, _) = &area.backing {
            object.note_mapping();
        }
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
}

/// What [`AddressSpace::shared_mapping`] finds.
type SharedMapping = (Arc<Object>, Protection, Protection, VmaFlags);

impl AddressSpace {
    /// The object that a whole range maps, with its rights, those that it may get, and its flags; if it
    /// is shared and one VMA.
    pub async fn shared_mapping(&self, start: usize, length: usize) -> Option<SharedMapping> {
        let mappings = self.mmap_lock.read().await;
        let vma = mappings.vmas.find(start)?;
        let Backing::Shared(object, _) = &vma.backing else {
            return None;
        };
        let fits = start.checked_add(length)? <= vma.end;
        fits.then(|| (object.clone(), vma.protection, vma.allowed, vma.flags))
    }
}
