//! One watched descriptor of an epoll instance.

use super::{End, Epoll, quota};
use crate::errno::Errno;
use crate::fs::file::OpenFile;
use crate::fs::poll::ALWAYS;
use crate::fs::poll_queue::{Watch, Watcher};
use crate::memory::fallible;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};
use intrusive_collections::{
    KeyAdapter, LinkedListAtomicLink, RBTreeAtomicLink, intrusive_adapter,
};
use linux_raw_sys::general as abi;
use spin::{Mutex, Once};

/// The bits of a `struct epoll_event` that say how to watch, and not what for.
const HOW: u32 = abi::EPOLLET | abi::EPOLLONESHOT | abi::EPOLLWAKEUP | abi::EPOLLEXCLUSIVE;
/// What may stand beside `EPOLLEXCLUSIVE` (epoll_ctl(2)).
const WITH_EXCLUSIVE: u32 = abi::EPOLLIN
    | abi::EPOLLOUT
    | abi::EPOLLERR
    | abi::EPOLLHUP
    | abi::EPOLLWAKEUP
    | abi::EPOLLET
    | abi::EPOLLEXCLUSIVE;

/// What is wanted of a descriptor (`struct epoll_event`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    events: u32,
    data: u64,
}

impl Event {
    /// Its bytes in the ABI, packed.
    pub const SIZE: usize = 12;

    /// The event in a program's memory.
    ///
    /// # Errors
    /// `EINVAL` for what `EPOLLEXCLUSIVE` does not go together with.
    pub fn from_bytes(bytes: [u8; Event::SIZE]) -> Result<Event, Errno> {
        let [a, b, c, d, data @ ..] = bytes;
        let events = u32::from_ne_bytes([a, b, c, d]);
        if events & abi::EPOLLEXCLUSIVE != 0 && events & !WITH_EXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Event {
            events: events | ALWAYS & !abi::POLLNVAL,
            data: u64::from_ne_bytes(data),
        })
    }

    /// The bytes that report these `POLL*` bits.
    pub(super) fn report(self, events: u32) -> [u8; Event::SIZE] {
        let mut bytes = [0; Event::SIZE];
        let (head, data) = bytes.split_at_mut(4);
        head.copy_from_slice(&events.to_ne_bytes());
        data.copy_from_slice(&self.data.to_ne_bytes());
        bytes
    }

    pub(super) fn is_exclusive(self) -> bool {
        self.events & abi::EPOLLEXCLUSIVE != 0
    }

    pub(super) fn is_edge(self) -> bool {
        self.events & abi::EPOLLET != 0
    }

    pub(super) fn is_once(self) -> bool {
        self.events & abi::EPOLLONESHOT != 0
    }

    fn wanted(self) -> u32 {
        self.events & !HOW
    }
}

/// What names an item: the descriptor, and the open file that it was when it was added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    file: usize,
    fd: u32,
}

impl Key {
    pub(super) fn new(fd: u32, file: &Arc<OpenFile>) -> Key {
        let file = Arc::as_ptr(file).addr();
        Key { file, fd }
    }
}

/// See the module's head.
pub struct Item {
    by_key: RBTreeAtomicLink,
    by_readiness: LinkedListAtomicLink,
    key: Key,
    epoll: Weak<Epoll>,
    file: Weak<OpenFile>,
    event: Mutex<Event>,
    /// It is watched no more. Written and read under the lock of the ready list; elsewhere a hint.
    ended: AtomicBool,
    /// Its place in the object's queue. It is there before the item is in any list.
    watch: Once<Arc<Watch>>,
}

intrusive_adapter!(pub(super) ByKey = Arc<Item>: Item { by_key => RBTreeAtomicLink });
intrusive_adapter!(pub(super) ByReadiness = Arc<Item>: Item { by_readiness => LinkedListAtomicLink });

impl<'a> KeyAdapter<'a> for ByKey {
    type Key = Key;

    fn get_key(&self, item: &'a Item) -> Key {
        item.key
    }
}

impl Item {
    /// The memory that one takes, with its place in the queue.
    pub(super) const COST: usize = size_of::<Item>() + size_of::<Watch>() + 32;

    pub(super) fn new(
        epoll: &Arc<Epoll>,
        key: Key,
        file: &Arc<OpenFile>,
        event: Event,
    ) -> Result<Arc<Item>, Errno> {
        quota().take(1).map_err(|_| Errno::ENOSPC)?;
        let item = fallible::arc(Item {
            by_key: RBTreeAtomicLink::new(),
            by_readiness: LinkedListAtomicLink::new(),
            key,
            epoll: Arc::downgrade(epoll),
            file: Arc::downgrade(file),
            event: Mutex::new(event),
            ended: AtomicBool::new(false),
            watch: Once::new(),
        });
        // An item that is not made does not give its share back.
        let item = item.inspect_err(|_| quota().give(1))?;
        let watcher: Weak<Item> = Arc::downgrade(&item);
        let watch = fallible::arc(Watch::new(key.file, watcher))?;
        item.watch.call_once(|| watch);
        Ok(item)
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        // `new` has put it there.
        match self.watch.get() {
            Some(watch) => watch,
            None => unreachable!("an item has a watch from its beginning"),
        }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn in_table(&self) -> bool {
        self.by_key.is_linked()
    }

    pub(super) fn in_list(&self) -> bool {
        self.by_readiness.is_linked()
    }

    /// From now on it enters no list.
    pub(super) fn end(&self) {
        // SeqCst here and below: `add` loads it after it has entered the queue, `remove` stores it
        // before it looks into the queue.
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub(super) fn event(&self) -> Event {
        *self.event.lock()
    }

    pub(super) fn set_event(&self, event: Event) {
        *self.event.lock() = event;
    }

    /// Nothing is wanted any more until it is changed (`EPOLLONESHOT`).
    pub(super) fn disarm(&self) {
        self.event.lock().events &= HOW;
    }

    /// The `POLL*` bits that are wanted.
    pub(super) fn wanted(&self) -> u32 {
        self.event().wanted()
    }

    /// Those of them that the object is ready for now.
    pub(super) fn ready(&self) -> u32 {
        match self.file.upgrade() {
            Some(file) => file.ready() & self.wanted(),
            None => 0,
        }
    }

    /// The open file, unless it is closed.
    pub(super) fn file(&self) -> Option<Arc<OpenFile>> {
        self.file.upgrade()
    }

    /// Leaves the queue of its object.
    pub(super) fn leave_object(&self) {
        // A file that is being dropped takes the watch out itself.
        if let Some(file) = self.file()
            && let Some(queue) = file.polls()
        {
            queue.remove(self.watch());
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        quota().give(1);
    }
}

impl Watcher for Item {
    fn notify(self: Arc<Item>, events: u32) -> bool {
        let wanted = self.wanted();
        if wanted == 0 || events != 0 && events & wanted == 0 {
            return false;
        }
        let epoll = self.epoll.upgrade();
        epoll.is_some_and(|epoll| epoll.enter(self, End::Back))
    }

    fn is_exclusive(&self) -> bool {
        self.event().is_exclusive()
    }

    fn closed(&self) {
        if let Some(epoll) = self.epoll.upgrade() {
            epoll.forget(self);
        }
    }

    fn levels_above(&self) -> usize {
        self.epoll
            .upgrade()
            .map_or(0, |epoll| 1 + epoll.polls.levels_above())
    }
}
