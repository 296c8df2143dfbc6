//! Changing what is known of areas, and nothing of their pages.

use super::mmap_lock::Mappings;
use crate::memory::frame::OutOfMemory;
use crate::memory::vma::vm_area::Vma;

/// Vmas that are changed in one go, at the most.
const VMAS_AT_ONCE: usize = 64;

/// Changes the areas in a range, cutting those that reach beyond it. It is done some areas at a
/// time; a failure is one before the first of them, unless there are many.
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
