//! madvise: what a program says about a range of its memory (rules M2, M5).
//!
//! Linux works through all mapped parts of the range
//! and complains of the holes afterwards; so does this.

use super::address_space::AddressSpace;
use super::change_vmas::change_vmas;
use super::clear::Vmas;
use super::error::MapError;
use super::mmap_lock::Mappings;
use crate::memory::vma::map::checked_end;
use crate::memory::vma::vm_area::{Backing, Vma, VmaFlags};

/// What a program says about a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Its contents are not needed: private pages are dropped, and begin again as zeroes or
    /// as the file has them. What is shared stays with the others (`MADV_DONTNEED`).
    Discard,
    /// The same, even of locked memory (`MADV_DONTNEED_LOCKED`).
    DiscardEvenLocked,
    /// The same as the first, for private anonymous memory only, and not needed at once (`MADV_FREE`).
    /// Here it is done at once, as it may be.
    DiscardAnonymous,
    /// Children do not get it (`MADV_DONTFORK`), or do again (`MADV_DOFORK`).
    DoFork(bool),
    /// Children get it empty (`MADV_WIPEONFORK`), or with its contents again
    /// (`MADV_KEEPONFORK`). Only private anonymous memory can be had empty.
    KeepOnFork(bool),
    /// It is not going to be used soon: nothing is made of that here, but it contradicts a
    /// lock (`MADV_COLD`, `MADV_PAGEOUT`).
    NotSoon,
    /// How it is going to be used: nothing is made of that here.
    Hint,
}

impl Advice {
    fn suits(self, vma: &Vma) -> bool {
        let anonymous = matches!(vma.backing, Backing::Anonymous);
        let locked = vma.flags.contains(VmaFlags::LOCKED);
        match self {
            Advice::Discard | Advice::NotSoon => !locked,
            Advice::DiscardAnonymous => !locked && anonymous,
            Advice::KeepOnFork(false) => anonymous,
            Advice::DiscardEvenLocked
            | Advice::DoFork(_)
            | Advice::KeepOnFork(true)
            | Advice::Hint => true,
        }
    }
}

impl AddressSpace {
    /// Does what `advice` says. What is discarded is gone on every CPU when it returns.
    pub async fn advise(
        &self,
        start: usize,
        length: usize,
        advice: Advice,
    ) -> Result<(), MapError> {
        let end = checked_end(start, length).ok_or(MapError::BadRange)?;
        let mut mappings = self.mmap_lock.write().await;
        let (end, outcome) = suited_part(&mappings, start, end, advice);
        if start == end {
            return outcome;
        }
        let (which, value) = match advice {
            Advice::Hint | Advice::NotSoon => return outcome,
            Advice::Discard | Advice::DiscardEvenLocked | Advice::DiscardAnonymous => {
                self.clear(&mut mappings, start, end, Vmas::Keep).await?;
                return outcome;
            }
            Advice::DoFork(inherit) => (VmaFlags::DONT_FORK, !inherit),
            Advice::KeepOnFork(keep) => (VmaFlags::WIPE_ON_FORK, !keep),
        };
        let change = |vma: &mut Vma| vma.flags.set(which, value);
        change_vmas(&mut mappings, start, end, change).await?;
        outcome
    }
}

/// Up to where the advice suits the VMAs of the range, and what is to be said when it has
/// been followed there.
fn suited_part(
    mappings: &Mappings,
    start: usize,
    end: usize,
    advice: Advice,
) -> (usize, Result<(), MapError>) {
    let mut areas = mappings.vmas.overlapping(start, end);
    if let Some(vma) = areas.find(|vma| !advice.suits(vma)) {
        return (vma.start.max(start), Err(MapError::BadKind));
    }
    let outcome = match mappings.vmas.covers(start, end) {
        true => Ok(()),
        false => Err(MapError::NotMapped),
    };
    (end, outcome)
}
