//! Waiting for each other.
//!
//! All waiters are nodes in the futures that wait, in a list under a spin lock
//! that is held for a few instructions (rule E1); wakers are called after it is
//! released. Nothing here knows of an executor, so all of it works on any.
//!
//! All of it can be dropped while it waits, so it goes together with
//! `futures_util`'s `select!` and `join!`, and the receivers of [`mpsc`] and
//! [`Interval`](crate::time::Interval) are streams:
//!
//! ```
//! use executor::sync::{CancellationToken, mpsc};
//! use futures_util::{FutureExt, StreamExt, join, select};
//!
//! # let runtime = executor::host::Runtime::new(2);
//! # let executor = runtime.executor().clone();
//! let (sender, receiver) = mpsc::unbounded();
//! let token = CancellationToken::new();
//! let end = token.clone();
//! runtime.block_on(async move {
//!     let producer = async {
//!         for number in 1..=3 {
//!             executor.sleep(1_000).await;
//!             sender.send(number).unwrap();
//!         }
//!         end.cancel();
//!     };
//!     let consumer = async {
//!         let mut numbers = receiver.fuse();
//!         let mut cancelled = Box::pin(token.cancelled()).fuse();
//!         let mut sum = 0;
//!         loop {
//!             select! {
//!                 number = numbers.select_next_some() => sum += number,
//!                 () = cancelled => break sum,
//!             }
//!         }
//!     };
//!     let ((), sum) = join!(producer, consumer);
//!     assert!(sum <= 6);
//! });
//! ```

mod barrier;
pub mod broadcast;
mod cancellation;
mod doorbell;
mod handoff;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod parking_lot;
mod published;
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
pub use parking_lot::{Key, Park, ParkingLot, Requeued, Tags};
pub use rwlock::{ReadFuture, ReadGuard, RwLock, WriteFuture, WriteGuard};
pub use semaphore::{Acquire, Permit, Semaphore};
pub use wait_queue::{WaitQueue, WaitUntil};

/// What the models look at.
#[cfg(all(test, loom))]
pub(crate) mod models {
    pub(crate) use super::doorbell::Doorbell;
}
