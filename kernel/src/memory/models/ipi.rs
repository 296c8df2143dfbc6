//! A wake-up against a CPU that polls, and stops (rules E3, M7).

use super::{Contents, explore};
use crate::sched::ipi::PollState;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::sync::Arc;

/// The CPU that polls is woken by its word, and observes what for; or it is sent an interrupt, which
/// ends its halt.
///
/// Fault: `PollState::end` stores instead of exchanging; or `PollState::try_wake` exchanges with `Relaxed`.
#[test]
fn a_wake_up_is_seen_or_is_an_interrupt() {
    explore(|| {
        let common = Arc::new((PollState::new(), Contents::new(), AtomicBool::new(false)));
        let waker = {
            let common = common.clone();
            thread::spawn(move || {
                let (state, request, interrupt) = &*common;
                request.write(1);
                if !state.try_wake() {
                    interrupt.store(true, Ordering::Release);
                }
            })
        };
        let (state, request, interrupt) = &*common;
        state.begin();
        let was_woken = state.end();
        if was_woken {
            assert_eq!(request.read(), 1);
        }
        waker.join().unwrap();
        let interrupted = interrupt.load(Ordering::Acquire);
        assert!(was_woken != interrupted, "E3: a wake-up got lost");
    });
}
