//! The channels and the semaphore against plain reference models: any sequence
//! of operations that do not wait.
#![cfg(not(loom))]

use executor::sync::{Semaphore, broadcast, mpsc, watch};
use futures_util::FutureExt;
use proptest::prelude::*;
use std::collections::VecDeque;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 500 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[derive(Debug, Clone)]
enum Mpsc {
    Send,
    Receive,
    Clone,
    Drop,
    Close,
}

fn mpsc_step() -> impl Strategy<Value = Mpsc> {
    prop_oneof![
        6 => Just(Mpsc::Send),
        5 => Just(Mpsc::Receive),
        1 => Just(Mpsc::Clone),
        1 => Just(Mpsc::Drop),
        1 => Just(Mpsc::Close),
    ]
}

#[derive(Debug, Clone)]
enum Broadcast {
    Send,
    Receive(usize),
    Subscribe,
    Clone(usize),
    Drop(usize),
}

fn broadcast_step() -> impl Strategy<Value = Broadcast> {
    prop_oneof![
        5 => Just(Broadcast::Send),
        6 => any::<usize>().prop_map(Broadcast::Receive),
        1 => Just(Broadcast::Subscribe),
        1 => any::<usize>().prop_map(Broadcast::Clone),
        1 => any::<usize>().prop_map(Broadcast::Drop),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_bounded_channel_is_a_queue(
        capacity in 1_usize..5,
        steps in prop::collection::vec(mpsc_step(), 1..100),
    ) {
        let (sender, mut receiver) = mpsc::channel(capacity);
        let mut senders = vec![sender];
        let mut model = VecDeque::new();
        let (mut next, mut closed) = (0, false);
        for step in steps {
            match step {
                Mpsc::Send => {
                    let Some(sender) = senders.last() else { continue };
                    let sent = sender.send(next).now_or_never();
                    if closed {
                        prop_assert_eq!(sent, Some(Err(mpsc::SendError(next))));
                    } else if model.len() == capacity {
                        prop_assert_eq!(sent, None);
                        prop_assert_eq!(
                            sender.try_send(next),
                            Err(mpsc::TrySendError::Full(next))
                        );
                    } else {
                        prop_assert_eq!(sent, Some(Ok(())));
                        model.push_back(next);
                    }
                    next += 1;
                }
                Mpsc::Receive => {
                    let expected = match model.pop_front() {
                        Some(value) => Some(Some(value)),
                        None if senders.is_empty() => Some(None),
                        None => None,
                    };
                    prop_assert_eq!(receiver.recv().now_or_never(), expected);
                }
                Mpsc::Clone => senders.extend(senders.last().cloned()),
                Mpsc::Drop => drop(senders.pop()),
                Mpsc::Close => {
                    receiver.close();
                    closed = true;
                }
            }
        }
    }

    #[test]
    fn an_unbounded_channel_is_a_queue(steps in prop::collection::vec(mpsc_step(), 1..200)) {
        let (sender, mut receiver) = mpsc::unbounded();
        let mut senders = vec![sender];
        let mut model = VecDeque::new();
        let (mut next, mut closed) = (0, false);
        for step in steps {
            match step {
                Mpsc::Send => {
                    let Some(sender) = senders.last() else { continue };
                    prop_assert_eq!(sender.send(next).is_ok(), !closed);
                    if !closed {
                        model.push_back(next);
                    }
                    next += 1;
                }
                Mpsc::Receive => {
                    let expected = match model.pop_front() {
                        Some(value) => Ok(value),
                        None if senders.is_empty() => Err(mpsc::TryRecvError::Closed),
                        None => Err(mpsc::TryRecvError::Empty),
                    };
                    prop_assert_eq!(receiver.try_recv(), expected);
                }
                Mpsc::Clone => senders.extend(senders.last().cloned()),
                Mpsc::Drop => drop(senders.pop()),
                Mpsc::Close => {
                    receiver.close();
                    closed = true;
                }
            }
        }
    }

    /// The model keeps everything that was ever sent, and a position for each
    /// receiver.
    #[test]
    fn a_broadcast_shows_each_receiver_the_last_values(
        capacity in 1_usize..5,
        steps in prop::collection::vec(broadcast_step(), 1..100),
    ) {
        let (sender, receiver) = broadcast::channel(capacity);
        let mut receivers = vec![(receiver, 0_usize)];
        let mut sent = 0_usize;
        for step in steps {
            match step {
                Broadcast::Send => {
                    sender.send(sent);
                    sent += 1;
                }
                Broadcast::Subscribe => receivers.push((sender.subscribe(), sent)),
                Broadcast::Receive(index) => {
                    if receivers.is_empty() {
                        continue;
                    }
                    let index = index % receivers.len();
                    let (receiver, position) = &mut receivers[index];
                    let oldest = sent.saturating_sub(capacity);
                    let expected = if *position < oldest {
                        let missed = oldest - *position;
                        *position = oldest;
                        Some(Err(broadcast::RecvError::Lagged(missed as u64)))
                    } else if *position < sent {
                        *position += 1;
                        Some(Ok(*position - 1))
                    } else {
                        None
                    };
                    prop_assert_eq!(receiver.recv().now_or_never(), expected);
                }
                Broadcast::Clone(index) => {
                    if let Some(receiver) = receivers.get(index % receivers.len().max(1)) {
                        receivers.push(receiver.clone());
                    }
                }
                Broadcast::Drop(index) => {
                    if !receivers.is_empty() {
                        receivers.swap_remove(index % receivers.len());
                    }
                }
            }
        }
    }

    #[test]
    fn a_watch_shows_the_last_value(steps in prop::collection::vec(any::<bool>(), 1..50)) {
        let (sender, mut receiver) = watch::channel(0);
        let (mut version, mut seen) = (0, 0);
        for send in steps {
            if send {
                version += 1;
                sender.send(version);
            } else {
                let expected = (version != seen).then_some(Ok(()));
                prop_assert_eq!(receiver.changed().now_or_never(), expected);
                seen = version;
                prop_assert_eq!(*receiver.borrow(), version);
            }
        }
    }

    /// Waiters get their permits in the order in which they came.
    #[test]
    fn a_semaphore_is_fair(
        permits in 0_usize..4,
        steps in prop::collection::vec((any::<bool>(), 0_usize..5), 1..60),
    ) {
        let semaphore = Semaphore::new(permits);
        let mut free = permits;
        let mut waiting = VecDeque::new();
        for (acquire, count) in steps {
            if acquire {
                let mut future = Box::pin(semaphore.acquire(count));
                match future.as_mut().now_or_never() {
                    Some(permit) => {
                        prop_assert!(waiting.is_empty() && count <= free);
                        free -= count;
                        permit.forget();
                    }
                    None => {
                        prop_assert!(!waiting.is_empty() || count > free);
                        waiting.push_back((count, future));
                    }
                }
            } else {
                semaphore.release(count);
                free += count;
                while let Some((wanted, future)) = waiting.front_mut() {
                    let got = future.as_mut().now_or_never();
                    prop_assert_eq!(got.is_some(), *wanted <= free);
                    let Some(permit) = got else { break };
                    free -= *wanted;
                    permit.forget();
                    waiting.pop_front();
                }
            }
            prop_assert_eq!(semaphore.available(), free);
        }
    }
}
