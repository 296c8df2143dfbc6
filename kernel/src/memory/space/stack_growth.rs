//! Vmas that grow: an access below one extends it down to there (`MAP_GROWSDOWN` in
//! mmap(2), and every first stack).
//!
//! It grows as far as its limit allows, and not nearer than [`GUARD_GAP`] to the VMA below:
//! a program that runs over its stack shall end with a fault, and not in other
//! data (CVE-2010-2240, CVE-2017-1000364).

use super::address_space::AddressSpace;
use super::error::FaultError;
use super::mmap_lock::Mappings;
use crate::arch::FRAME_SIZE;
use crate::arch::level::page_of;
use crate::memory::frame;
use crate::memory::vma::map::{GUARD_GAP, LOWEST, Totals};
use crate::memory::vma::vm_area::{Vma, VmaFlags};
use executor::sync::ReadGuard;

/// Whether an access to an address where nothing is mapped may make a VMA grow. Whether it
/// does is for [`grow`] to say.
pub(in crate::memory) fn may_grow(mappings: &Mappings, address: usize) -> bool {
    above(mappings, address).is_some()
}

/// The VMA above an address where nothing is mapped, if it is one that grows.
fn above(mappings: &Mappings, address: usize) -> Option<&Vma> {
    let vma = mappings.vmas.first_from(address)?;
    vma.flags.contains(VmaFlags::GROWS_DOWN).then_some(vma)
}

/// Extends the VMA above the address down to it.
pub(in crate::memory) fn grow(mappings: &mut Mappings, address: usize) -> Result<(), FaultError> {
    let start = page_of(address);
    let vma = above(mappings, start).ok_or(FaultError::NotMapped)?;
    let grown = Vma {
        start,
        end: vma.start,
        ..vma.clone()
    };
    let too_long = vma.end - start > mappings.limits.stack;
    // As on Linux, a VMA that grows as well and one without any right keep no distance.
    let too_near = mappings.vmas.last_below(start).is_some_and(|below| {
        start - below.end < GUARD_GAP
            && !below.protection.is_empty()
            && !below.flags.contains(VmaFlags::GROWS_DOWN)
    });
    let allowed = mappings
        .limits
        .allow(mappings.vmas.totals(), Totals::of(&grown));
    if start < LOWEST || too_long || too_near || !allowed {
        return Err(FaultError::NotMapped);
    }
    frame::ensure_free()?;
    // It adds no area, and so the limit on their number is none for a stack.
    let mut nodes = mappings.vmas.reserve_insert(start, grown.end)?;
    mappings.vmas.insert(grown, &mut nodes);
    Ok(())
}

impl AddressSpace {
    /// Extends the VMA above the address down to it, and gives the mappings as it is then. It
    /// is held alone for that only: a fault goes on beside others.
    pub(in crate::memory) async fn grown(
        &self,
        address: usize,
    ) -> Result<ReadGuard<'_, Mappings>, FaultError> {
        let mut mappings = self.mmap_lock.write().await;
        // Another thread may have been faster.
        if mappings.vmas.find(address).is_none() {
            grow(&mut mappings, address)?;
        }
        Ok(mappings.downgrade())
    }

    /// Extends the VMA above the address down to it, or as far as its limit allows, in an
    /// address space that no CPU is in yet: room for a program to begin with.
    pub fn grow_while_private(&self, address: usize) -> Result<(), FaultError> {
        let mut mappings = self.mmap_lock.try_write().ok_or(FaultError::NotAllowed)?;
        if mappings.vmas.find(address).is_some() {
            return Ok(());
        }
        let area = above(&mappings, address).ok_or(FaultError::NotMapped)?;
        let lowest = area.end.saturating_sub(mappings.limits.stack);
        let address = address.max(lowest.next_multiple_of(FRAME_SIZE));
        if address >= area.start {
            return Ok(());
        }
        grow(&mut mappings, address)
    }
}
