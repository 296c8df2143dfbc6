//! The heap that brk(2) moves: one area behind the program.

use super::FRAME_SIZE;
use super::area::{Backing, Protection, Traits, Vma};
use super::frames;
use super::map::{Areas, may_change};
use super::residence::Populate;
use super::space::AddressSpace;
use super::vma::Totals;
use crate::arch::level::USER_END;

impl AddressSpace {
    /// Moves the end of the heap, and returns where it is then; it stays where it is when
    /// the wish cannot be fulfilled (brk(2)).
    pub async fn set_break(&self, wish: usize) -> usize {
        let mut layout = self.layout.write().await;
        let (old, new) = (layout.heap_end, wish);
        if new < layout.heap_start || new >= USER_END {
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
                traits: layout.new_traits,
            };
            // One page stays free, so that what follows is not joined.
            let free = layout.vmas.has_place(old_page, new_page + FRAME_SIZE)
                && may_change(&layout).is_ok()
                && frames::admit().is_ok()
                && layout.limits.allow(layout.vmas.totals(), Totals::of(&area))
                && (new_page - old_page) / FRAME_SIZE <= frames::managed_frames();
            if !free {
                return old;
            }
            let locked = area.traits.contains(Traits::LOCKED);
            layout.vmas.insert(area);
            layout.heap_end = new;
            if locked {
                drop(layout);
                let (start, length) = (old_page, new_page - old_page);
                let _ = self.populate(start, length, Populate::AsAllowed).await;
            }
            return new;
        } else if new_page < old_page {
            if may_change(&layout).is_err() {
                return old;
            }
            // First, so that a wait which is given up leaves no end beyond what is mapped.
            layout.heap_end = new;
            let cleared = self.clear(&mut layout, new_page, old_page, Areas::Go);
            if cleared.await.is_err() {
                layout.heap_end = old;
                return old;
            }
        }
        layout.heap_end = new;
        new
    }

    /// Places an empty heap behind the program.
    pub async fn place_heap(&self, start: usize) {
        let mut layout = self.layout.write().await;
        layout.heap_start = start;
        layout.heap_end = start;
    }
}
