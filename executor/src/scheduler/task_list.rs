//! The tasks that were spawned on one CPU and have not completed.
//!
//! A walk over them holds the lock for a bounded number of tasks at a time (rule E1). Between
//! two holds it keeps its place by a cursor in the list: a task that leaves moves the
//! cursors that are about to visit it on to its successor.
//!
//! A task in the list is alive. It leaves the list after its completion and before the
//! executor's reference, the one that covers completion, is given up.

use crate::facade::{Lock, UnsafeCell};
use crate::list::{Linked, Links, List};
use crate::task::Header;
use core::marker::PhantomPinned;
use core::pin::{Pin, pin};
use core::ptr::NonNull;

/// How many tasks a walk visits in one hold of the lock.
pub(super) const CHUNK: usize = if cfg!(loom) { 1 } else { 64 };

pub(crate) struct TaskList {
    /// Guards the `owned` links of the tasks, and what is inside of the cursors.
    inner: Lock<Inner>,
}

struct Inner {
    tasks: List<Header>,
    /// Those of the walks that go on: at most one for each CPU, since a walk does not await.
    cursors: List<Cursor>,
}

/// Where a walk has got to.
struct Cursor {
    links: Links<Cursor>,
    /// The task that is visited next; guarded by the list's lock.
    next: UnsafeCell<Option<NonNull<Header>>>,
    _pinned: PhantomPinned,
}

// SAFETY: always the same field, by address arithmetic alone.
unsafe impl Linked for Cursor {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises a live node; a field's address is not
        // null.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).links) }
    }
}

// SAFETY: cursors and the links of tasks are reached with the lock held only.
unsafe impl Send for Inner {}

impl Cursor {
    /// # Safety
    ///
    /// The cursor is alive, and the list's lock is held.
    unsafe fn replace(
        cursor: NonNull<Self>,
        next: Option<NonNull<Header>>,
    ) -> Option<NonNull<Header>> {
        // SAFETY: by the contract.
        unsafe { cursor.as_ref() }
            .next
            .with_mut(|field| core::mem::replace(unsafe { &mut *field }, next))
    }
}

impl TaskList {
    pub(crate) fn new() -> Self {
        Self {
            inner: Lock::new(Inner {
                tasks: List::new(),
                cursors: List::new(),
            }),
        }
    }

    /// Enters a new task.
    ///
    /// # Safety
    ///
    /// The task is alive, in no list, and is given to [`remove`](Self::remove) before the
    /// executor's reference is given up.
    pub(crate) unsafe fn enter(&self, task: NonNull<Header>) {
        // SAFETY: the lock is held; by the contract the task lives until it is removed.
        self.inner
            .with(|inner| unsafe { inner.tasks.push_back(task) });
    }

    /// Takes a task out.
    ///
    /// # Safety
    ///
    /// It was entered here, and is alive.
    pub(crate) unsafe fn remove(&self, task: NonNull<Header>) {
        self.inner.with(|inner| {
            for cursor in inner.cursors.iter() {
                // SAFETY: a cursor in the list is alive, the task is in its list, and the lock is
                // held.
                unsafe {
                    let next = Cursor::replace(cursor, None);
                    let next = match next {
                        Some(next) if next == task => inner.tasks.after(task),
                        other => other,
                    };
                    Cursor::replace(cursor, next);
                }
            }
            // SAFETY: by the contract.
            unsafe { inner.tasks.remove(task) };
        });
    }

    /// Is there no task?
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.with(|inner| inner.tasks.is_empty())
    }

    /// Calls `visit` for each task with the lock held, and `between` without it before each
    /// chunk of at most [`CHUNK`] of them; ends when one of the two says so (`Err`). Tasks that are
    /// spawned during the walk may or may not be visited.
    ///
    /// `visit` neither allocates nor wakes (rule E1).
    pub(crate) fn walk<E>(
        &self,
        mut between: impl FnMut() -> Result<(), E>,
        mut visit: impl FnMut(NonNull<Header>) -> Result<(), E>,
    ) -> Result<(), E> {
        between()?;
        let walk = pin!(Walk {
            list: self,
            cursor: Cursor {
                links: Links::new(),
                next: UnsafeCell::new(None),
                _pinned: PhantomPinned,
            },
        });
        let walk = walk.as_ref();
        let cursor = walk.cursor();
        self.inner.with(|inner| {
            // SAFETY: the cursor is pinned, new, and taken out when the walk is dropped.
            unsafe {
                Cursor::replace(cursor, inner.tasks.front());
                inner.cursors.push_back(cursor);
            }
        });
        loop {
            let more = self.inner.with(|inner| {
                for _ in 0..CHUNK {
                    // SAFETY: the cursor is alive, and the lock is held. The task that it shows is
                    // in the list: one that leaves moves the cursor on.
                    let Some(task) = (unsafe { Cursor::replace(cursor, None) }) else {
                        return Ok(false);
                    };
                    visit(task)?;
                    // SAFETY: as above.
                    unsafe { Cursor::replace(cursor, inner.tasks.after(task)) };
                }
                Ok(true)
            })?;
            if !more {
                return Ok(());
            }
            between()?;
        }
    }
}

/// A walk that goes on: takes its cursor out when it ends, however that is.
struct Walk<'a> {
    list: &'a TaskList,
    cursor: Cursor,
}

impl Walk<'_> {
    fn cursor(self: Pin<&Self>) -> NonNull<Cursor> {
        NonNull::from(&self.get_ref().cursor)
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        let cursor = NonNull::from(&self.cursor);
        self.list
            .inner
            // SAFETY: the walk has put it in before anything that can end the walk.
            .with(|inner| unsafe { inner.cursors.remove(cursor) });
    }
}
