//! What a child does not get at a fork: areas that are its parent's alone, contents that
//! were to be wiped, and locks on memory (madvise(2), mlock(2)).
//!
//! A fork shares whole tables, so the child has all of it at first. Before it runs, and
//! before anybody else can reach its address space, it gives up what is not meant for it:
//! it un-shares the paths to that and takes it out of its own tables, as a munmap would.
//! Without such areas a fork does not look at any.

use super::area::Traits;
use super::frames::{self, OutOfMemory};
use super::map::Areas;
use super::space::AddressSpace;
use crate::arch::level::USER_END;

impl AddressSpace {
    /// To be called by a fork, for the child.
    pub(super) async fn give_up_what_is_not_inherited(&self) -> Result<(), OutOfMemory> {
        let mut layout = self.layout.write().await;
        if !layout.vmas.concern_fork() {
            return Ok(());
        }
        // They are about to be copied.
        frames::admit_bytes(layout.vmas.cost_of_change())?;
        let mut at = 0;
        while let Some(area) = layout.vmas.first_with(Traits::OF_FORK, at, USER_END) {
            let (start, end, traits) = (area.start, area.end, area.traits);
            if traits.contains(Traits::NOT_INHERITED) {
                self.clear(&mut layout, start, end, Areas::Go).await?;
            } else if traits.contains(Traits::EMPTY_IN_CHILD) {
                self.clear(&mut layout, start, end, Areas::Stay).await?;
            }
            layout
                .vmas
                .change(start, end, |vma| vma.traits.remove(Traits::LOCKED));
            at = end;
        }
        Ok(())
    }
}
