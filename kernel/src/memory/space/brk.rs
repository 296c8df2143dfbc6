//! The heap that brk(2) moves: one VMA behind the program.

use super::address_space::AddressSpace;
use super::clear::Vmas;
use super::populate::Populate;
use crate::arch::FRAME_SIZE;
use crate::arch::level::USER_END;
use crate::memory::frame;
use crate::memory::vma::map::Totals;
use crate::memory::vma::vm_area::{Backing, Protection, Vma, VmaFlags};

impl AddressSpace {
    /// Moves the end of the heap, and returns where it is then; it stays where it is when
    /// the request cannot be met (brk(2)).
    pub async fn set_break(&self, wish: usize) -> usize {
        let mut mappings = self.mmap_lock.write().await;
        let (old, new) = (mappings.heap_end, wish);
        if new < mappings.heap_start || new >= USER_END {
            return old;
        }
        let (old_page, new_page) = (
            old.next_multiple_of(FRAME_SIZE),
            new.next_multiple_of(FRAME_SIZE),
        );
        if new_page > old_page {
            let area = Vma {
                start: old_page,
                end: new_page,
                protection: Protection::READ | Protection::WRITE,
                allowed: Protection::all(),
                backing: Backing::Anonymous,
                flags: mappings.new_flags,
            };
            // One page stays free, so that what follows is not joined.
            let free = mappings.vmas.has_place(old_page, new_page + FRAME_SIZE)
                && mappings.vmas.may_add().is_ok()
                && frame::ensure_free().is_ok()
                && mappings
                    .limits
                    .allow(mappings.vmas.totals(), Totals::of(&area))
                && (new_page - old_page) / FRAME_SIZE <= frame::managed_frames();
            if !free {
                return old;
            }
            let Ok(mut nodes) = mappings.vmas.reserve_insert(old_page, new_page) else {
                return old;
            };
            let locked = area.flags.contains(VmaFlags::LOCKED);
            mappings.vmas.insert(area, &mut nodes);
            mappings.heap_end = new;
            if locked {
                drop(mappings);
                let (start, length) = (old_page, new_page - old_page);
                let _ = self.populate(start, length, Populate::AsAllowed).await;
            }
            return new;
        } else if new_page < old_page {
            // First, so that a wait which is given up leaves no end beyond what is mapped.
            mappings.heap_end = new;
            let cleared = self.clear(&mut mappings, new_page, old_page, Vmas::Remove);
            if cleared.await.is_err() {
                mappings.heap_end = old;
                return old;
            }
        }
        mappings.heap_end = new;
        new
    }

    /// EntrySet an empty heap behind the program.
    pub async fn set_heap_start(&self, start: usize) {
        let mut mappings = self.mmap_lock.write().await;
        mappings.heap_start = start;
        mappings.heap_end = start;
    }
}
