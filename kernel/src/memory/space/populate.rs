//! Pages that shall be there before they are used, and which are: `MAP_POPULATE`, mlock,
//! mincore.
//!
//! Memory never leaves, so a page that is there is as good as locked, and to lock memory is
//! to fault it in. The trait is kept because other calls ask for it.

use super::address_space::AddressSpace;
use super::change_vmas::change_vmas;
use super::error::FaultError;
use super::error::MapError;
use crate::arch::Access;
use crate::arch::FRAME_SIZE;
use crate::arch::level::USER_END;
use crate::arch::paging::Bits;
use crate::memory::vma::map::checked_end;
use crate::memory::vma::vm_area::{Backing, Protection, Vma, VmaFlags};

/// How pages are to be made present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Populate {
    /// As the program is most likely to use them: to be written where that makes a
    /// difference.
    AsAllowed,
    /// As by reading each page (`MADV_POPULATE_READ`).
    ByReading,
    /// As by writing each page (`MADV_POPULATE_WRITE`).
    ByWriting,
}

impl Populate {
    fn access(self, vma: &Vma) -> Access {
        let private_and_writable =
            vma.protection.contains(Protection::WRITE) && !vma.backing.is_shared();
        match self {
            Populate::ByReading => Access::Read,
            Populate::ByWriting => Access::Write,
            Populate::AsAllowed if private_and_writable => Access::Write,
            Populate::AsAllowed if vma.protection == Protection::EXECUTE => Access::Execute,
            Populate::AsAllowed => Access::Read,
        }
    }
}

impl AddressSpace {
    /// Makes all pages of a range present, until one cannot be.
    pub async fn populate(
        &self,
        start: usize,
        length: usize,
        how: Populate,
    ) -> Result<(), FaultError> {
        let end = checked_end(start, length).ok_or(FaultError::NotMapped)?;
        let mut at = start;
        while at < end {
            // After each await the VMAs may be others.
            let (area_end, access) = {
                let mappings = self.mmap_lock.read().await;
                let vma = mappings.vmas.find(at).ok_or(FaultError::NotMapped)?;
                (vma.end.min(end), how.access(vma))
            };
            while at < area_end {
                if !self.is_ready(at, access) {
                    self.fault(at, access).await?;
                }
                at += FRAME_SIZE;
                executor::spend_budget().await;
            }
        }
        Ok(())
    }

    /// Whether the tables allow the access already, as far as can be seen.
    fn is_ready(&self, address: usize, access: Access) -> bool {
        self.look_up(address).is_some_and(|(entry, writable)| {
            entry.is_present()
                && entry.bits().contains(Bits::USER)
                && (access != Access::Write || writable)
        })
    }

    /// Locks the VMAs of a range, or unlocks them, as far as there is no hole.
    pub async fn set_locked(
        &self,
        start: usize,
        length: usize,
        locked: bool,
    ) -> Result<(), MapError> {
        let end = checked_end(start, length).ok_or(MapError::NotMapped)?;
        let mut mappings = self.mmap_lock.write().await;
        let reached = mappings.vmas.covered_until(start, end);
        let change = |vma: &mut Vma| vma.flags.set(VmaFlags::LOCKED, locked);
        change_vmas(&mut mappings, start, reached, change).await?;
        match reached == end {
            true => Ok(()),
            false => Err(MapError::NotMapped),
        }
    }

    /// Locks or unlocks all VMAs that there are, if `now`, and says what is to become of
    /// those to come (mlockall(2)).
    pub async fn set_all_locked(&self, now: Option<bool>, later: bool) -> Result<(), MapError> {
        let mut mappings = self.mmap_lock.write().await;
        if let Some(locked) = now {
            let change = |vma: &mut Vma| vma.flags.set(VmaFlags::LOCKED, locked);
            change_vmas(&mut mappings, 0, USER_END, change).await?;
        }
        mappings.new_flags.set(VmaFlags::LOCKED, later);
        Ok(())
    }

    /// Makes all pages of locked VMAs present, as far as possible.
    pub async fn populate_locked(&self) {
        let mut at = 0;
        loop {
            let area = {
                let mappings = self.mmap_lock.read().await;
                let vma = mappings.vmas.first_with(VmaFlags::LOCKED, at, USER_END);
                vma.map(|vma| (vma.start, vma.size()))
            };
            let Some((start, size)) = area else { return };
            // Pages that cannot be there, such as those without any right, are left out (mlockall(2)).
            let _ = self.populate(start, size, Populate::AsAllowed).await;
            at = start + size;
        }
    }

    /// Whether the range is mapped without a hole, and whether any of it is locked.
    pub async fn is_mapped(&self, start: usize, length: usize) -> (bool, bool) {
        let Some(end) = checked_end(start, length) else {
            return (false, false);
        };
        let mappings = self.mmap_lock.read().await;
        let locked = mappings
            .vmas
            .first_with(VmaFlags::LOCKED, start, end)
            .is_some();
        (mappings.vmas.covers(start, end), locked)
    }

    /// Says of each page from `start` on whether it is there: mapped, or among the pages of
    /// what is mapped (mincore(2)).
    pub async fn residence(&self, start: usize, pages: &mut [u8]) -> Result<(), MapError> {
        let end = checked_end(start, pages.len() * FRAME_SIZE).ok_or(MapError::NotMapped)?;
        let mappings = self.mmap_lock.read().await;
        if !mappings.vmas.covers(start, end) {
            return Err(MapError::NotMapped);
        }
        for vma in mappings.vmas.overlapping(start, end) {
            let (from, to) = (vma.start.max(start), vma.end.min(end));
            for at in (from..to).step_by(FRAME_SIZE) {
                let mapped = self
                    .look_up(at)
                    .is_some_and(|(entry, _)| entry.is_present());
                if let Some(page) = pages.get_mut((at - start) / FRAME_SIZE) {
                    *page = u8::from(mapped || is_in_object(vma, at));
                }
            }
        }
        Ok(())
    }
}

fn is_in_object(vma: &Vma, address: usize) -> bool {
    match &vma.backing {
        Backing::Anonymous => false,
        Backing::Private(object, offset) | Backing::Shared(object, offset) => {
            object.has_page((offset + (address - vma.start) as u64) / FRAME_SIZE as u64)
        }
    }
}
