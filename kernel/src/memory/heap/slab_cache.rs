//! The per-CPU slab cache in front of the kernel's heap (rule E5).
//!
//! The heap has one lock, and finding room in it takes a hundred instructions. A CPU keeps a few of
//! the small objects that are freed on it, in a magazine for each size, and allocates from these
//! first. A full magazine gives half of its objects back to the heap. When the heap has no room, all
//! magazines are given back before an allocation fails (rule M10).
//!
//! Small requests are rounded up to the size of their magazine, whether or not they come from it, so
//! that an object can be kept wherever it is freed. Objects in a magazine are linked through their
//! own first words. A CPU's magazines have a lock of their own, which other CPUs take only when
//! memory is out. The heap is never called under it.

use super::slabs::{self, ALIGN, class_of_size};
use alloc::vec::Vec;
use conquer_once::spin::OnceCell;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use crossbeam_utils::CachePadded;
use spin::Mutex;

/// The largest size of which objects are kept.
const LARGEST: usize = 4096;
/// How many sizes there are: those of the slabs.
const SIZES: usize = slabs::SIZES.len();
/// About how many bytes a magazine may have.
const MAGAZINE: usize = 8192;

/// A heap, and what CPUs keep of it.
pub(in crate::memory) struct SlabCache<H> {
    heap: H,
    /// Each CPU's.
    cpus: OnceCell<Vec<CachePadded<Mutex<CpuMagazines>>>>,
}

/// A CPU's magazines, one for each size.
struct CpuMagazines([Magazine; SIZES]);

// SAFETY: the objects belong to the owner of the magazines, and are plain memory.
unsafe impl Send for CpuMagazines {}

/// Free objects of one size.
struct Magazine {
    top: Option<NonNull<FreeObject>>,
    len: usize,
}

/// What is in a object on a magazine.
struct FreeObject {
    below: Option<NonNull<FreeObject>>,
}

impl Magazine {
    const EMPTY: Magazine = Magazine { top: None, len: 0 };

    fn pop(&mut self) -> Option<NonNull<FreeObject>> {
        let object = self.top?;
        // SAFETY: what is in a magazine is memory that nothing else has, in which `push` has put a
        // `FreeObject`.
        self.top = unsafe { object.read() }.below;
        self.len -= 1;
        Some(object)
    }

    /// # Safety
    /// The object is the caller's, of this magazine's size, and becomes the magazine's.
    unsafe fn push(&mut self, object: NonNull<FreeObject>) {
        // SAFETY: by the contract the memory is ours; each size has room for a `FreeObject`, and
        // `ALIGN` is enough for it.
        unsafe { object.write(FreeObject { below: self.top }) };
        self.top = Some(object);
        self.len += 1;
    }

    /// Takes the upper `n` off, as a magazine of their own.
    fn split(&mut self, n: usize) -> Magazine {
        let mut upper = Magazine::EMPTY;
        while upper.len < n
            && let Some(object) = self.pop()
        {
            // SAFETY: it was on this magazine, whose objects have one size.
            unsafe { upper.push(object) };
        }
        upper
    }
}

/// The magazine that serves a request, and the layout of its objects.
fn magazine_of(layout: Layout) -> Option<(usize, Layout)> {
    if layout.align() > ALIGN || layout.size() > LARGEST {
        return None;
    }
    let number = class_of_size(layout.size());
    Some((number, objects(number)?))
}

/// The layout of a magazine's objects.
fn objects(number: usize) -> Option<Layout> {
    Layout::from_size_align(slabs::SIZES[number], ALIGN).ok()
}

/// How many objects of this size a magazine has at the most.
fn capacity(object: Layout) -> usize {
    (MAGAZINE / object.size()).clamp(2, 16)
}

impl<H: GlobalAlloc> SlabCache<H> {
    pub(in crate::memory) const fn new(heap: H) -> SlabCache<H> {
        SlabCache {
            heap,
            cpus: OnceCell::uninit(),
        }
    }

    /// Lets that many CPUs keep objects. Until then all comes from the heap and goes there.
    pub(in crate::memory) fn init(&self, cpus: usize) {
        let magazines = || CachePadded::new(Mutex::new(CpuMagazines([Magazine::EMPTY; SIZES])));
        self.cpus
            .init_once(|| (0..cpus).map(|_| magazines()).collect());
    }

    fn cpus(&self) -> &[CachePadded<Mutex<CpuMagazines>>] {
        self.cpus.try_get().map_or(&[], Vec::as_slice)
    }

    /// As `GlobalAlloc::alloc`, on this CPU.
    ///
    /// # Safety
    /// As that.
    pub(in crate::memory) unsafe fn allocate(&self, cpu: usize, layout: Layout) -> *mut u8 {
        let mut wanted = layout;
        if let Some((number, object)) = magazine_of(layout) {
            wanted = object;
            if let Some(magazines) = self.cpus().get(cpu)
                && let Some(kept) = magazines.lock().0[number].pop()
            {
                return kept.as_ptr().cast();
            }
        }
        // SAFETY: as the caller promises; a rounded request is not empty either.
        let fresh = unsafe { self.heap.alloc(wanted) };
        if !fresh.is_null() || !self.give_all_back() {
            return fresh;
        }
        // SAFETY: as above.
        unsafe { self.heap.alloc(wanted) }
    }

    /// As `GlobalAlloc::dealloc`, on this CPU.
    ///
    /// # Safety
    /// As that.
    pub(in crate::memory) unsafe fn release(&self, cpu: usize, pointer: *mut u8, layout: Layout) {
        let magazine = magazine_of(layout);
        let magazines = self.cpus().get(cpu);
        let (Some((number, object)), Some(magazines), Some(freed)) =
            (magazine, magazines, NonNull::new(pointer.cast()))
        else {
            let layout = magazine.map_or(layout, |(_, object)| object);
            // SAFETY: `allocate` has asked the heap for this layout.
            return unsafe { self.heap.dealloc(pointer, layout) };
        };
        let too_many = {
            let magazine = &mut magazines.lock().0[number];
            let full = magazine.len >= capacity(object);
            let too_many = if full {
                magazine.split(magazine.len / 2)
            } else {
                Magazine::EMPTY
            };
            // SAFETY: the caller gives it up; all requests of its layout were rounded up to this
            // magazine's size.
            unsafe { magazine.push(freed) };
            too_many
        };
        self.give_back(too_many, object);
    }

    /// As `GlobalAlloc::realloc`, on this CPU.
    ///
    /// # Safety
    /// As that.
    pub(in crate::memory) unsafe fn resize(
        &self,
        cpu: usize,
        pointer: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        let (from, to) = (magazine_of(layout), magazine_of(new));
        match (from, to) {
            (Some((from, _)), Some((to, _))) if from == to => pointer,
            // SAFETY: as the caller promises; neither is rounded.
            (None, None) => unsafe { self.heap.realloc(pointer, layout, size) },
            // SAFETY: as the caller promises; the bytes that both have room for are moved from
            // the one to the other, which do not overlap.
            _ => unsafe {
                let moved = self.allocate(cpu, new);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                    self.release(cpu, pointer, layout);
                }
                moved
            },
        }
    }

    fn give_back(&self, mut magazine: Magazine, object: Layout) {
        while let Some(kept) = magazine.pop() {
            // SAFETY: what is on a magazine came from the heap with this layout.
            unsafe { self.heap.dealloc(kept.as_ptr().cast(), object) };
        }
    }

    /// Empties all magazines of all CPUs. Whether there was anything.
    fn give_all_back(&self) -> bool {
        let mut any = false;
        for magazines in self.cpus() {
            for (number, object) in (0..SIZES).filter_map(|number| Some((number, objects(number)?)))
            {
                let magazine = core::mem::replace(&mut magazines.lock().0[number], Magazine::EMPTY);
                any |= magazine.len != 0;
                self.give_back(magazine, object);
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use std::alloc::System;

    /// The system's heap, with as many bytes as are said.
    struct Small {
        left: Cell<usize>,
        calls: Cell<usize>,
    }

    // SAFETY: what it gives is the system allocator's.
    unsafe impl GlobalAlloc for Small {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.calls.set(self.calls.get() + 1);
            let Some(left) = self.left.get().checked_sub(layout.size()) else {
                return ptr::null_mut();
            };
            self.left.set(left);
            // SAFETY: passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            self.calls.set(self.calls.get() + 1);
            self.left.set(self.left.get() + layout.size());
            // SAFETY: passed on.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    const ALL: usize = 1 << 20;

    fn kept(bytes: usize) -> SlabCache<Small> {
        let kept = SlabCache::new(Small {
            left: Cell::new(bytes),
            calls: Cell::new(0),
        });
        kept.init(2);
        kept
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn a_freed_piece_serves_the_next_request_of_its_size_on_this_cpu() {
        let kept = kept(ALL);
        // SAFETY: each object is freed once, with its layout.
        unsafe {
            let first = kept.allocate(0, layout(100));
            kept.release(0, first, layout(100));
            let calls = kept.heap.calls.get();
            assert_eq!(kept.allocate(0, layout(128)), first);
            assert_eq!(kept.heap.calls.get(), calls, "the heap was not asked");
            let other = kept.allocate(1, layout(128));
            assert_ne!(other, first);
            kept.release(1, other, layout(128));
            kept.release(1, first, layout(128));
        }
        assert!(kept.give_all_back());
        assert_eq!(kept.heap.left.get(), ALL);
    }

    #[test]
    fn a_pile_stays_small() {
        for size in [1, 64, 65, 1000, 4096] {
            let kept = kept(ALL);
            // SAFETY: as above.
            unsafe {
                let many: Vec<_> = (0..100).map(|_| kept.allocate(0, layout(size))).collect();
                many.iter()
                    .for_each(|&object| kept.release(0, object, layout(size)));
            }
            let in_piles = ALL - kept.heap.left.get();
            assert!(
                in_piles <= MAGAZINE.max(2 * size),
                "{in_piles} bytes of size {size}"
            );
            assert!(in_piles >= size);
            assert!(kept.give_all_back());
            assert_eq!(kept.heap.left.get(), ALL);
        }
    }

    #[test]
    fn large_and_strictly_aligned_requests_are_the_heaps() {
        let kept = kept(ALL);
        for layout in [
            layout(LARGEST + 1),
            Layout::from_size_align(64, 64).unwrap(),
        ] {
            // SAFETY: as above.
            unsafe {
                let object = kept.allocate(0, layout);
                assert!(object.addr().is_multiple_of(layout.align()));
                kept.release(0, object, layout);
            }
            assert_eq!(kept.heap.left.get(), ALL);
        }
    }

    #[test]
    fn resizing_keeps_the_bytes_and_where_it_can_the_place() {
        let kept = kept(ALL);
        // SAFETY: as above; what is written and read is within the size.
        unsafe {
            let mut object = kept.allocate(0, layout(70));
            object.write_bytes(7, 70);
            assert_eq!(kept.resize(0, object, layout(70), 120), object);
            let mut size = 120;
            for next in [200, 5000, 9000, 80] {
                object = kept.resize(0, object, layout(size), next);
                size = next;
                assert!((0..70).all(|at| object.add(at).read() == 7));
            }
            kept.release(0, object, layout(size));
        }
        kept.give_all_back();
        assert_eq!(kept.heap.left.get(), ALL);
    }

    #[test]
    fn what_all_cpus_keep_is_given_back_before_a_request_fails() {
        let kept = kept(4096);
        // SAFETY: as above.
        unsafe {
            let objects: Vec<_> = (0..64).map(|_| kept.allocate(0, layout(64))).collect();
            assert!(objects.iter().all(|object| !object.is_null()));
            assert!(kept.allocate(1, layout(64)).is_null(), "all is given out");
            objects
                .iter()
                .for_each(|&object| kept.release(0, object, layout(64)));
            let large = kept.allocate(1, layout(4096));
            assert!(!large.is_null());
            kept.release(1, large, layout(4096));
        }
    }
}
