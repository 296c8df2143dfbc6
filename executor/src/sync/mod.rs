//! Waiting for each other.
//!
//! All waiters are nodes in the futures that wait, in a list under a spin lock
//! that is held for a few instructions (rule E1); wakers are called after it is
//! released. Nothing here knows of an executor, so all of it works on any.

mod mutex;
mod notify;
pub mod oneshot;
mod raw_lock;
mod rwlock;
mod semaphore;
mod wait_queue;
mod waiters;

pub use mutex::{LockFuture, Mutex, MutexGuard};
pub use notify::{Notified, Notify};
pub use rwlock::{ReadFuture, ReadGuard, RwLock, WriteFuture, WriteGuard};
pub use semaphore::{Acquire, Permit, Semaphore};
pub use wait_queue::{WaitQueue, WaitUntil};
