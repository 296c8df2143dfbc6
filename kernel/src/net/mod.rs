//! Sockets: the files through which processes talk to each other (socket(7), unix(7), ip(7)).
//!
//! Reading order: an [`address`] names a socket, and [`names`] finds it. An [`inbox`] is what was
//! sent to a socket and not received. A [`mod@socket`] has an inbox and a peer; [`connect`] makes
//! peers, [`transfer`] moves bytes and descriptors. [`options`] are what setsockopt(2) sets.
//!
//! **Ownership.** A socket owns what was sent *to* it. It holds its peer weakly: the last close of
//! the one end leaves the other with what it had received, and an end. So there is no buffer that
//! two sockets own, and no circle of references: a descriptor that is in flight is never that of an
//! `AF_UNIX` socket, which alone could keep others.
//!
//! Addresses of the internet are those of this machine: a connection to one of them is a pair of
//! sockets as any other, and no packet is made of it. There is no network card.
//!
//! **Waiting.** Nothing here waits: an attempt is made again when the poll queue of the socket is
//! woken ([`special`](crate::fs::special)). A call that is dropped leaves nothing half-done.
//!
//! **Lock order.** A listening socket's `link`, then that of a socket that is made; a `link`, then an
//! `inbox`. No other lock is taken meanwhile, no task is woken, and no file is dropped. All
//! allocations are fallible (rule M10).

pub mod address;
pub mod connect;
pub mod inbox;
pub mod names;
pub mod options;
pub mod socket;
pub mod transfer;
