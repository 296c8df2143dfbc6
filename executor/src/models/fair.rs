//! The queue of a CPU that shares time (rules E3, E6).

use super::explore;
use crate::scheduler::models::{FairQueue, Parking, Token, Unparked};
use loom::thread;
use std::sync::Arc;

fn take_all(queue: &FairQueue) {
    while let Some(taken) = queue.pop() {
        Token::take(taken.task);
    }
}

/// A task is taken once, by its own CPU or by one that steals, and nothing is left of its weight.
///
/// Fault: `FairQueue::pop` takes the task in one hold of the lock and clears the bit of its list in
/// another.
#[test]
fn a_task_in_a_fair_queue_is_taken_once() {
    explore(None, || {
        let tokens = Token::many(3);
        let queue = Arc::new(FairQueue::new());
        queue.push(tokens[0].runnable(), 0, 0);
        let waker = {
            let (queue, task) = (queue.clone(), tokens[1].runnable());
            // So far ahead that it lies in a coarser calendar.
            thread::spawn(move || {
                queue.push(task, 9_000_000, 0);
            })
        };
        let thief = {
            let queue = queue.clone();
            thread::spawn(move || {
                if let Some(taken) = queue.pop() {
                    Token::take(taken.task);
                }
            })
        };
        queue.push(tokens[2].runnable(), 5, 5);
        if let Some(taken) = queue.pop() {
            Token::take(taken.task);
        }
        waker.join().unwrap();
        thief.join().unwrap();
        take_all(&queue);
        assert!(queue.is_empty());
        assert_eq!(queue.weight(), 0);
        Token::assert_each_once(&tokens);
    });
}

/// A CPU does not halt beside a task in its fair queue: it sees the task, or is sent an IPI.
///
/// Fault: `Parking::wake` without its fence.
#[test]
fn a_push_into_a_fair_queue_against_halt_loses_nothing() {
    explore(None, || {
        let tokens = Token::many(1);
        let (queue, parking) = (Arc::new(FairQueue::new()), Arc::new(Parking::new(1)));
        let waker = {
            let (queue, parking) = (queue.clone(), parking.clone());
            let task = tokens[0].runnable();
            thread::spawn(move || {
                queue.push(task, 0, 0);
                parking.wake(0)
            })
        };
        parking.park(0);
        let halts = queue.is_empty();
        let has_ipi = waker.join().unwrap();
        assert!(!halts || has_ipi, "a task waits beside a halted CPU");
        if parking.unpark(0) == Unparked::Searching {
            parking.end_search();
        }
        take_all(&queue);
        Token::assert_each_once(&tokens);
    });
}
