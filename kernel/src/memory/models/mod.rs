//! Models of the small protocols of the memory system, for `loom`, which runs each of them
//! through all interleavings of its threads and all values that weak memory allows:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --package kernel --release --lib \
//!     --target-dir target/loom memory::models
//! ```
//!
//! Each model is named after the property that it holds. Its heading says which fault it
//! guards against and how to plant that; each was seen to fail with the fault planted, and
//! only then believed. Where the fault has a switch (`planted`) a second test plants it.

mod active_cpus;
mod count;
mod cow_break;
mod ipi;
mod mailbox;
mod untouched;

use loom::cell::UnsafeCell;

/// Explores `model`, all of it.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    loom::model::Builder::new().check(model);
}

/// The contents of a frame: `loom` notices when a CPU reads them while another one, which
/// takes the frame for its own, writes.
struct Contents(UnsafeCell<u64>);

// SAFETY: `loom` panics where two threads really use it at the same time.
unsafe impl Sync for Contents {}

impl Contents {
    fn new() -> Contents {
        Contents(UnsafeCell::new(0))
    }

    fn read(&self) -> u64 {
        // SAFETY: see `Sync` above.
        self.0.with(|value| unsafe { *value })
    }

    fn write(&self, new: u64) {
        // SAFETY: see `Sync` above.
        self.0.with_mut(|value| unsafe { *value = new });
    }
}
