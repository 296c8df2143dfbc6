//! Entering and leaving an address space while another CPU changes it (rules M2, M6).

use super::{Contents, explore};
use crate::arch::CpuId;
use crate::memory::tlb::active_cpus::ActiveCpus;
use crate::memory::tlb::mailbox::{Acks, Mailbox};
use crate::memory::tlb::range::FlushRange;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use std::sync::Arc;

const OLD: u64 = 1;
const NEW: u64 = 2;
const HERE: CpuId = CpuId(0);
const OTHER: CpuId = CpuId(1);

/// A CPU comes back to an address space in which an entry is being changed. If the CPU
/// that changes it does not observe this CPU in the mask, it posts no request to it. Then this CPU
/// observes a newer generation and flushes its TLB, and its walks observe the change.
///
/// Fault: `ActiveCpus::enter` reads the generation before it enters the set; or
/// `ActiveCpus::advance` reads the set before it counts the generation up.
#[test]
fn a_cpu_that_is_not_asked_uses_nothing_stale() {
    explore(|| {
        let common = Arc::new((ActiveCpus::new(), AtomicU64::new(OLD)));
        // What the CPU knows from its last visit.
        let known = common.0.generation();
        let entering = {
            let common = common.clone();
            thread::spawn(move || {
                let (active_cpus, entry) = &*common;
                let generation = active_cpus.enter(OTHER);
                let walk = || entry.load(Ordering::Acquire);
                let used = if generation == known { OLD } else { walk() };
                (used, walk())
            })
        };
        let (active_cpus, entry) = &*common;
        entry.swap(NEW, Ordering::AcqRel);
        let (_, active) = active_cpus.advance(FlushRange::page(0));
        let asked = active.contains(OTHER);
        let (used, walked) = entering.join().unwrap();
        assert!(asked || used == NEW, "M6: what it had is stale");
        assert!(
            asked || walked == NEW,
            "M6: a walk finds what was there before"
        );
    });
}

/// A CPU leaves the address space for another one while it is asked to forget a page there.
/// Either it was not asked, as it had left: then all its uses of the page were over. Or it
/// was, and answers later, from wherever it is; and the page is not released before.
///
/// Fault: `ActiveCpus::leave` takes the CPU out of the set with `Relaxed`; or it is called
/// before the last use.
#[test]
fn a_cpu_that_leaves_meanwhile_has_used_the_page_before_it_is_released() {
    explore(|| {
        let common = Arc::new((
            ActiveCpus::new(),
            Mailbox::new(),
            Acks::new(),
            Contents::new(),
        ));
        let _ = common.0.enter(OTHER);
        let leaving = {
            let common = common.clone();
            thread::spawn(move || {
                let (active_cpus, mailbox, acks, page) = &*common;
                // By a stale translation.
                page.read();
                active_cpus.leave(OTHER);
                for _ in mailbox.take() {
                    if acks.acknowledge(OTHER) {
                        page.write(1);
                    }
                }
            })
        };
        let (active_cpus, mailbox, acks, page) = &*common;
        let (_, active) = active_cpus.advance(FlushRange::page(0));
        if active.contains(OTHER) {
            acks.begin(active);
            let _ = mailbox.post(HERE, 1);
        } else {
            page.write(1);
        }
        leaving.join().unwrap();
    });
}
