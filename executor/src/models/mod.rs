//! Models of the parts that several CPUs touch at once, for `loom`, which runs
//! each of them through all interleavings of its threads and all values that
//! weak memory allows:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --package executor --release --lib \
//!     --target-dir target/loom
//! ```
//!
//! The atomics are the [facade](crate::facade)'s, which mends what `loom` alone
//! leaves out. Where all interleavings are too many, the forced switches of
//! threads are bounded, as the model says.
//!
//! Each model is named after the property that it holds. Its heading says which
//! fault it guards against and how to plant that; each was seen to fail with
//! the fault planted, and only then believed.

mod channels;
mod fair;
mod locks;
mod observers;
mod parking;
mod queues;
mod task;
mod timers;

use crate::facade::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use std::sync::Arc;
use std::task::Wake;

/// Explores `model`, with at most `preemptions` switches of threads that were
/// forced; `None` is all of them.
pub(crate) fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Counts wake-ups.
struct Count(AtomicUsize);

impl Count {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let count = Count::new();
    let waker = Waker::from(count.clone());
    (count, waker)
}
