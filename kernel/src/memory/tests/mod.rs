//! The memory system on the simulated machine. Tests are named for the behaviour that
//! they hold, and cite the rule.

mod advising;
mod eager_cow;
mod exhaustion;
mod given_up;
mod growing;
mod mapping;
mod moving;
mod objects;
mod reclaiming;
mod returning;
mod several_cpus;
mod sharing;
mod simulation;
mod untouched;

use super::*;
use crate::arch::Access;
use crate::memory::reclaim::reclaimer;
use crate::testing::sim;
use alloc::sync::Arc;
use futures_util::FutureExt;

/// Where the tests map their memory.
const BASE: usize = 0x40_0000;
const PAGE: usize = FRAME_SIZE;

/// The output of a future that does not have to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("this waits for somebody")
}

/// An address space with `pages` pages that may be written, active on this CPU.
fn space(pages: usize) -> Arc<AddressSpace> {
    let space = AddressSpace::new().unwrap();
    map(&space, BASE, pages);
    activate(&space);
    space
}

fn map(space: &AddressSpace, start: usize, pages: usize) {
    let rights = Protection::READ | Protection::WRITE;
    now(space.map(
        Placement::Fixed(start),
        pages * PAGE,
        rights,
        Backing::Anonymous,
    ))
    .unwrap();
}

/// Stores as the program does, with the faults that it takes.
fn store(space: &AddressSpace, address: usize, value: u8) -> Result<(), FaultError> {
    while sim::store(address, value).is_err() {
        now(space.fault(address, Access::Write))?;
    }
    Ok(())
}

/// Loads as the program does.
fn load(space: &AddressSpace, address: usize) -> Result<u8, FaultError> {
    loop {
        match sim::load(address) {
            Ok(value) => return Ok(value),
            Err(_) => now(space.fault(address, Access::Read))?,
        }
    }
}

/// Drops all that waits to be dropped on this CPU.
fn reclaim_here() {
    while reclaimer::reclaim_here(1) {}
}

/// The audit over everything that is left, which must be clean.
fn assert_clean(spaces: &[Arc<AddressSpace>], objects: &[Arc<Object>]) {
    reclaim_here();
    let audit = audit(spaces, objects);
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!(
        audit.held + free_frames(),
        managed_frames(),
        "M11: frames are missing"
    );
}
