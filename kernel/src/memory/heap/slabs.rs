//! Slabs: objects of the kernel's heap in pages of their own (rule M10).
//!
//! A slab is one page with objects of one size class, behind a header. A slab with free objects is
//! in the list of its class. When the last object of a slab is freed, its page goes back to where
//! pages come from, but for one spare slab of each class. So memory that was full of small
//! objects comes back when they are freed.
//!
//! The class of a request follows from its layout, for the allocation as for the free, and the slab
//! of an object from its address. A request of more than half a page gets a page without a header,
//! and a larger one pages that are neighbours. Where there are none, and for strict alignment, another
//! heap serves.
//!
//! Each class has a lock. Pages are taken and given back without it.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use spin::Mutex;

/// Bytes of a page.
const PAGE: usize = 4096;
/// The room for the header at the start of a slab; also the alignment of the first object.
const HEADER: usize = 64;
/// The alignment of all objects.
pub(super) const ALIGN: usize = 16;
/// The alignment of the objects of those classes whose size is a multiple of it.
const STRICT: usize = 64;
/// The sizes of objects: the largest of which as many fit into a slab, down to one page.
pub(super) const SIZES: [usize; 14] = [
    64, 128, 192, 256, 320, 384, 448, 576, 672, 800, 1008, 1344, 2016, PAGE,
];
/// The class of objects that are a page.
const WHOLE: usize = SIZES.len() - 1;

const _: () = assert!(size_of::<Slab>() <= HEADER && HEADER.is_multiple_of(ALIGN));

/// Where slabs get their pages.
///
/// # Safety
/// `take` gives a page, aligned, that nothing else uses until `give` gets it.
pub(super) unsafe trait Pages {
    /// A page with any contents.
    fn take(&self) -> Option<NonNull<u8>>;
    /// Gives back a page that `take` or `take_run` has given, which is not used any more.
    fn give(&self, page: NonNull<u8>);
    /// So many pages that are neighbours, with any contents.
    fn take_run(&self, pages: usize) -> Option<NonNull<u8>>;
    /// Whether it has given the page that begins here, or the other heap the object.
    fn has_given(&self, pointer: *mut u8) -> bool;
}

/// Slabs for small requests, runs of pages for large ones, and another heap.
pub(super) struct Slabs<P, H> {
    pages: P,
    large: H,
    classes: [Mutex<Class>; SIZES.len()],
}

/// The slabs of one size that have free objects. Slabs without are in no list.
struct Class {
    first: Option<NonNull<Slab>>,
    /// A slab without an object, for the next allocation.
    spare: Option<NonNull<Slab>>,
}

// SAFETY: slabs belong to their class, and are plain memory.
unsafe impl Send for Class {}

/// The header of a slab.
struct Slab {
    next: Option<NonNull<Slab>>,
    previous: Option<NonNull<Slab>>,
    /// Objects that were freed, linked through their first words.
    free: Option<NonNull<FreeObject>>,
    /// Objects that are allocated.
    used: usize,
    /// Objects that were ever allocated: those behind are free, and in no list.
    carved: usize,
}

struct FreeObject {
    next: Option<NonNull<FreeObject>>,
}

/// How many objects of this size a slab has.
const fn capacity(size: usize) -> usize {
    (PAGE - HEADER) / size
}

/// The smallest class that has room for so many bytes, a page at the most.
pub(super) fn class_of_size(size: usize) -> usize {
    /// For the sizes that are multiples of `ALIGN`.
    const CLASSES: [u8; PAGE / ALIGN + 1] = {
        let mut classes = [0; PAGE / ALIGN + 1];
        let (mut at, mut class) = (0, 0);
        while at < classes.len() {
            if SIZES[class as usize] < at * ALIGN {
                class += 1;
            }
            classes[at] = class;
            at += 1;
        }
        classes
    };
    usize::from(CLASSES[size.div_ceil(ALIGN)])
}

/// The class of a request, unless it is larger than a page or strictly aligned.
fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > STRICT || layout.size() > PAGE {
        return None;
    }
    let first = class_of_size(layout.size());
    let fits = |class: &usize| layout.align() <= ALIGN || SIZES[*class].is_multiple_of(STRICT);
    (first..SIZES.len()).find(fits)
}

/// How many pages a large request takes, unless it is for the other heap.
fn pages_of(layout: Layout) -> Option<usize> {
    (layout.align() <= PAGE && layout.size() > PAGE).then(|| layout.size().div_ceil(PAGE))
}

impl Class {
    const EMPTY: Class = Class {
        first: None,
        spare: None,
    };

    /// # Safety
    /// The slab is this class's, and in no list.
    unsafe fn link(&mut self, slab: NonNull<Slab>) {
        // SAFETY: the slab and the first one are this class's, whose lock is held.
        unsafe {
            (*slab.as_ptr()).previous = None;
            (*slab.as_ptr()).next = self.first;
            if let Some(first) = self.first {
                (*first.as_ptr()).previous = Some(slab);
            }
        }
        self.first = Some(slab);
    }

    /// # Safety
    /// The slab is in this class's list.
    unsafe fn unlink(&mut self, slab: NonNull<Slab>) {
        // SAFETY: the slab and its neighbours are in the list, whose lock is held.
        unsafe {
            let Slab { next, previous, .. } = *slab.as_ptr();
            match previous {
                Some(previous) => (*previous.as_ptr()).next = next,
                None => self.first = next,
            }
            if let Some(next) = next {
                (*next.as_ptr()).previous = previous;
            }
        }
    }

    /// An object out of the first slab, if there is one.
    fn pop(&mut self, size: usize) -> Option<NonNull<u8>> {
        if self.first.is_none()
            && let Some(spare) = self.spare.take()
        {
            // SAFETY: the spare slab is in no list.
            unsafe { self.link(spare) };
        }
        let slab = self.first?;
        // SAFETY: a slab in the list is this class's and has a free object, either in its list or
        // behind those that were carved. Its memory is ours under the lock.
        unsafe {
            let header = slab.as_ptr();
            let object = match (*header).free {
                Some(free) => {
                    (*header).free = free.read().next;
                    free.cast()
                }
                None => {
                    let at = HEADER + (*header).carved * size;
                    (*header).carved += 1;
                    slab.cast::<u8>().add(at)
                }
            };
            (*header).used += 1;
            if (*header).used == capacity(size) {
                self.unlink(slab);
            }
            Some(object)
        }
    }

    /// Takes an object back. Returns a slab that is not needed any more, if there is one.
    ///
    /// # Safety
    /// The object is of this class, and the caller gives it up.
    unsafe fn push(&mut self, object: NonNull<u8>, size: usize) -> Option<NonNull<Slab>> {
        // SAFETY: an object lies in the page of its slab, which begins with the header; the object
        // is large enough for a link, and nothing else uses it any more. The slab is in the list
        // unless it was full.
        unsafe {
            let slab = object
                .map_addr(|address| {
                    let page = address.get() & !(PAGE - 1);
                    // The object lies behind the header, so the page does not begin at 0.
                    core::num::NonZero::new(page).unwrap_or(address)
                })
                .cast::<Slab>();
            let header = slab.as_ptr();
            let free = object.cast::<FreeObject>();
            free.write(FreeObject {
                next: (*header).free,
            });
            (*header).free = Some(free);
            if (*header).used == capacity(size) {
                self.link(slab);
            }
            (*header).used -= 1;
            if (*header).used != 0 {
                return None;
            }
            self.unlink(slab);
            self.spare.replace(slab)
        }
    }
}

impl<P: Pages, H: GlobalAlloc> Slabs<P, H> {
    pub(super) const fn new(pages: P, large: H) -> Slabs<P, H> {
        Slabs {
            pages,
            large,
            classes: [const { Mutex::new(Class::EMPTY) }; SIZES.len()],
        }
    }

    fn allocate(&self, class: usize) -> Option<NonNull<u8>> {
        if class == WHOLE {
            return self.pages.take();
        }
        let size = SIZES[class];
        let found = self.classes[class].lock().pop(size);
        if found.is_some() {
            return found;
        }
        let slab = self.pages.take()?.cast::<Slab>();
        let fresh = Slab {
            next: None,
            previous: None,
            free: None,
            used: 0,
            carved: 0,
        };
        // SAFETY: the page is ours alone, and has room for the header.
        unsafe { slab.write(fresh) };
        let mut class = self.classes[class].lock();
        // SAFETY: the slab has only now become this class's.
        unsafe { class.link(slab) };
        class.pop(size)
    }
}

// SAFETY: objects of a slab do not overlap: a free one is in one list or not carved yet. They are
// aligned and as large as their class, which is not smaller than the request. The rest is the
// other heap's.
unsafe impl<P: Pages, H: GlobalAlloc> GlobalAlloc for Slabs<P, H> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => self
                .allocate(class)
                .map_or(ptr::null_mut(), NonNull::as_ptr),
            None => {
                let run = pages_of(layout).and_then(|pages| self.pages.take_run(pages));
                // SAFETY: passed on.
                run.map_or_else(|| unsafe { self.large.alloc(layout) }, NonNull::as_ptr)
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(object) = NonNull::new(pointer) else {
            return;
        };
        let Some(class) = class_of(layout) else {
            if let Some(pages) = pages_of(layout).filter(|_| self.pages.has_given(pointer)) {
                for page in 0..pages {
                    // SAFETY: within the run, which has so many pages.
                    self.pages.give(unsafe { object.add(page * PAGE) });
                }
            } else {
                // SAFETY: passed on.
                unsafe { self.large.dealloc(pointer, layout) };
            }
            return;
        };
        let page = if class == WHOLE {
            Some(object)
        } else {
            // SAFETY: `alloc` has given it out of this class, for this layout.
            let slab = unsafe { self.classes[class].lock().push(object, SIZES[class]) };
            slab.map(NonNull::cast)
        };
        if let Some(page) = page {
            self.pages.give(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::{Cell, RefCell};
    use std::alloc::System;

    /// Pages of the host, counted.
    struct Few {
        left: Cell<usize>,
        runs: RefCell<Vec<Run>>,
    }

    const LAYOUT: Layout = match Layout::from_size_align(PAGE, PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    };

    // SAFETY: passed on to the host's heap.
    unsafe impl Pages for Few {
        fn take(&self) -> Option<NonNull<u8>> {
            self.left.set(self.left.get().checked_sub(1)?);
            // SAFETY: the layout is not empty.
            NonNull::new(unsafe { System.alloc(LAYOUT) })
        }

        fn give(&self, page: NonNull<u8>) {
            self.left.set(self.left.get() + 1);
            let mut runs = self.runs.borrow_mut();
            let Some(run) = runs.iter_mut().find(|run| run.has(page.addr().get())) else {
                // SAFETY: `take` has given it.
                return unsafe { System.dealloc(page.as_ptr(), LAYOUT) };
            };
            run.left -= 1;
        }

        fn take_run(&self, pages: usize) -> Option<NonNull<u8>> {
            self.left.set(self.left.get().checked_sub(pages)?);
            let layout = Layout::from_size_align(pages * PAGE, PAGE).ok()?;
            // SAFETY: the layout is not empty.
            let start = NonNull::new(unsafe { System.alloc(layout) })?;
            self.runs.borrow_mut().push(Run {
                start: start.addr().get(),
                pages,
                left: pages,
            });
            Some(start)
        }

        fn has_given(&self, pointer: *mut u8) -> bool {
            self.runs.borrow().iter().any(|run| run.has(pointer.addr()))
        }
    }

    /// A run that was given; its memory is not freed, so each address is in one run at most.
    struct Run {
        start: usize,
        pages: usize,
        left: usize,
    }

    impl Run {
        fn has(&self, address: usize) -> bool {
            (self.start..self.start + self.pages * PAGE).contains(&address)
        }
    }

    fn slabs(pages: usize) -> Slabs<Few, System> {
        let left = Cell::new(pages);
        let runs = RefCell::default();
        Slabs::new(Few { left, runs }, System)
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn classes_fill_a_page() {
        for window in SIZES.windows(2) {
            assert!(window[0] < window[1] && window[0].is_multiple_of(ALIGN));
            assert!(capacity(window[0]) > capacity(window[1]));
        }
        for size in 1..=PAGE {
            let class = class_of(layout(size)).unwrap();
            assert!(SIZES[class] >= size && (class == 0 || SIZES[class - 1] < size));
        }
        assert!(class_of(layout(PAGE + 1)).is_none());
    }

    #[test]
    fn objects_do_not_overlap_and_keep_their_bytes() {
        for size in [1, 64, 65, 700, 1345, 2016, 2017, PAGE, PAGE + 1] {
            let slabs = slabs(100);
            // SAFETY: each object is used within its size, and freed once with its layout.
            unsafe {
                let many: Vec<_> = (0..70u8)
                    .map(|number| {
                        let object = slabs.alloc(layout(size));
                        assert!(!object.is_null() && object.addr().is_multiple_of(8));
                        object.write_bytes(number, size);
                        object
                    })
                    .collect();
                for (number, &object) in many.iter().enumerate() {
                    assert!((0..size).all(|at| object.add(at).read() == number as u8));
                    slabs.dealloc(object, layout(size));
                }
            }
        }
    }

    #[test]
    fn pages_come_back_when_their_objects_are_freed() {
        let slabs = slabs(40);
        // SAFETY: as above.
        unsafe {
            // In three rounds, from the first, from the last, and every other one first.
            for round in 0..3 {
                let mut all: Vec<_> = (0..500).map(|_| slabs.alloc(layout(100))).collect();
                assert!(slabs.pages.left.get() < 30);
                match round {
                    0 => all.reverse(),
                    1 => {}
                    _ => {
                        all = all
                            .iter()
                            .step_by(2)
                            .chain(all.iter().skip(1).step_by(2))
                            .copied()
                            .collect()
                    }
                }
                for object in all {
                    slabs.dealloc(object, layout(100));
                }
                assert_eq!(slabs.pages.left.get(), 39, "one slab is kept");
            }
        }
    }

    #[test]
    fn a_large_object_has_a_run_of_pages_that_comes_back_and_else_the_other_heap_serves() {
        let slabs = slabs(8);
        // SAFETY: as above.
        unsafe {
            let first = slabs.alloc(layout(5 * PAGE - 1));
            let second = slabs.alloc(layout(4 * PAGE));
            assert!(!first.is_null() && !second.is_null());
            assert!(slabs.pages.has_given(first) && !slabs.pages.has_given(second));
            second.write_bytes(1, 4 * PAGE);
            slabs.dealloc(second, layout(4 * PAGE));
            assert_eq!(slabs.pages.left.get(), 3);
            slabs.dealloc(first, layout(5 * PAGE - 1));
            assert_eq!(slabs.pages.left.get(), 8);
            assert_eq!(slabs.pages.runs.borrow()[0].left, 0);
        }
    }

    #[test]
    fn strictly_aligned_objects_are_aligned() {
        let slabs = slabs(100);
        for size in [1, 64, 600, 1000, 2688, PAGE] {
            let layout = Layout::from_size_align(size, STRICT).unwrap();
            // SAFETY: as above.
            unsafe {
                let many = [(); 20].map(|()| slabs.alloc(layout));
                assert!(many.iter().all(|it| it.addr().is_multiple_of(STRICT)));
                many.iter()
                    .for_each(|&object| slabs.dealloc(object, layout));
            }
        }
    }

    #[test]
    fn without_pages_a_request_fails_and_nothing_is_lost() {
        let slabs = slabs(1);
        // SAFETY: as above.
        unsafe {
            let two = [(); 2].map(|()| slabs.alloc(layout(2000)));
            assert!(two.iter().all(|object| !object.is_null()));
            assert!(slabs.alloc(layout(2000)).is_null());
            assert!(slabs.alloc(layout(64)).is_null() && slabs.alloc(layout(PAGE)).is_null());
            slabs.dealloc(two[0], layout(2000));
            let again = slabs.alloc(layout(1999));
            assert_eq!(again, two[0]);
            two.iter()
                .for_each(|&object| slabs.dealloc(object, layout(2000)));
        }
    }
}
