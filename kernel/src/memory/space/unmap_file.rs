//! Taking the pages of a file that was cut out of every address space that maps it (rule M5).
//!
//! A program that has mapped a file gets `SIGBUS` beyond the file's new end, and no old bytes when
//! the file grows again. That holds for private copies as well (truncate(2); Linux:
//! `unmap_mapping_range`).
//!
//! The caller has stored the new length before. A fault that comes later finds the page beyond the
//! end, so what is taken out here does not come back. An object has no list of the address spaces
//! that map it: a fork would have to update one for each file. All address spaces are looked at
//! instead, if the object was ever mapped.

use super::address_space::AddressSpace;
use super::clear::Vmas;
use super::mmap_lock::Mappings;
use crate::arch::level::USER_END;
use crate::arch::{FRAME_SIZE, PerMachine};
use crate::memory::frame::OutOfMemory;
use crate::memory::heap::fallible;
use crate::memory::object::Object;
use crate::memory::reclaim::reclaimer;
use crate::memory::vma::vm_area::{Backing, Vma};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The address space with the next number after this one, and its number.
pub type NextSpace = fn(u32) -> Option<(u32, Option<Arc<AddressSpace>>)>;

static NEXT_SPACE: PerMachine<NextSpace> = PerMachine::new();

/// Tells how to find all address spaces. Called once, by the layer that numbers them.
pub fn set_next_space(next: NextSpace) {
    NEXT_SPACE.init(next);
}

/// Takes all pages that lie completely beyond the end of the object out of all address spaces.
/// When it returns no CPU can use them any more.
pub async fn unmap_beyond_end(object: &Arc<Object>) {
    let Some(next) = NEXT_SPACE.try_get().filter(|_| object.was_mapped()) else {
        return;
    };
    // In a box: it seldom comes to this, and each system call that may cut a file would have room for
    // it.
    match fallible::boxed_from_reserve(unmap_everywhere(object, *next)) {
        Ok(work) => Box::into_pin(work).await,
        Err(OutOfMemory) => log::warn!("pages of a file that was cut stay mapped: no memory"),
    }
}

async fn unmap_everywhere(object: &Arc<Object>, next: NextSpace) {
    let mut number = 0;
    while let Some((found, space)) = next(number) {
        number = found;
        if let Some(space) = space {
            space.unmap_beyond_end_here(object).await;
        }
        executor::spend_budget().await;
    }
}

impl AddressSpace {
    /// The same for one address space.
    pub(in crate::memory) async fn unmap_beyond_end_here(&self, object: &Arc<Object>) {
        let is_concerned = {
            let mappings = self.mmap_lock.read().await;
            first_beyond(&mappings, object, 0).is_some()
        };
        if !is_concerned {
            return;
        }
        let mut mappings = self.mmap_lock.write().await;
        let mut at = 0;
        while let Some((start, end)) = first_beyond(&mappings, object, at) {
            let cleared = self.clear(&mut mappings, start, end, Vmas::Keep).await;
            if cleared.is_err() {
                // Rule M10: the tables at the two ends have to be private. What waits to be dropped
                // may be what is missing for them.
                reclaimer::direct_reclaim().await;
                let again = self.clear(&mut mappings, start, end, Vmas::Keep).await;
                if again.is_err() {
                    log::warn!("pages of a file that was cut stay mapped: no memory for tables");
                }
            }
            at = end;
            executor::spend_budget().await;
        }
    }
}

/// The first range from `at` on that maps what lies beyond the end of the object.
fn first_beyond(mappings: &Mappings, object: &Arc<Object>, at: usize) -> Option<(usize, usize)> {
    let length = object.len().next_multiple_of(FRAME_SIZE as u64);
    let vmas = mappings.vmas.overlapping(at, USER_END);
    vmas.filter_map(|vma| beyond(vma, object, length)).next()
}

fn beyond(vma: &Vma, object: &Arc<Object>, length: u64) -> Option<(usize, usize)> {
    let (Backing::Private(mapped, offset) | Backing::Shared(mapped, offset)) = &vma.backing else {
        return None;
    };
    let before = usize::try_from(length.saturating_sub(*offset)).unwrap_or(usize::MAX);
    let beyond = Arc::ptr_eq(mapped, object) && before < vma.size();
    beyond.then_some((vma.start + before, vma.end))
}
