//! Which word is meant: two programs, or two addresses of one, can mean the same.

use crate::errno::Errno;
use crate::memory::{AddressSpace, Object};
use alloc::sync::Arc;

/// Which threads can name the same word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The threads of the address space (`FUTEX_PRIVATE_FLAG`): the address says all, whatever
    /// is mapped there.
    Private,
    /// All threads that have the memory mapped.
    Shared,
}

/// A word that a program names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutexAddress {
    /// Its address, a multiple of four.
    pub address: usize,
    /// Which threads can name the same word.
    pub scope: Scope,
}

/// The identity of a word. An address space is identified by its address in the kernel, which stays
/// valid because each waiter holds a reference to its address space.
#[derive(Clone)]
pub(super) enum Key {
    /// An address, for private waits.
    Private(usize, usize),
    /// An address in private memory, for shared waits. Linux keeps these two apart as well.
    Anonymous(usize, usize),
    /// A position in an object, which each waiter keeps alive.
    Shared(Arc<Object>, u64),
}

impl Key {
    pub(super) async fn of(space: &AddressSpace, place: FutexAddress) -> Result<Key, Errno> {
        let (identity, address) = (core::ptr::from_ref(space).addr(), place.address);
        if place.scope == Scope::Private {
            return Ok(Key::Private(identity, address));
        }
        Ok(match space.shared_place(address).await? {
            Some((object, offset)) => Key::Shared(object, offset),
            None => Key::Anonymous(identity, address),
        })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        match (self, other) {
            (Key::Private(a, at), Key::Private(b, there))
            | (Key::Anonymous(a, at), Key::Anonymous(b, there)) => a == b && at == there,
            (Key::Shared(a, at), Key::Shared(b, there)) => Arc::ptr_eq(a, b) && at == there,
            _ => false,
        }
    }
}

impl Eq for Key {}

impl executor::sync::Key for Key {
    fn hash(&self) -> usize {
        let (base, at) = match self {
            Key::Private(space, address) | Key::Anonymous(space, address) => (*space, *address),
            Key::Shared(object, offset) => (Arc::as_ptr(object).addr(), *offset as usize),
        };
        // Words are four bytes apart, and programs often have one in each page or cache line: the
        // product's upper half depends on all bits (Fibonacci hashing).
        (base ^ at >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
    }
}
