//! epoll instances (epoll(7)).
//!
//! An [`Epoll`] has a table of [`Item`]s, one for each descriptor that is watched, and the list of
//! those that are *ready*. An item has a `Watch` in the poll queue of its object; when the object
//! says that something has happened, the item goes to the end of the ready list, unless it is in it.
//! A wait takes items from the front and asks their objects what they are ready for. So both cost
//! nothing for the items that are idle.
//!
//! **No lost edge.** An item that reports edges leaves the list before its object is asked. What
//! happens afterwards finds it outside and enters it again; what happened before is seen by the
//! question. One that reports levels stays in the list while it is asked, so no waiter finds the list
//! empty meanwhile; if it is idle it leaves, and its object is asked once more. An item that enters
//! the list wakes a waiter, after the list's lock.
//!
//! **References.** Table and list hold items. An item holds its instance and its file weakly: a
//! descriptor that is watched can be closed, and the last close takes the item out
//! (`OpenFile`'s drop). Nothing here allocates but `add` (rule M10).
//!
//! **Lock order.** The table's lock or the list's, for a few instructions, with no other inside. No
//! object is asked, and no item is dropped, under either.

mod item;
mod nesting;

pub use item::{Event, Item};

use super::file::OpenFile;
use super::metadata::next_number;
use super::poll_queue::PollQueue;
use super::special::Special;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{FRAME_SIZE, Quota, Sink, UserBuf, managed_frames};
use alloc::sync::Arc;
use executor::Label;
use executor::sync::WaitQueue;
use intrusive_collections::{LinkedList, RBTree};
use item::{ByKey, ByReadiness, Key};
use linux_raw_sys::general as abi;
use spin::{Mutex, Once};

/// Reading.
const IN: u32 = abi::POLLIN | abi::POLLRDNORM;
/// How many items are looked at before others on this CPU have their chance (rule E4).
const STRETCH: usize = 512;

/// How many descriptors all instances may watch (`/proc/sys/fs/epoll/max_user_watches`): what takes a
/// 25th of the memory, as on Linux.
fn quota() -> &'static Quota {
    static QUOTA: Once<Quota> = Once::new();
    QUOTA.call_once(|| {
        let bytes = managed_frames() / 25 * FRAME_SIZE;
        Quota::new((bytes / Item::COST) as u64)
    })
}

/// An instance. See the module's head.
pub struct Epoll {
    number: u64,
    items: Mutex<RBTree<ByKey>>,
    ready: Mutex<Ready>,
    waiters: WaitQueue,
    /// Those that watch this instance.
    polls: PollQueue,
}

struct Ready {
    list: LinkedList<ByReadiness>,
    length: usize,
}

impl Ready {
    /// Takes an item out, if it is in.
    fn take(&mut self, item: &Item) -> Option<Arc<Item>> {
        if !item.in_list() {
            return None;
        }
        self.length -= 1;
        // SAFETY: it is linked, and only ever into the list of its instance, which is this.
        unsafe { self.list.cursor_mut_from_ptr(item) }.remove()
    }
}

/// Which end of the ready list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

impl Epoll {
    /// An instance that watches nothing.
    pub fn new() -> Epoll {
        Epoll {
            number: next_number(),
            items: Mutex::new(RBTree::new(ByKey::NEW)),
            ready: Mutex::new(Ready {
                list: LinkedList::new(ByReadiness::NEW),
                length: 0,
            }),
            waiters: WaitQueue::labelled(&Label("epoll")),
            polls: PollQueue::new(&Label("poll: epoll")),
        }
    }

    /// Watches a descriptor (`EPOLL_CTL_ADD`).
    ///
    /// # Errors
    /// As epoll_ctl(2): `EPERM`, `EEXIST`, `ELOOP`, `ENOSPC`, `ENOMEM`.
    pub async fn add(
        self: &Arc<Epoll>,
        fd: u32,
        file: &Arc<OpenFile>,
        event: Event,
    ) -> Result<(), Errno> {
        let queue = file.polls().ok_or(Errno::EPERM)?;
        let below = file.epoll();
        if below.is_some() && event.is_exclusive() {
            return Err(Errno::EINVAL);
        }
        // Held until the edge is there, or two edges could make a circle.
        let _nesting = match &below {
            Some(_) => Some(nesting::lock().await),
            None => None,
        };
        if let Some(below) = below {
            nesting::check(self, below)?;
        }
        let key = Key::new(fd, file);
        if self.find(key).is_some() {
            return Err(Errno::EEXIST);
        }
        let item = Item::new(self, key, file, event)?;
        {
            let mut items = self.items.lock();
            // Another thread may have been faster.
            if items.find(&key).is_null() {
                items.insert(item.clone());
            } else {
                drop(items);
                return Err(Errno::EEXIST);
            }
        }
        file.note_watch();
        queue.add(item.watch().clone());
        if item.has_ended() {
            // Another thread has removed it already, before the watch was there.
            queue.remove(item.watch());
        }
        if file.ready() & item.wanted() != 0 {
            self.enter(item, End::Back);
        }
        Ok(())
    }

    /// Changes what is wanted of a descriptor (`EPOLL_CTL_MOD`).
    pub fn modify(&self, fd: u32, file: &Arc<OpenFile>, event: Event) -> Result<(), Errno> {
        let item = self.find(Key::new(fd, file)).ok_or(Errno::ENOENT)?;
        if item.event().is_exclusive() || event.is_exclusive() {
            return Err(Errno::EINVAL);
        }
        item.set_event(event);
        if file.ready() & item.wanted() != 0 {
            self.enter(item, End::Back);
        }
        Ok(())
    }

    /// Watches a descriptor no more (`EPOLL_CTL_DEL`).
    pub fn remove(&self, fd: u32, file: &Arc<OpenFile>) -> Result<(), Errno> {
        let item = self.find(Key::new(fd, file)).ok_or(Errno::ENOENT)?;
        // In this order: see the end of `add`.
        self.forget(&item);
        if let Some(queue) = file.polls() {
            queue.remove(item.watch());
        }
        Ok(())
    }

    fn find(&self, key: Key) -> Option<Arc<Item>> {
        self.items.lock().find(&key).clone_pointer()
    }

    /// Takes an item out of table and list, into which it does not come again.
    fn forget(&self, item: &Item) {
        let from_list = {
            let mut ready = self.ready.lock();
            item.end();
            ready.take(item)
        };
        let from_table = {
            let mut items = self.items.lock();
            match item.in_table() {
                // SAFETY: it is linked, and only ever into the table of its instance, which is this.
                true => unsafe { items.cursor_mut_from_ptr(item) }.remove(),
                false => None,
            }
        };
        drop((from_table, from_list));
    }

    /// Enters an item into the ready list, unless it is in it or is no more watched, and wakes a
    /// waiter; says whether there was one.
    fn enter(&self, item: Arc<Item>, end: End) -> bool {
        {
            let mut ready = self.ready.lock();
            if item.in_list() || item.has_ended() {
                drop(ready);
                // It may be the last reference.
                drop(item);
                return false;
            }
            ready.length += 1;
            match end {
                End::Front => ready.list.push_front(item),
                End::Back => ready.list.push_back(item),
            }
        }
        let woken = self.waiters.wake_one();
        self.polls.wake(IN);
        woken
    }

    /// Takes an item out of the ready list, and says whether it was in it.
    fn leave(&self, item: &Item) -> bool {
        let taken = self.ready.lock().take(item);
        taken.is_some()
    }

    /// Moves an item to the end of the ready list, if it is in it.
    fn rotate(&self, item: &Item) {
        let mut ready = self.ready.lock();
        if let Some(item) = ready.take(item) {
            ready.length += 1;
            ready.list.push_back(item);
        }
    }

    /// The first item of the ready list.
    fn front(&self) -> Option<Arc<Item>> {
        self.ready.lock().list.front().clone_pointer()
    }

    fn length(&self) -> usize {
        self.ready.lock().length
    }

    /// Waits until an item is in the ready list.
    pub async fn wait(&self) {
        self.waiters
            .wait_until(|| (self.length() > 0).then_some(()))
            .await;
    }

    /// Writes up to `most` events of those that are ready, and says how many (epoll_wait(2)).
    pub async fn collect(&self, to: &mut UserBuf<'_>, most: usize) -> SysResult {
        // What enters the list meanwhile, or goes to its end again, is for the next call.
        let mut left = self.length();
        let mut found = 0;
        while found < most && left > 0 {
            let Some(item) = self.front() else {
                break;
            };
            left -= 1;
            let mark = to.mark();
            match self.report(item, to) {
                Report::Nothing => {}
                Report::Written => found += 1,
                Report::NotReady => {
                    left += 1;
                    let result = to.fault_in(Access::Write).await;
                    to.rewind(mark);
                    if let Err(error) = result {
                        return match found {
                            0 => Err(error.into()),
                            found => Ok(found),
                        };
                    }
                }
            }
            if left.is_multiple_of(STRETCH) {
                executor::yield_now().await;
            }
        }
        if found > 0 && self.length() > 0 {
            // For the next waiter, as Linux does.
            self.waiters.wake_one();
        }
        Ok(found)
    }

    /// Asks the item's object, and writes what it is ready for. An item that reports edges leaves
    /// the list before that. One that reports a level stays in it as long as there is one.
    fn report(&self, item: Arc<Item>, to: &mut UserBuf<'_>) -> Report {
        let event = item.event();
        let leaves = event.is_edge() || event.is_once();
        if leaves && !self.leave(&item) {
            return Report::Nothing;
        }
        let events = item.ready();
        if events == 0 {
            self.leave_if_idle(item);
            return Report::Nothing;
        }
        let bytes = event.report(events);
        if to.put(&bytes) < bytes.len() {
            self.enter(item, End::Front);
            return Report::NotReady;
        }
        if event.is_once() {
            item.disarm();
        }
        if !leaves {
            self.rotate(&item);
        }
        Report::Written
    }

    /// The item was not ready: takes it out, and enters it again if it has become so meanwhile.
    fn leave_if_idle(&self, item: Arc<Item>) -> bool {
        self.leave(&item);
        match item.ready() {
            0 => true,
            _ => {
                self.enter(item, End::Back);
                false
            }
        }
    }
}

/// What came of an item of the ready list.
enum Report {
    /// It is not ready any more.
    Nothing,
    /// An event was written.
    Written,
    /// The user's memory is not ready where the buffer stands. The item is in the list again.
    NotReady,
}

impl Default for Epoll {
    fn default() -> Epoll {
        Epoll::new()
    }
}

impl Special for Epoll {
    fn ready(&self) -> u32 {
        for _ in 0..self.length() {
            let Some(item) = self.front() else {
                break;
            };
            if item.ready() != 0 || !self.leave_if_idle(item) {
                return IN;
            }
        }
        0
    }

    fn polls(&self) -> &PollQueue {
        &self.polls
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn name(&self) -> &'static str {
        "eventpoll"
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let ready = self.ready.get_mut();
        while let Some(item) = ready.list.pop_front() {
            drop(item);
        }
        loop {
            let item = self.items.get_mut().front_mut().remove();
            let Some(item) = item else {
                return;
            };
            item.leave_object();
        }
    }
}
