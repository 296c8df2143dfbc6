//! Areas that grow: an access below one extends it down to there (`MAP_GROWSDOWN` in
//! mmap(2), and every first stack).
//!
//! It grows as far as its limit allows, and not nearer than [`GUARD_GAP`] to the area below:
//! a program that runs over its stack shall end with a fault, and not in somebody else's
//! data (CVE-2010-2240, CVE-2017-1000364).

use super::FRAME_SIZE;
use super::area::{Traits, Vma};
use super::fault::FaultError;
use super::frames;
use super::layout::Layout;
use super::map::may_change;
use super::space::AddressSpace;
use super::vma::{GUARD_GAP, LOWEST, Totals};
use crate::arch::level::page_of;
use executor::sync::ReadGuard;

/// Whether an access to an address where nothing is mapped may make an area grow. Whether it
/// does is for [`grow`] to say.
pub(super) fn may_grow(layout: &Layout, address: usize) -> bool {
    above(layout, address).is_some()
}

/// The area above an address where nothing is mapped, if it is one that grows.
fn above(layout: &Layout, address: usize) -> Option<&Vma> {
    let vma = layout.vmas.first_from(address)?;
    vma.traits.contains(Traits::GROWS_DOWN).then_some(vma)
}

/// Extends the area above the address down to it.
pub(super) fn grow(layout: &mut Layout, address: usize) -> Result<(), FaultError> {
    let start = page_of(address);
    let vma = above(layout, start).ok_or(FaultError::NotMapped)?;
    let grown = Vma {
        start,
        end: vma.start,
        ..vma.clone()
    };
    let too_long = vma.end - start > layout.limits.stack;
    // As on Linux, an area that grows as well and one that nobody can use keep no distance.
    let too_near = layout.vmas.last_below(start).is_some_and(|below| {
        start - below.end < GUARD_GAP
            && !below.protection.is_empty()
            && !below.traits.contains(Traits::GROWS_DOWN)
    });
    let allowed = layout
        .limits
        .allow(layout.vmas.totals(), Totals::of(&grown));
    if start < LOWEST || too_long || too_near || !allowed {
        return Err(FaultError::NotMapped);
    }
    may_change(layout).map_err(|_| FaultError::OutOfMemory)?;
    frames::admit()?;
    layout.vmas.insert(grown);
    Ok(())
}

impl AddressSpace {
    /// Extends the area above the address down to it, and gives the layout as it is then. It
    /// is held alone for that only: a fault goes on beside others.
    pub(super) async fn grown(&self, address: usize) -> Result<ReadGuard<'_, Layout>, FaultError> {
        let mut layout = self.layout.write().await;
        // Another thread may have been faster.
        if layout.vmas.find(address).is_none() {
            grow(&mut layout, address)?;
        }
        Ok(layout.downgrade())
    }

    /// Extends the area above the address down to it, or as far as its limit allows, in an
    /// address space that nobody is in yet: room for a program to begin with.
    pub fn grow_while_private(&self, address: usize) -> Result<(), FaultError> {
        let mut layout = self.layout.try_write().ok_or(FaultError::NotAllowed)?;
        if layout.vmas.find(address).is_some() {
            return Ok(());
        }
        let area = above(&layout, address).ok_or(FaultError::NotMapped)?;
        let lowest = area.end.saturating_sub(layout.limits.stack);
        let address = address.max(lowest.next_multiple_of(FRAME_SIZE));
        if address >= area.start {
            return Ok(());
        }
        grow(&mut layout, address)
    }
}
