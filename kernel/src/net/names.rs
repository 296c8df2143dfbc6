//! Which socket has which address. Paths are not here: their nodes in the tree know their sockets.

use super::address::{Address, Family, unspecified};
use super::socket::{Kind, Socket};
use crate::arch;
use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::{Arc, Weak};
use core::net::{IpAddr, Ipv6Addr};
use intrusive_collections::{KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};
use spin::Mutex;

/// The ports of which one is chosen for a socket that asks for none (ip(7)).
const EPHEMERAL: core::ops::Range<u16> = 32768..60999;

/// A name that is taken. It is free again when it is dropped.
pub struct Binding(Arc<Entry>);

struct Entry {
    link: RBTreeAtomicLink,
    kind: Kind,
    address: Address,
    socket: Weak<Socket>,
}

intrusive_adapter!(ByName = Arc<Entry>: Entry { link => RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for ByName {
    type Key = (Kind, &'a Address);

    fn get_key(&self, entry: &'a Entry) -> (Kind, &'a Address) {
        (entry.kind, &entry.address)
    }
}

static NAMES: Mutex<RBTree<ByName>> = Mutex::new(RBTree::new(ByName::NEW));

/// Takes a name for a socket. A port of 0 becomes one that is free.
///
/// # Errors
/// `EADDRINUSE`, `ENOMEM`.
pub fn take(
    kind: Kind,
    address: Address,
    socket: &Weak<Socket>,
) -> Result<(Binding, Address), Errno> {
    let Address::Inet(ip, 0) = address else {
        return Ok((take_one(kind, address.clone(), socket)?, address));
    };
    let count = EPHEMERAL.len();
    let start = arch::random() as usize % count;
    for step in 0..count {
        let port = EPHEMERAL.start + ((start + step) % count) as u16;
        let address = Address::Inet(ip, port);
        match take_one(kind, address.clone(), socket) {
            Err(Errno::EADDRINUSE) => {}
            result => return Ok((result?, address)),
        }
    }
    Err(Errno::EADDRINUSE)
}

fn take_one(kind: Kind, address: Address, socket: &Weak<Socket>) -> Result<Binding, Errno> {
    let entry = fallible::arc(Entry {
        link: RBTreeAtomicLink::new(),
        kind,
        address,
        socket: socket.clone(),
    })?;
    let mut names = NAMES.lock();
    if names.find(&(kind, &entry.address)).is_null() {
        names.insert(entry.clone());
        Ok(Binding(entry))
    } else {
        drop(names);
        Err(Errno::EADDRINUSE)
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        let taken = {
            let mut names = NAMES.lock();
            // SAFETY: a binding is made of an entry that is in the tree, and only its drop takes it
            // out.
            unsafe { names.cursor_mut_from_ptr(&*self.0) }.remove()
        };
        drop(taken);
    }
}

fn exact(kind: Kind, address: &Address) -> Option<Arc<Socket>> {
    let entry = NAMES.lock().find(&(kind, address)).clone_pointer();
    entry?.socket.upgrade()
}

/// The socket that has this name, or the one that is bound to the port on all addresses.
pub fn find(kind: Kind, address: &Address) -> Option<Arc<Socket>> {
    if let Some(socket) = exact(kind, address) {
        return Some(socket);
    }
    let &Address::Inet(ip, port) = address else {
        return None;
    };
    let family = match ip {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    if let Some(socket) = exact(kind, &Address::Inet(unspecified(family), port)) {
        return Some(socket);
    }
    let both = Address::Inet(Ipv6Addr::UNSPECIFIED.into(), port);
    exact(kind, &both).filter(|socket| family == Family::V6 || !socket.options().only_v6())
}
