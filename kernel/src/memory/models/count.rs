//! The reference count of a frame, and when a holder finds itself the only one (rules M1, M2).

use super::{Contents, explore};
use crate::memory::frame::count::{Dropped, RefCount};
use loom::thread;
use std::sync::Arc;

fn held_by(holders: u32) -> Arc<(RefCount, Contents)> {
    let count = RefCount::new();
    count.claim();
    (1..holders).for_each(|_| count.take().unwrap());
    Arc::new((count, Contents::new()))
}

/// A holder that finds itself the only one writes the frame in place. No copy of the frame is under
/// way then: another holder copies first and drops its reference afterwards (`drop_one`, Release),
/// and `is_sole` (Acquire) observes that drop.
///
/// Fault: `drop_one` counts down with `Relaxed`.
#[test]
fn a_reuse_comes_after_the_copy_of_the_other_holder() {
    explore(|| {
        let frame = held_by(2);
        let other = {
            let frame = frame.clone();
            thread::spawn(move || {
                let (count, contents) = &*frame;
                contents.read();
                if count.drop_one() == Dropped::Last {
                    contents.write(1);
                }
            })
        };
        let (count, contents) = &*frame;
        if count.is_sole() {
            contents.write(2);
        }
        if count.drop_one() == Dropped::Last {
            contents.write(3);
        }
        other.join().unwrap();
    });
}

/// Of several holders that drop their references one is the last, and what it does to the
/// frame then comes after all that the others did.
///
/// Fault: `drop_one` has no fence before it says `Last`; or counts down with `Relaxed`.
#[test]
fn one_drop_is_the_last_and_comes_after_the_others() {
    explore(|| {
        let frame = held_by(3);
        let drop_it = |frame: Arc<(RefCount, Contents)>| {
            frame.1.read();
            let last = frame.0.drop_one() == Dropped::Last;
            if last {
                frame.1.write(1);
            }
            usize::from(last)
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let frame = frame.clone();
                thread::spawn(move || drop_it(frame))
            })
            .collect();
        let mut last = drop_it(frame);
        for other in others {
            last += other.join().unwrap();
        }
        assert_eq!(last, 1);
    });
}

/// A holder that shares the frame while another one drops its reference: the count never
/// reaches zero in between, and neither holder frees the frame.
///
/// Fault: `take` loads the count and stores it one higher.
#[test]
fn a_reference_taken_while_another_is_dropped_is_counted() {
    explore(|| {
        let frame = held_by(2);
        let other = {
            let frame = frame.clone();
            thread::spawn(move || assert_eq!(frame.0.drop_one(), Dropped::Shared))
        };
        frame.0.take().unwrap();
        other.join().unwrap();
        assert_eq!(frame.0.get(), 2);
    });
}
