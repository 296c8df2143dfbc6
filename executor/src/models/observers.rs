//! What looks at the tasks of others while they run and end.
//!
//! All interleavings are too many; two forced switches are enough for the faults.

use super::explore;
use crate::scheduler::models::{Current, TaskList, Token};
use crate::task::TaskId;
use core::convert::Infallible;
use loom::thread;
use std::sync::Arc;
use std::vec::Vec;

/// A look at the poll that goes on finds number, name and time of one poll.
///
/// Fault: no fence in `Current::begin`, or none in `Current::get`.
#[test]
fn a_look_at_the_running_poll_mixes_no_two() {
    explore(Some(2), || {
        let current = Arc::new(Current::new());
        let cpu = {
            let current = current.clone();
            thread::spawn(move || {
                current.begin(TaskId(1), "a", 10);
                current.end();
                current.begin(TaskId(2), "bc", 20);
            })
        };
        if let Some(seen) = current.get() {
            let seen = (seen.id.get(), seen.name, seen.since);
            assert!([(1, "a", 10), (2, "bc", 20)].contains(&seen), "{seen:?}");
        }
        cpu.join().unwrap();
        assert_eq!(current.get().unwrap().name, "bc");
    });
}

/// A walk over the tasks visits all that stay, though others leave between two chunks of it.
///
/// Fault: `TaskList::remove` leaves the cursors as they are (the walk follows the links of a task
/// that has left); or moves each of them to the end.
#[test]
fn a_walk_visits_all_that_stay() {
    explore(Some(2), || {
        let tokens = Token::many(3);
        let list = Arc::new(TaskList::new());
        for token in &tokens {
            // SAFETY: new, alive as long as the token, and removed below.
            unsafe { list.enter(token.header()) };
        }
        let (first, rest) = tokens.split_first().unwrap();
        let (second, third) = (&rest[0], &rest[1]);
        let leaver = {
            let (list, task) = (list.clone(), second.runnable());
            thread::spawn(move || {
                // SAFETY: it was entered, and the token keeps it alive.
                unsafe { list.remove(task.into_raw()) };
            })
        };
        let mut visited = Vec::new();
        let walked: Result<(), Infallible> = list.walk(
            || Ok(()),
            |task| {
                visited.push(task);
                Ok(())
            },
        );
        walked.unwrap();
        leaver.join().unwrap();
        assert!(visited.contains(&first.header()));
        assert!(visited.contains(&third.header()));
        for token in [first, third] {
            // SAFETY: it was entered, and the token keeps it alive.
            unsafe { list.remove(token.header()) };
        }
        assert!(list.is_empty());
        for token in tokens.iter() {
            Token::take(token.runnable());
        }
    });
}
