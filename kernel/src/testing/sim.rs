//! The simulated machine with the memory system on it, which most tests start from.

pub use super::machine::{
    PageFault, here, load, load_word, on, store, store_word, take_ipi, translate,
};
#[cfg(test)]
pub use super::machine::{interrupt_arrives, random, schedule, stores};

use super::machine;
use crate::memory;

/// A machine that runs until it is dropped.
pub struct Machine(machine::Running);

impl Machine {
    /// Starts a machine and its memory system. This thread plays CPU 0 first.
    ///
    /// # Panics
    /// If this thread has one already.
    pub fn start(cpus: usize, frames: usize) -> Machine {
        let (running, boot) = machine::power_on(cpus, frames, memory::holders);
        memory::init(&boot, 0);
        Machine(running)
    }

    /// Ends a machine on which nothing is alive any more, and gives back all that it has taken.
    /// (A machine that is only dropped leaves what its cells hold.)
    pub fn dismantle(self) {
        self.0.drop_cells();
    }
}
