//! Instances that watch instances (epoll(7)): no circle, and no more than a few levels, so that a
//! wake-up and a question have an end.

use super::Epoll;
use super::item::{Item, Key};
use crate::errno::Errno;
use alloc::sync::Arc;
use executor::sync::{Mutex, MutexGuard};
use intrusive_collections::Bound;

/// The most instances of which each watches the next, besides the first (Linux's `EP_MAX_NESTS`).
const MOST_LEVELS: usize = 4;

/// Held while an instance is added to another.
pub(super) async fn lock() -> MutexGuard<'static, ()> {
    static NESTING: Mutex<()> = Mutex::new(());
    NESTING.lock().await
}

/// Whether `above` may watch `below`. The lock is held.
pub(super) fn check(above: &Epoll, below: &Epoll) -> Result<(), Errno> {
    let levels_below = levels_below(above, below)?;
    let levels_above = above.polls.levels_above();
    match levels_above + levels_below < MOST_LEVELS {
        true => Ok(()),
        false => Err(Errno::ELOOP),
    }
}

/// The most instances below this one; `ELOOP` if `start` is one of them. It ends, as those that are
/// there make no circle.
fn levels_below(start: &Epoll, epoll: &Epoll) -> Result<usize, Errno> {
    if core::ptr::eq(start, epoll) {
        return Err(Errno::ELOOP);
    }
    let mut most = 0;
    let mut last = None;
    while let Some(item) = next_after(epoll, last) {
        last = Some(item.key());
        if let Some(file) = item.file()
            && let Some(below) = file.epoll()
        {
            most = most.max(1 + levels_below(start, below)?);
        }
    }
    Ok(most)
}

/// The first item behind this key, in the order of the keys.
fn next_after(epoll: &Epoll, key: Option<Key>) -> Option<Arc<Item>> {
    let bound = key.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    epoll.items.lock().lower_bound(bound).clone_pointer()
}
