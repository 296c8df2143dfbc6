//! A kick against a CPU that waits awake, and gives up (rules E3, M7).

use super::{Contents, explore};
use crate::kick::Word;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::sync::Arc;

/// The CPU that waits is kicked by its word, and sees what for; or it is sent an interrupt, which
/// ends its halt.
///
/// Fault: `Word::end` stores instead of exchanging; or `Word::kick` exchanges with `Relaxed`.
#[test]
fn a_kick_is_seen_or_is_an_interrupt() {
    explore(|| {
        let common = Arc::new((Word::new(), Contents::new(), AtomicBool::new(false)));
        let kicker = {
            let common = common.clone();
            thread::spawn(move || {
                let (word, request, interrupt) = &*common;
                request.write(1);
                if !word.kick() {
                    interrupt.store(true, Ordering::Release);
                }
            })
        };
        let (word, request, interrupt) = &*common;
        word.begin();
        let was_kicked = word.end();
        if was_kicked {
            assert_eq!(request.read(), 1);
        }
        kicker.join().unwrap();
        let interrupted = interrupt.load(Ordering::Acquire);
        assert!(was_kicked != interrupted, "E3: a kick got lost");
    });
}
