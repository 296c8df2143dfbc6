//! The simulation finds each fault that is planted, within the seeds of every run of the
//! tests. (Some need a rare order, and have workloads of
//! their own: `reuse`, `entering`, `untouched`.)

use super::plan::Plan;
use super::{OPERATIONS, simulate};
use crate::memory::planted::{Call, Planted, plant};

/// Seeds after which a fault has to be found.
const SEEDS: u64 = 1000;

/// What the simulation says with the fault planted.
fn found(fault: Planted) -> String {
    found_with(fault, |plan| plan)
}

/// The same with the workloads changed.
fn found_with(fault: Planted, change: impl Fn(Plan) -> Plan) -> String {
    plant(Some(fault));
    let found = (0..SEEDS).find_map(|seed| {
        let run = simulate(&change(Plan::new(seed, OPERATIONS)), seed, false);
        run.wrong.map(|wrong| (seed, wrong))
    });
    plant(None);
    let (seed, wrong) = found.unwrap_or_else(|| panic!("{fault:?} was not found"));
    println!("{fault:?}: found by {} seeds: {wrong}", seed + 1);
    wrong
}

#[test]
fn m1_a_table_that_does_not_count_its_children() {
    found(Planted::UncountedChild);
}

#[test]
fn m2_references_dropped_before_the_acknowledgements() {
    found(Planted::DroppedBeforeAcks);
}

#[test]
fn m3_fork_without_a_flush() {
    found(Planted::NotFlushed(Call::Fork));
}

#[test]
fn m3_fork_that_does_not_wait() {
    found(Planted::NotAwaited(Call::Fork));
}

#[test]
fn m4_a_copy_that_is_writable_at_once() {
    found(Planted::WritableBeforeAcks);
}

#[test]
fn m5_munmap_that_does_not_wait() {
    found(Planted::NotAwaited(Call::Unmap));
}

#[test]
fn m5_mprotect_without_a_flush() {
    found(Planted::NotFlushed(Call::Protect));
}

#[test]
fn m5_mprotect_that_does_not_wait() {
    found(Planted::NotAwaited(Call::Protect));
}

#[test]
fn m5_a_range_that_is_handed_out_before_its_acknowledgements() {
    found_with(Planted::RangeReusedBeforeAcks, Plan::hasty);
}

#[test]
fn m5_mremap_that_does_not_wait() {
    found_with(Planted::NotAwaited(Call::Move), Plan::restless);
}

#[test]
fn m6_a_cpu_that_comes_back_and_compares_nothing() {
    found(Planted::GenerationNotCompared);
}

#[test]
fn m7_an_interrupt_that_is_lost() {
    let wrong = found(Planted::LostIpi);
    assert!(wrong.contains("M7"), "{wrong}");
}

#[test]
fn m7_a_merged_request_that_is_lost() {
    found(Planted::SendersClearedLate);
}

#[test]
fn m9_fresh_memory_that_is_not_zeroed() {
    found(Planted::NotZeroed);
}

#[test]
fn m9_a_copy_that_is_not_filled() {
    found(Planted::NotFilled);
}
