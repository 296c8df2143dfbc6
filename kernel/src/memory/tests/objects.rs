//! Objects that several CPUs use at once.

use super::*;
use crate::testing::sim::schedule;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const CPUS: usize = 3;
const SEEDS: u64 = 200;

fn make_the_same_page(seed: u64) {
    let _machine = sim::Machine::start(CPUS, 512);
    let object = Object::new().unwrap();
    object.truncate(PAGE as u64);
    let bodies = (0..CPUS).map(|_| {
        let object = object.clone();
        Box::new(move || drop(object.page(0).unwrap())) as Box<dyn FnOnce()>
    });
    let outcome = schedule::run(seed, Vec::new(), 100_000, bodies.collect());
    assert_eq!(outcome.broken, None, "seed {seed}");
}

/// Several CPUs make a page that is not there yet. All frames but one are spare, and are given
/// back without the object's lock: else a CPU may be stopped while it has that, and others spin.
#[test]
fn e1_a_spare_page_is_given_back_without_the_lock() {
    let (done, over) = mpsc::channel();
    thread::spawn(move || {
        (0..SEEDS).for_each(make_the_same_page);
        let _ = done.send(());
    });
    let over = over.recv_timeout(Duration::from_secs(60));
    assert!(over.is_ok(), "E1: a CPU spins: {over:?}");
}
