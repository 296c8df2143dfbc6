//! The parking lot: which waiters are woken, in which order, and which are moved.

use executor::sync::{Key, Park, ParkingLot, Requeued};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[derive(Clone, PartialEq, Eq, Debug)]
struct Number(usize);

impl Key for Number {
    fn hash(&self) -> usize {
        self.0
    }
}

type Waiting<'a> = Pin<Box<Park<'a, Number, fn() -> Result<(), ()>>>>;

/// A waiter of `key`.
fn waiting(lot: &ParkingLot<Number>, key: usize, tags: u32) -> Waiting<'_> {
    let nothing_against: fn() -> Result<(), ()> = || Ok(());
    let mut park = Box::pin(lot.park(Number(key), tags, nothing_against));
    assert!(!is_woken(&mut park));
    park
}

fn is_woken(park: &mut Waiting<'_>) -> bool {
    let polled = park.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Ok(())))
}

fn woken(waiters: &mut [Waiting<'_>]) -> Vec<bool> {
    waiters.iter_mut().map(is_woken).collect()
}

/// Keys that fall into one bucket and keys that do not, for what should not depend on that.
const SIZES: [usize; 2] = [1, 64];

#[test]
fn the_one_that_has_waited_longest_is_woken_first() {
    for size in SIZES {
        let lot = ParkingLot::new(size);
        let mut other = waiting(&lot, 2, !0);
        let mut waiters: Vec<_> = (0..3).map(|_| waiting(&lot, 1, !0)).collect();
        assert_eq!(lot.unpark(&Number(1), 2, !0), 2);
        assert_eq!(woken(&mut waiters), [true, true, false]);
        assert!(!is_woken(&mut other), "that waits for something else");
    }
}

#[test]
fn only_those_with_a_common_tag_are_woken() {
    let lot = ParkingLot::new(1);
    let mut waiters = [1, 2, 3].map(|tags| waiting(&lot, 1, tags));
    assert_eq!(lot.unpark(&Number(1), usize::MAX, 4), 0);
    assert_eq!(lot.unpark(&Number(1), usize::MAX, 2), 2);
    assert_eq!(woken(&mut waiters), [false, true, true]);
}

#[test]
fn all_are_woken_however_many() {
    for size in SIZES {
        let lot = ParkingLot::new(size);
        let mut waiters: Vec<_> = (0..100).map(|_| waiting(&lot, 1, !0)).collect();
        assert_eq!(lot.unpark(&Number(1), usize::MAX, !0), 100);
        assert!(woken(&mut waiters).into_iter().all(|woken| woken));
    }
}

#[test]
fn a_check_that_fails_parks_nobody() {
    let lot = ParkingLot::new(1);
    let mut park = Box::pin(lot.park(Number(1), !0, || Err("no")));
    let polled = park.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err("no")));
    assert_eq!(lot.unpark(&Number(1), 1, !0), 0);
    let requeued = lot.requeue(&Number(1), &Number(2), 1, 1, || Err("no"));
    assert_eq!(requeued, Err("no"));
}

#[test]
fn the_first_are_woken_and_the_next_are_moved() {
    for size in SIZES {
        let lot = ParkingLot::new(size);
        let mut waiters: Vec<_> = (0..5).map(|_| waiting(&lot, 1, !0)).collect();
        let done = lot.requeue(&Number(1), &Number(2), 1, 2, || Ok::<_, ()>(()));
        assert_eq!(done, Ok(Requeued { woken: 1, moved: 2 }));
        assert_eq!(woken(&mut waiters[..1]), [true]);
        assert_eq!(lot.unpark(&Number(2), usize::MAX, !0), 2);
        assert_eq!(woken(&mut waiters[1..]), [true, true, false, false]);
        assert_eq!(lot.unpark(&Number(1), usize::MAX, !0), 2);
        assert_eq!(woken(&mut waiters[3..]), [true, true]);
    }
}

#[test]
fn more_are_woken_and_moved_than_fit_into_a_batch() {
    for size in SIZES {
        let lot = ParkingLot::new(size);
        let waiters: Vec<_> = (0..200).map(|_| waiting(&lot, 1, !0)).collect();
        let done = lot.requeue(&Number(1), &Number(2), 100, usize::MAX, || Ok::<_, ()>(()));
        let (woken, moved) = (100, 100);
        assert_eq!(done, Ok(Requeued { woken, moved }));
        drop(waiters);
        assert_eq!(lot.unpark(&Number(2), usize::MAX, !0), 0);
    }
}

#[test]
fn a_leaver_says_whether_it_was_chosen() {
    let lot = ParkingLot::new(1);
    let mut waiters = [0, 1].map(|_| waiting(&lot, 1, !0));
    assert_eq!(lot.unpark(&Number(1), 1, !0), 1);
    assert!(waiters[0].as_mut().leave() && !waiters[1].as_mut().leave());
    assert_eq!(lot.unpark(&Number(1), 1, !0), 0, "both are gone");
}

#[test]
fn a_choice_that_nobody_took_passes_on_with_its_tags() {
    let lot = ParkingLot::new(1);
    let chosen = waiting(&lot, 1, 3);
    let mut others = [1, 2].map(|tags| waiting(&lot, 1, tags));
    assert_eq!(lot.unpark(&Number(1), 1, 2), 1);
    drop(chosen);
    assert_eq!(woken(&mut others), [false, true]);
}

#[test]
fn two_keys_are_woken_as_the_check_says() {
    for size in SIZES {
        let lot = ParkingLot::new(size);
        let mut first: Vec<_> = (0..2).map(|_| waiting(&lot, 1, !0)).collect();
        let mut second: Vec<_> = (0..2).map(|_| waiting(&lot, 2, !0)).collect();
        let keys = [&Number(1), &Number(2)];
        assert_eq!(lot.unpark_two(keys, || Err("no")), Err("no"));
        assert_eq!(lot.unpark_two(keys, || Ok::<_, ()>([1, 0])), Ok(1));
        assert_eq!(lot.unpark_two(keys, || Ok::<_, ()>([1, 1])), Ok(2));
        assert_eq!(woken(&mut first), [true, true]);
        assert_eq!(woken(&mut second), [true, false]);
    }
}
