//! The queue of those that wait for an object to become ready: tasks in `poll` or in a call, and the
//! watches of epoll instances.
//!
//! An object changes under its own lock, lets go of it, and calls [`wake`](PollQueue::wake). A task
//! or a watch enters the queue first and looks at the object afterwards.
//!
//! **No lost edge.** `add` stores `any` and then looks at the object under the object's lock. The
//! other side changes the object under that lock and then loads `any`. Of the two critical sections
//! one is first: if the change is, the look sees it; if the look is, the load sees `any`. A walk over
//! the watches goes by their order, so a watch that is there all the time is visited, whatever comes
//! and goes meanwhile.
//!
//! No lock is held while a watch is notified (rule E1), and nothing here allocates.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use executor::Label;
use executor::sync::{WaitQueue, WaitUntil};
use intrusive_collections::{Bound, KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};
use spin::Mutex;

/// What is told that an object has become ready.
pub trait Watcher: Send + Sync {
    /// Something has happened: one of these `POLL*` bits, or anything if there are none. Says
    /// whether a task was woken.
    fn notify(self: Arc<Self>, events: u32) -> bool;
    /// Whether one of several such watchers is enough (`EPOLLEXCLUSIVE`).
    fn is_exclusive(&self) -> bool;
    /// The file that was watched is closed.
    fn closed(&self);
    /// How many instances are above it, one watching the other.
    fn levels_above(&self) -> usize;
}

/// A watcher's place in a queue.
pub struct Watch {
    in_queue: RBTreeAtomicLink,
    /// Written under the queue's lock before it enters, and not changed while it is in.
    order: AtomicU64,
    /// The address of the open file that is watched, as its name.
    file: usize,
    watcher: Weak<dyn Watcher>,
}

intrusive_adapter!(ByOrder = Arc<Watch>: Watch { in_queue => RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for ByOrder {
    type Key = u64;

    fn get_key(&self, watch: &'a Watch) -> u64 {
        // Relaxed: it was written under the lock that the tree is read under.
        watch.order.load(Ordering::Relaxed)
    }
}

impl Watch {
    /// A place for a watcher of the open file at this address.
    pub fn new(file: usize, watcher: Weak<dyn Watcher>) -> Watch {
        Watch {
            in_queue: RBTreeAtomicLink::new(),
            order: AtomicU64::new(0),
            file,
            watcher,
        }
    }
}

struct Watches {
    tree: RBTree<ByOrder>,
    /// The order of the next one.
    next: u64,
}

/// See the module's head.
pub struct PollQueue {
    tasks: WaitQueue,
    watches: Mutex<Watches>,
    /// Whether there are watches: a copy, written under the lock.
    any: AtomicBool,
}

impl PollQueue {
    /// An empty queue, with a name for what is waited for here.
    pub const fn new(label: &'static Label) -> PollQueue {
        PollQueue {
            tasks: WaitQueue::labelled(label),
            watches: Mutex::new(Watches {
                tree: RBTree::new(ByOrder::NEW),
                next: 0,
            }),
            any: AtomicBool::new(false),
        }
    }

    /// Whether anything waits. Exact under the object's lock, after a change.
    #[inline]
    pub fn has_waiters(&self) -> bool {
        self.tasks.has_waiters() || self.has_watches()
    }

    /// Whether there are watches. Exact under the object's lock, after a change.
    #[inline]
    pub fn has_watches(&self) -> bool {
        // Relaxed: the object's lock orders it. See the module's head.
        self.any.load(Ordering::Relaxed)
    }

    /// Waits until `condition` gives something.
    pub fn wait_until<T, F: FnMut() -> Option<T>>(&self, condition: F) -> WaitUntil<'_, F> {
        self.tasks.wait_until(condition)
    }

    /// One of these `POLL*` bits has come, or anything if there are none: wakes all tasks, and
    /// notifies the watches; of the exclusive ones only until a task was woken.
    pub fn wake(&self, events: u32) {
        if self.tasks.has_waiters() {
            self.tasks.wake_all();
        }
        if self.has_watches() {
            self.notify(events);
        }
    }

    #[cold]
    fn notify(&self, events: u32) {
        let mut enough = false;
        self.each(|watcher| {
            let exclusive = watcher.is_exclusive();
            if !(enough && exclusive) {
                enough |= watcher.notify(events) && exclusive;
            }
        });
    }

    /// Calls `f` with each watcher, without the lock.
    fn each(&self, mut f: impl FnMut(Arc<dyn Watcher>)) {
        let mut from = 0;
        loop {
            let watch = {
                let watches = self.watches.lock();
                let cursor = watches.tree.lower_bound(Bound::Included(&from));
                cursor.clone_pointer()
            };
            let Some(watch) = watch else {
                return;
            };
            from = watch.order.load(Ordering::Relaxed) + 1;
            if let Some(watcher) = watch.watcher.upgrade() {
                f(watcher);
            }
        }
    }

    /// The most levels that are above one of the watchers.
    pub fn levels_above(&self) -> usize {
        let mut most = 0;
        self.each(|watcher| most = most.max(watcher.levels_above()));
        most
    }

    /// Enters a watch, which is in no queue yet. The caller looks at the object afterwards.
    pub fn add(&self, watch: Arc<Watch>) {
        let mut watches = self.watches.lock();
        watch.order.store(watches.next, Ordering::Relaxed);
        watches.next += 1;
        watches.tree.insert(watch);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Takes a watch out, if it is in.
    pub fn remove(&self, watch: &Watch) {
        let taken = {
            let mut watches = self.watches.lock();
            let taken = match watch.in_queue.is_linked() {
                // SAFETY: it is linked, and by `add` alone, which its owner calls for this queue.
                true => unsafe { watches.tree.cursor_mut_from_ptr(watch) }.remove(),
                false => None,
            };
            self.any.store(!watches.tree.is_empty(), Ordering::Relaxed);
            taken
        };
        drop(taken);
    }

    /// The open file at this address is closed: its watches leave, and their watchers are told.
    pub fn close(&self, file: usize) {
        let mut from = 0;
        loop {
            let watch = {
                let watches = self.watches.lock();
                let cursor = watches.tree.lower_bound(Bound::Included(&from));
                cursor.clone_pointer()
            };
            let Some(watch) = watch else {
                return;
            };
            from = watch.order.load(Ordering::Relaxed) + 1;
            if watch.file == file {
                self.remove(&watch);
                if let Some(watcher) = watch.watcher.upgrade() {
                    watcher.closed();
                }
            }
        }
    }
}
