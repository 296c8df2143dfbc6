//! What a child does not get at a fork: VMAs with `MADV_DONTFORK`, the contents of VMAs with
//! `MADV_WIPEONFORK`, and locks on memory (madvise(2), mlock(2)).
//!
//! A fork shares whole tables, so the child has all of it at first. Before it runs, and before any
//! other task can reach its address space, its fork makes the paths to those VMAs private and takes
//! their pages out of the child's tables, as a munmap would. Without such VMAs a fork looks at none.

use super::address_space::AddressSpace;
use super::clear::Vmas;
use crate::arch::level::USER_END;
use crate::memory::frame::OutOfMemory;
use crate::memory::vma::vm_area::{Vma, VmaFlags};

impl AddressSpace {
    /// To be called by a fork, for the child, if [`concern_fork`](crate::memory::VmaMap::concern_fork).
    pub(in crate::memory) async fn apply_fork_advice(&self) -> Result<(), OutOfMemory> {
        let mut mappings = self.mmap_lock.write().await;
        let mut at = 0;
        while let Some(area) = mappings.vmas.first_with(VmaFlags::FORK_MASK, at, USER_END) {
            let (start, end, flags) = (area.start, area.end, area.flags);
            if flags.contains(VmaFlags::DONT_FORK) {
                self.clear(&mut mappings, start, end, Vmas::Remove).await?;
            } else if flags.contains(VmaFlags::WIPE_ON_FORK) {
                self.clear(&mut mappings, start, end, Vmas::Keep).await?;
            }
            let unlock = |vma: &mut Vma| vma.flags.remove(VmaFlags::LOCKED);
            let mut nodes = mappings.vmas.reserve_change(start, end)?;
            mappings.vmas.change(start, end, unlock, &mut nodes);
            at = end;
        }
        Ok(())
    }
}
