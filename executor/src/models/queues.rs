//! The queues and the parking of CPUs (rule E3).

use super::explore;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::scheduler::models::{Injector, Parking, Ring, Taken, Token, Unparked};
use loom::thread::{self, JoinHandle};
use std::sync::Arc;
use std::vec::Vec;

/// A task in a ring is taken once, by its owner or by a thief.
///
/// Fault: `Ring::pop` moves the head with a plain store instead of the
/// exchange.
#[test]
fn a_steal_against_pop_takes_each_task_once() {
    explore(None, || {
        let tokens = Token::many(5);
        let ring = Arc::new(Ring::new());
        let thief = {
            let ring = ring.clone();
            thread::spawn(move || {
                let own = Ring::new();
                // SAFETY: the ring is this thread's.
                unsafe {
                    if let Some(task) = ring.steal_into(&own) {
                        Token::take(task);
                    }
                    while let Some(task) = own.pop() {
                        Token::take(task);
                    }
                }
            })
        };
        // SAFETY: this thread is the ring's owner.
        unsafe {
            for token in &tokens {
                // The capacity under `loom` is four: the fifth may have to wait
                // for the thief.
                if let Err(task) = ring.push(token.runnable()) {
                    Token::take(task);
                }
            }
            if let Some(task) = ring.pop() {
                Token::take(task);
            }
            thief.join().unwrap();
            while let Some(task) = ring.pop() {
                Token::take(task);
            }
        }
        Token::assert_each_once(&tokens);
    });
}

/// The owner does not overwrite what a thief is about to take.
///
/// Fault: `Ring::push` takes the ring for full at `CAPACITY + 1`.
#[test]
fn a_push_against_steal_overwrites_nothing() {
    explore(None, || {
        let tokens = Token::many(6);
        let ring = Arc::new(Ring::new());
        let (first, rest) = tokens.split_at(4);
        for token in first {
            // SAFETY: the ring is this thread's.
            assert!(unsafe { ring.push(token.runnable()) }.is_ok());
        }
        let thief = {
            let ring = ring.clone();
            thread::spawn(move || {
                let own = Ring::new();
                // SAFETY: `own` is this thread's.
                unsafe {
                    if let Some(task) = ring.steal_into(&own) {
                        Token::take(task);
                    }
                    while let Some(task) = own.pop() {
                        Token::take(task);
                    }
                }
            })
        };
        // SAFETY: the ring is this thread's.
        unsafe {
            for token in rest {
                if let Err(task) = ring.push(token.runnable()) {
                    Token::take(task);
                }
            }
            thief.join().unwrap();
            while let Some(task) = ring.pop() {
                Token::take(task);
            }
        }
        Token::assert_each_once(&tokens);
    });
}

/// Tasks that several CPUs put into an injector come out once each, in the
/// order of each producer.
///
/// Fault: `Injector::pop_locked` takes the last task without putting the stub
/// behind it: in place of `self.push_link(self.stub)`, set the head to the
/// stub, and the tail.
#[test]
fn an_injector_loses_nothing() {
    explore(None, || {
        let tokens = Token::many(3);
        let queue = Arc::new(Injector::new());
        let producers: Vec<_> = [&tokens[..2], &tokens[2..]]
            .into_iter()
            .map(|tokens| {
                let queue = queue.clone();
                let tasks: Vec<_> = tokens.iter().map(Token::runnable).collect();
                thread::spawn(move || {
                    for task in tasks {
                        queue.push(task);
                    }
                })
            })
            .collect();
        let mut order = Vec::new();
        if let Taken::Task(task) = queue.pop() {
            order.push(Token::take(task));
        }
        for producer in producers {
            producer.join().unwrap();
        }
        while let Taken::Task(task) = queue.pop() {
            order.push(Token::take(task));
        }
        assert!(queue.is_empty());
        Token::assert_each_once(&tokens);
        let first = order.iter().position(|&number| number == 0);
        assert!(first < order.iter().position(|&number| number == 1));
    });
}

/// Two CPUs that take from one injector take each task once.
///
/// Fault: `Injector::pop` calls `pop_locked` without the lock.
#[test]
fn two_consumers_take_each_task_once() {
    explore(None, || {
        let tokens = Token::many(2);
        let queue = Arc::new(Injector::new());
        for token in &tokens {
            queue.push(token.runnable());
        }
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                if let Taken::Task(task) = queue.pop() {
                    Token::take(task);
                }
            })
        };
        if let Taken::Task(task) = queue.pop() {
            Token::take(task);
        }
        other.join().unwrap();
        while let Taken::Task(task) = queue.pop() {
            Token::take(task);
        }
        Token::assert_each_once(&tokens);
    });
}

/// A CPU that halts while a task is put into its inbox is woken by one IPI.
///
/// Fault: no fence in `Parking::wake`, or none in `Parking::park`.
#[test]
fn a_park_against_wake_loses_no_wake_up() {
    explore(None, || {
        let tokens = Token::many(1);
        let queue = Arc::new(Injector::new());
        let parking = Arc::new(Parking::new(1));
        let ipis = Arc::new(AtomicUsize::new(0));
        let waker = {
            let (queue, parking, ipis) = (queue.clone(), parking.clone(), ipis.clone());
            let task = tokens[0].runnable();
            thread::spawn(move || {
                queue.push(task);
                if parking.wake(0) {
                    ipis.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        parking.park(0);
        let halts = queue.is_empty();
        waker.join().unwrap();
        if halts {
            assert_eq!(ipis.load(Ordering::SeqCst), 1, "it halts for ever");
        }
        let _ = parking.unpark(0);
        while let Taken::Task(task) = queue.pop() {
            Token::take(task);
        }
        Token::assert_each_once(&tokens);
    });
}

/// Two wake-ups of one halted CPU send one IPI.
///
/// Fault: `Parking::exchange` swaps after its load, instead of comparing.
#[test]
fn two_wakes_send_one_ipi() {
    explore(None, || {
        let parking = Arc::new(Parking::new(1));
        parking.park(0);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let parking = parking.clone();
                thread::spawn(move || usize::from(parking.wake(0)))
            })
            .collect();
        let ipis: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(ipis, 1);
        let _ = parking.unpark(0);
    });
}

/// A CPU that ends its search and halts sees what was put into a queue while it
/// still counted as searching, or it is woken.
///
/// Fault: no fence in `Parking::wake_searcher`.
#[test]
fn the_last_searcher_misses_nothing() {
    explore(None, || {
        let tokens = Token::many(1);
        let queue = Arc::new(Injector::new());
        let parking = Arc::new(Parking::new(2));
        let producer = {
            let (queue, parking) = (queue.clone(), parking.clone());
            let task = tokens[0].runnable();
            thread::spawn(move || {
                queue.push(task);
                parking.wake_searcher(1)
            })
        };
        // CPU 0 searches, finds nothing, and halts.
        let mut found = false;
        if parking.begin_search() {
            found = !queue.is_empty();
            parking.end_search();
        }
        parking.park(0);
        let halts = !found && queue.is_empty();
        let woken = producer.join().unwrap();
        if halts {
            assert_eq!(woken, Some(0), "the task waits with a CPU halted");
            assert_eq!(parking.unpark(0), Unparked::Searching);
            assert!(parking.end_search(), "the count of searchers is off");
        }
        while let Taken::Task(task) = queue.pop() {
            Token::take(task);
        }
        Token::assert_each_once(&tokens);
    });
}

/// Of two CPUs outside the executor that spawn at the same time, one may leave its wake-up to
/// the other, which counts as searching. The worker does not halt beside either task.
///
/// Fault: `Parking::choose` returns after its `fetch_sub` without a second look; or without the
/// fence between the two.
#[test]
fn two_outside_wakers_lose_no_wake_up() {
    explore(Some(3), || {
        let tokens = Token::many(2);
        let queue = Arc::new(Injector::new());
        let parking = Arc::new(Parking::new(1));
        let wakers: Vec<_> = tokens
            .iter()
            .map(|token| {
                let (queue, parking, task) = (queue.clone(), parking.clone(), token.runnable());
                thread::spawn(move || {
                    queue.push(task);
                    parking.wake_searcher(0).is_some()
                })
            })
            .collect();
        run_and_halt(&parking, &[&queue], wakers);
        Token::assert_each_once(&tokens);
    });
}

/// A CPU that adds a searcher for a task in the inbox of a busy CPU may be the one to which a
/// spawn outside the executor left its wake-up.
///
/// Fault: `Parking::add_searcher` leaves `after` out, as `wake_helper` does.
#[test]
fn a_remote_and_an_outside_waker_lose_no_wake_up() {
    explore(Some(3), || {
        let tokens = Token::many(2);
        let (inbox, injection) = (Arc::new(Injector::new()), Arc::new(Injector::new()));
        let parking = Arc::new(Parking::new(1));
        let remote = {
            let (inbox, parking, task) = (inbox.clone(), parking.clone(), tokens[0].runnable());
            thread::spawn(move || {
                inbox.push(task);
                parking.wake(0) || parking.add_searcher(0).is_some()
            })
        };
        let outside = {
            let (injection, parking) = (injection.clone(), parking.clone());
            let task = tokens[1].runnable();
            thread::spawn(move || {
                injection.push(task);
                parking.wake_searcher(0).is_some()
            })
        };
        run_and_halt(
            &parking,
            &[&inbox, &injection],
            Vec::from([remote, outside]),
        );
        Token::assert_each_once(&tokens);
    });
}

/// Plays the worker of the one CPU: it runs what is in the queues, and halts. Each of the
/// `wakers` says whether it has sent an IPI; if none has, nothing is left beside the halted CPU.
fn run_and_halt(parking: &Parking, queues: &[&Injector], wakers: Vec<JoinHandle<bool>>) {
    let is_empty = || queues.iter().all(|queue| queue.is_empty());
    let run_all = || {
        for queue in queues {
            while let Taken::Task(task) = queue.pop() {
                Token::take(task);
            }
        }
    };
    let leave_halt = || {
        if parking.unpark(0) == Unparked::Searching {
            parking.end_search();
        }
    };
    let mut halts = false;
    for _ in 0..3 {
        parking.park(0);
        halts = is_empty();
        if halts {
            break;
        }
        leave_halt();
        run_all();
    }
    // An IPI that was sent ends the halt, even one for which the CPU was awake.
    let woken: Vec<_> = wakers
        .into_iter()
        .map(|waker| waker.join().unwrap())
        .collect();
    assert!(
        !halts || woken.contains(&true) || is_empty(),
        "a task waits beside a halted CPU"
    );
    if halts {
        leave_halt();
    }
    run_all();
}
