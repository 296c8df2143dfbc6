//! Waiting for each other.
//!
//! All waiters are nodes in the futures that wait, in a list under a spin lock
//! that is held for a few instructions (rule E1); wakers are called after it is
//! released. Nothing here knows of an executor, so all of it works on any.

mod barrier;
pub mod broadcast;
mod cancellation;
mod doorbell;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod raw_lock;
mod rwlock;
mod semaphore;
mod wait_queue;
mod waiters;
pub mod watch;

pub use barrier::Barrier;
pub use cancellation::CancellationToken;
pub use mutex::{LockFuture, Mutex, MutexGuard};
pub use notify::{Notified, Notify};
pub use once_cell::OnceCell;
pub use rwlock::{ReadFuture, ReadGuard, RwLock, WriteFuture, WriteGuard};
pub use semaphore::{Acquire, Permit, Semaphore};
pub use wait_queue::{WaitQueue, WaitUntil};

/// What the models look at.
#[cfg(all(test, loom))]
pub(crate) mod models {
    pub(crate) use super::doorbell::Doorbell;
}
