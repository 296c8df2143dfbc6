//! Requests to a CPU, and its answers (rules M2, M7).

use super::{Contents, explore};
use crate::arch::CpuId;
use crate::memory::planted::{Planted, plant};
use crate::memory::tlb::cpu_set::CpuSet;
use crate::memory::tlb::mailbox::{Acks, Mailbox};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::sync::Arc;

/// Two CPUs ask a third one, which looks as often as it is interrupted.
fn two_ask_and_one_serves() {
    let common = Arc::new((Mailbox::new(), AtomicBool::new(false)));
    let senders: Vec<_> = (0..2)
        .map(|sender| {
            let common = common.clone();
            thread::spawn(move || {
                let (mailbox, interrupt) = &*common;
                if mailbox.post(CpuId(sender), 1) {
                    // Not a store: `loom` may order that before the swap below which has missed it.
                    interrupt.swap(true, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut served = [0, 0];
    let mut serve = || {
        let (mailbox, interrupt) = &*common;
        if interrupt.swap(false, Ordering::SeqCst) {
            for (sender, slots) in mailbox.take() {
                served[sender.0] += slots;
            }
        }
    };
    serve();
    senders.into_iter().for_each(|it| it.join().unwrap());
    serve();
    serve();
    assert_eq!(
        served,
        [1, 1],
        "M7: a request lies there without an interrupt"
    );
}

/// A request that finds the CPU asked already is served by the interrupt that is on its
/// way.
///
/// Fault: `Mailbox::take` takes the senders out after their slots (`SendersClearedLate`).
#[test]
fn a_merged_request_is_served_by_the_interrupt_of_the_first() {
    explore(two_ask_and_one_serves);
}

#[test]
#[should_panic(expected = "M7")]
fn a_merged_request_that_is_lost_is_found() {
    explore(|| {
        plant(Some(Planted::SendersClearedLate));
        two_ask_and_one_serves();
    });
}

/// What all CPUs did through the old translations comes before what the last to acknowledge
/// does to the frame, and before what the waiter does when it sees that all is over.
///
/// Fault: `Acks::acknowledge` counts with `Relaxed`; or `Acks::end`, for the waiter.
#[test]
fn the_last_acknowledgement_comes_after_every_use() {
    explore(|| {
        let common = Arc::new((Acks::new(), Contents::new(), Contents::new()));
        let cpus = [CpuId(1), CpuId(2)];
        let set = CpuSet(CpuSet::only(cpus[0]).0 | CpuSet::only(cpus[1]).0);
        let round = common.0.begin(set);
        let asked: Vec<_> = cpus
            .into_iter()
            .map(|cpu| {
                let common = common.clone();
                thread::spawn(move || {
                    let (acks, old_page, new_page) = &*common;
                    old_page.read();
                    new_page.read();
                    if acks.acknowledge(cpu) {
                        // The old page has a new owner.
                        old_page.write(1);
                        acks.end();
                    }
                })
            })
            .collect();
        if common.0.is_over(round) {
            common.1.read();
            common.2.write(1);
        }
        asked.into_iter().for_each(|it| it.join().unwrap());
        assert!(common.0.is_over(round));
    });
}
